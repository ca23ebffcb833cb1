// What this build accepts but cannot carry out yet. An operator who wrote a limit believes in it, so each such key is a
// warning until the day it holds; whoever builds the feature takes its line out of here.

import type { Complaint, Path } from './mistakes.ts';
import type { WrittenConfiguration, WrittenRule } from './schema.ts';
import type { Partly } from './shape.ts';

const SERVICE_KEYS = ['gate', 'rate', 'devices'] as const;
const OUTBOUND_TYPES: ReadonlySet<string | undefined> = new Set(['socks5', 'group']);

/** One for each kind of key, where it is first met: of a hundred thousand services nobody reads a line each. */
export function notEnforced(written: Partly<WrittenConfiguration>): Complaint[] {
  const kinds = new Map<string, Kind>();
  const meet = (path: Path, what: string, where: string, consequence = ''): void => {
    const kind = kinds.get(`${where} ${what}`);
    if (kind === undefined) kinds.set(`${where} ${what}`, { path, what, where, consequence, count: 1 });
    else kind.count++;
  };
  for (const [index, inbound] of (written.inbounds ?? []).entries()) {
    if (inbound?.type === 'forward' && inbound.network === 'udp') {
      meet(['inbounds', index, 'network'], 'network udp', 'inbounds');
    }
  }
  for (const [index, outbound] of (written.outbounds ?? []).entries()) {
    if (!OUTBOUND_TYPES.has(outbound?.type)) continue;
    const path = ['outbounds', index, 'type'];
    meet(path, `type ${outbound?.type}`, 'outbounds', '; connections sent to it are refused');
  }
  for (const [index, service] of (written.services ?? []).entries()) {
    for (const key of SERVICE_KEYS) {
      if (service?.[key] !== undefined) meet(['services', index, key], `"${key}"`, 'services');
    }
  }
  return [...kinds.values()].map(complaintOf);
}

/** As `notEnforced`, of rules. */
export function rulesNotEnforced(rules: readonly (Partly<WrittenRule> | undefined)[]): Complaint[] {
  const places = [...rules.keys()].filter((index) => rules[index]?.action === 'limit');
  const [first] = places;
  if (first === undefined) return [];
  const path = ['rules', first, 'action'];
  return [complaintOf({ path, what: 'action limit', where: 'rules', consequence: '', count: places.length })];
}

interface Kind {
  /** Of the first one. */
  readonly path: Path;
  readonly what: string;
  readonly where: string;
  readonly consequence: string;
  count: number;
}

function complaintOf({ path, what, where, consequence, count }: Kind): Complaint {
  const others = count === 1 ? '' : `, here and in ${count - 1} more of the ${where}`;
  const message = `${what} is accepted but not enforced yet${others}${consequence}`;
  return { path, atKey: true, found: what, expected: 'what this build can carry out', message };
}
