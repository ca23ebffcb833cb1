// The access log as written → as the keeper takes it. Names of reasons are known to this build, so a wrong one is a
// mistake; names of services are not checked: the API may add them later. Control thread and CLI.

import { resolve } from 'node:path';
import type { AccessLog } from '../layout/keeper-messages.ts';
import { REASONS_COUNT, reasonName } from '../layout/reasons.ts';
import { quoted } from './mistakes.ts';
import { nearest } from './nearest.ts';
import type { Reading } from './reading.ts';
import { DEFAULTS, type WrittenConfiguration } from './schema.ts';
import type { Partly } from './shape.ts';

/** Instead of a path. */
const STANDARD_ERROR = 'stderr';

/** @returns null where nothing is written: then there is none */
export function readAccessLog(
  reading: Reading,
  written: Partly<WrittenConfiguration>['access_log'],
): AccessLog | null {
  if (written === undefined) return null;
  const path = written.path ?? DEFAULTS.accessLog.path;
  checkReasons(reading, written.reasons ?? []);
  return {
    path: path === STANDARD_ERROR ? null : resolve(reading.baseDirectory, path),
    sample: written.sample ?? DEFAULTS.accessLog.sample,
    reasons: (written.reasons ?? []).filter((reason) => reason !== undefined),
    services: (written.services ?? []).filter((service) => service !== undefined),
  };
}

function checkReasons(reading: Reading, written: readonly (string | undefined)[]): void {
  // The first stands for a connection that has not ended.
  const known = new Set(Array.from({ length: REASONS_COUNT - 1 }, (_, index) => reasonName(index + 1)));
  for (const [index, reason] of written.entries()) {
    if (reason === undefined || known.has(reason)) continue;
    reading.mistakes.push({
      path: ['access_log', 'reasons', index],
      found: quoted(reason),
      expected: 'the name of a reason, as in the metric of ended connections',
      nearest: nearest(reason, known),
      message: `there is no reason ${quoted(reason)}`,
    });
  }
}
