// A new configuration for a running daemon, on SIGHUP or by the API: read, check, apply. A file with mistakes, or one
// that cannot be carried out, changes nothing and is answered with all that is wrong with it. One reload at a time; who
// asks while one runs waits for the next, which all who ask meanwhile share. Control thread only.

import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { checkFileRules } from '../compile/check/check-rules.ts';
import { checkConfiguration } from '../config/check.ts';
import type { Checked } from '../config/check.ts';
import type { Configuration } from '../config/configuration.ts';
import type { Mistake } from '../config/mistakes.ts';
import type { Reconciled } from './contradiction.ts';
import type { Changes, Edge } from './edge.ts';
import { SluiceError } from './errors.ts';
import type { Log } from './log.ts';

export type ReloadTrigger = 'signal' | 'api';

export interface ReloadResult {
  readonly trigger: ReloadTrigger;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly durationMs: number;
  /** The plan in force afterwards. */
  readonly version: number;
  readonly changes: Changes | undefined;
  readonly warnings: readonly Mistake[];
  /** Keys whose new value waits for a restart. */
  readonly restartNeeded: readonly string[];
  readonly error: SluiceError | undefined;
}

export interface Reloader {
  /** Never rejects: what went wrong is in the result. */
  reload(trigger: ReloadTrigger): Promise<ReloadResult>;
  last(): ReloadResult | undefined;
}

export interface ReloaderInit {
  readonly fileName: string;
  readonly edge: Edge;
  readonly log: Log;
  /** Whether the daemon is about to end, or has not started yet: then nothing is reloaded. */
  readonly isStopping: () => boolean;
  readonly before: () => void;
  readonly after: (result: ReloadResult) => void;
}

/** @throws SluiceError configuration_unreadable or configuration_invalid */
export async function readConfiguration(fileName: string): Promise<Required<Checked>> {
  let text: string;
  try {
    text = await readFile(fileName, 'utf8');
  } catch (cause) {
    const message = `${fileName} cannot be read: ${(cause as Error).message}`;
    throw new SluiceError('configuration_unreadable', message, { fileName }, cause);
  }
  const { configuration, mistakes, warnings } = checkConfiguration(text, fileName, checkFileRules);
  if (configuration === undefined) {
    const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`;
    throw new SluiceError('configuration_invalid', `${fileName} has ${count}`, { fileName, mistakes });
  }
  return { configuration, mistakes, warnings };
}

export function createReloader(init: ReloaderInit): Reloader {
  const { fileName, edge, log } = init;
  /** What stays as it was until a restart is told at every reload until then. */
  const started = edge.configuration;
  let running: Promise<ReloadResult> | undefined;
  let next: Promise<ReloadResult> | undefined;
  let last: ReloadResult | undefined;

  async function reloadNow(trigger: ReloadTrigger): Promise<ReloadResult> {
    const startedMs = performance.now();
    let changes: Changes | undefined;
    let warnings: readonly Mistake[] = [];
    let restartNeeded: readonly string[] = [];
    let error: SluiceError | undefined;
    const isRefused = init.isStopping();
    try {
      if (isRefused) throw new SluiceError('stopping', 'the daemon is starting or about to end', {});
      init.before();
      const checked = await readConfiguration(fileName);
      warnings = checked.warnings;
      restartNeeded = needsRestart(started, checked.configuration);
      changes = await edge.apply(checked.configuration);
    } catch (cause) {
      // A mistake of ours is a failed reload as well; the connections that run are not to pay for it.
      error =
        cause instanceof SluiceError
          ? cause
          : new SluiceError(
              'internal',
              `the reload failed: ${(cause as Error)?.message ?? cause}`,
              {},
              cause,
            );
    }
    const durationMs = Math.round(performance.now() - startedMs);
    const atMs = Date.now();
    last = { trigger, atMs, durationMs, version: edge.version, changes, warnings, restartNeeded, error };
    report(log, last);
    if (!isRefused) init.after(last);
    return last;
  }

  return {
    reload(trigger) {
      if (running === undefined) {
        running = reloadNow(trigger).finally(() => {
          running = undefined;
        });
        return running;
      }
      next ??= running.then(() => {
        next = undefined;
        return this.reload(trigger);
      });
      return next;
    },
    last: () => last,
  };
}

/** What is sized or opened once. */
function needsRestart(before: Configuration, after: Configuration): string[] {
  const keys: string[] = [];
  if (before.workers !== after.workers) keys.push('workers');
  if (!isDeepStrictEqual(before.limits, after.limits)) keys.push('limits');
  if (!isDeepStrictEqual(before.admin, after.admin)) keys.push('admin');
  if (before.storePath !== after.storePath) keys.push('store');
  return keys;
}

function report(log: Log, result: ReloadResult): void {
  const { trigger, version, durationMs, changes, warnings, restartNeeded, error } = result;
  for (const { path, line, message } of warnings) {
    log.warn({ event: 'configuration_warning', path, line }, message);
  }
  if (error !== undefined) {
    const mistakes = 'mistakes' in error.facts ? error.facts.mistakes.slice(0, LOGGED_MAX) : undefined;
    const facts = { event: 'reload_failed', trigger, version, code: error.code, mistakes, err: error.cause };
    const isIncomplete = error.code === 'plan_not_applied' || error.code === 'internal';
    const what = isIncomplete ? 'reload incomplete' : 'reload changed nothing';
    log.error(facts, `${what}: ${error.message}`);
    return;
  }
  const facts = {
    event: 'reloaded',
    trigger,
    version,
    duration_ms: durationMs,
    inbounds: shortened(changes?.inbounds),
    outbounds: shortened(changes?.outbounds),
    identities: shortened(changes?.identities),
    reconciled: changes?.reconciled && shownReconciled(changes.reconciled),
  };
  if (restartNeeded.length === 0) log.info(facts, 'configuration reloaded');
  else log.warn({ ...facts, restart_needed: restartNeeded }, `reloaded, but restart for: ${restartNeeded}`);
}

/** As the log and the API show it. */
export function shownReconciled({ ended, durationUs, workerUs, lastGoneUs }: Reconciled) {
  return { ended, duration_us: durationUs, worker_us: workerUs, last_gone_us: lastGoneUs };
}

/** Names in one line of the log; the API's answer has them all. */
const LOGGED_MAX = 50;

/** What did change, at a length that a log can bear. */
function shortened(changes: object | undefined): Record<string, unknown> {
  const short: Record<string, unknown> = {};
  for (const [what, changed] of Object.entries(changes ?? {}) as [string, readonly string[] | number][]) {
    if (typeof changed === 'number') {
      if (changed > 0) short[what] = changed;
    } else if (changed.length > 0) {
      short[what] = changed.length <= LOGGED_MAX ? changed : [...changed.slice(0, LOGGED_MAX), '...'];
    }
  }
  return short;
}
