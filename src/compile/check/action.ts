// What a rule does: as written → checked. Which keys belong to which action stands in one table.

import { type Path, quoted } from '../../config/mistakes.ts';
import { type Reading, read } from '../../config/reading.ts';
import { refer } from '../../config/references.ts';
import type { RuleNames } from '../../config/rule-checker.ts';
import {
  ON_TIMEOUT_ALLOW,
  ON_TIMEOUT_REJECT,
  ON_TIMEOUT_SKIP,
  PROTOCOL_NAMES,
  REJECT_DROP,
  REJECT_FIN,
  REJECT_REPLY,
  REJECT_RESET,
} from '../../layout/rules.ts';
import { parseDataRate, parseDuration, parseEventRate } from '../../policy/units.ts';
import type { Action } from '../rule.ts';
import type { RuleReading } from './condition.ts';
import { parseProtocol, readEach, type Written } from './items.ts';
import { parseOverride } from './names.ts';

const KEYS: Readonly<Record<Action['kind'], readonly (keyof Written & string)[]>> = {
  route: ['outbound', 'override_address', 'override_port'],
  reject: ['method'],
  limit: ['gate', 'rate'],
  sniff: ['sniffer'],
  resolve: [],
};
const OWNED_KEYS = Object.values(KEYS).flat();

const METHODS = { reply: REJECT_REPLY, reset: REJECT_RESET, fin: REJECT_FIN, drop: REJECT_DROP };
const ON_TIMEOUT = { skip: ON_TIMEOUT_SKIP, reject: ON_TIMEOUT_REJECT, allow: ON_TIMEOUT_ALLOW };

/** A client waits no longer for a page; whoever judges may be asked again. */
const TIMEOUT_MS = { min: 1, max: 30_000 };
const TIMEOUT_MS_BY_DEFAULT: Readonly<Record<Action['kind'], number>> = {
  route: 1_000,
  reject: 1_000,
  limit: 1_000,
  sniff: 300,
  resolve: 5_000,
};

export interface Doing {
  readonly action: Action;
  readonly onTimeout: number;
  readonly timeoutMs: number;
}

/** @returns undefined where it says nothing to do, or what it says was wrong */
export function readDoing(
  reading: RuleReading,
  written: Written,
  path: Path,
  names: RuleNames,
): Doing | undefined {
  const timeoutMs = read(reading, [...path, 'timeout'], written.timeout, (text) =>
    parseDuration(text, TIMEOUT_MS),
  );
  // What it said was no action; that was told.
  if ('action' in written && written.action === undefined) return undefined;
  const kind = written.action ?? (KEYS.route.some((key) => key in written) ? 'route' : undefined);
  for (const key of OWNED_KEYS) {
    if (!(key in written) || kind === undefined || KEYS[kind].includes(key)) continue;
    const owner = Object.entries(KEYS).find(([, keys]) => keys.includes(key))?.[0];
    const message = `${quoted(key)} belongs to \`action: ${owner}\``;
    const expected = `keys of \`action: ${kind}\``;
    reading.mistakes.push({ path: [...path, key], atKey: true, found: quoted(key), expected, message });
  }
  const action = kind === undefined ? undefined : readAction(reading, kind, written, path, names);
  const lacks = kind === undefined || (kind === 'limit' && !KEYS.limit.some((key) => key in written));
  if (lacks && reading.isWhole) {
    const message =
      kind === undefined
        ? 'says nothing to do; give it an `action` or an `outbound`'
        : 'says no limit; give it a `gate` or a `rate`';
    const expected = kind === undefined ? '`action` or `outbound`' : '`gate` or `rate`';
    reading.mistakes.push({ path, found: 'nothing', expected, message });
  }
  if (action === undefined) return undefined;
  const onTimeout = ON_TIMEOUT[written.on_timeout ?? 'skip'];
  return { action, onTimeout, timeoutMs: timeoutMs ?? TIMEOUT_MS_BY_DEFAULT[action.kind] };
}

function readAction(
  reading: Reading,
  kind: Action['kind'],
  written: Written,
  path: Path,
  names: RuleNames,
): Action {
  switch (kind) {
    case 'route': {
      const { outbound, override_address, override_port } = written;
      refer(reading, [...path, 'outbound'], outbound, 'outbound', names.outbounds);
      const overrideAddress = read(reading, [...path, 'override_address'], override_address, parseOverride);
      return { kind, outbound, overrideAddress, overridePort: override_port };
    }
    case 'reject':
      return { kind, method: METHODS[written.method ?? 'reply'] };
    case 'limit': {
      const { gate, rate } = written;
      read(reading, [...path, 'gate', 'rate'], gate?.rate, parseEventRate);
      read(reading, [...path, 'rate', 'up'], rate?.up, parseDataRate);
      read(reading, [...path, 'rate', 'down'], rate?.down, parseDataRate);
      return { kind, gate, rate };
    }
    case 'sniff': {
      const all = PROTOCOL_NAMES.map((_, protocol) => protocol).slice(1);
      const protocols = readEach(reading, [...path, 'sniffer'], written.sniffer, parseProtocol);
      return { kind, protocols: 'sniffer' in written ? protocols : all };
    }
    default:
      return { kind };
  }
}
