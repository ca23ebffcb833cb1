// What must be unique, and what must lead somewhere: tags, names, users, server names, listen addresses; members of
// groups, outbounds of services, `final`. Works on the written form, so that a mistake inside an object does not make its
// name look undefined.

import type { Inbound } from './configuration.ts';
import { inboundTag } from './inbounds.ts';
import { type Path, pathText, quoted } from './mistakes.ts';
import { nearest } from './nearest.ts';
import { findGroupLoops, outboundTag } from './outbounds.ts';
import { complain, type Reading } from './reading.ts';
import type { WrittenConfiguration } from './schema.ts';
import type { Partly } from './shape.ts';

type Written = Partly<WrittenConfiguration>;

/** What there is, and where: also what was written wrong, so that who refers to it is not wrong as well. */
export interface Names {
  readonly inbounds: ReadonlyMap<string, Path>;
  readonly outbounds: ReadonlyMap<string, Path>;
  readonly ruleSets: ReadonlyMap<string, Path>;
}

/** @returns what rules may refer to; who checks those looks for it himself */
export function checkReferences(reading: Reading, written: Written): Names {
  const names = collectNames(reading, written);
  for (const [index, outbound] of (written.outbounds ?? []).entries()) {
    if (outbound?.type !== 'group') continue;
    for (const [place, member] of (outbound.members ?? []).entries()) {
      refer(reading, ['outbounds', index, 'members', place], member, 'outbound', names.outbounds);
    }
  }
  findGroupLoops(reading, written.outbounds ?? []);
  checkServiceReferences(reading, written, names.outbounds);
  refer(reading, ['final'], written.final, 'outbound', names.outbounds);
  return names;
}

/** @param outbounds tags that exist; only the keys matter */
export function checkServiceReferences(
  reading: Reading,
  written: Pick<Written, 'services'>,
  outbounds: ReadonlyMap<string, unknown>,
): void {
  for (const [index, service] of (written.services ?? []).entries()) {
    refer(reading, ['services', index, 'outbound'], service?.outbound, 'outbound', outbounds);
  }
}

/** Two inbounds on one address and transport. Port 0 is another port each time. */
export function checkListenAddresses(reading: Reading, inbounds: readonly (Inbound | undefined)[]): void {
  const seen = new Map<string, Path>();
  for (const [index, inbound] of inbounds.entries()) {
    if (inbound === undefined || (inbound.listen.kind === 'ip' && inbound.listen.port === 0)) continue;
    const { text } = inbound.listen;
    const path = ['inbounds', index, 'listen'];
    unique(reading, seen, `${inbound.network} ${text}`, path, () => `listen address ${quoted(text)}`);
  }
}

function collectNames(reading: Reading, written: Written): Names {
  const inbounds = new Map<string, Path>();
  const outbounds = new Map<string, Path>();
  const ruleSets = new Map<string, Path>();
  for (const [index, inbound] of (written.inbounds ?? []).entries()) {
    name(reading, inbounds, inboundTag(inbound, index), ['inbounds', index], 'tag', inbound?.tag);
  }
  for (const [index, outbound] of (written.outbounds ?? []).entries()) {
    name(reading, outbounds, outboundTag(outbound), ['outbounds', index], 'tag', outbound?.tag);
  }
  for (const [index, ruleSet] of (written.rule_sets ?? []).entries()) {
    name(reading, ruleSets, ruleSet?.tag, ['rule_sets', index], 'tag', ruleSet?.tag);
  }
  // Where the file has none, a `direct` is added.
  if (outbounds.size === 0) outbounds.set('direct', []);
  collectIdentities(reading, written);
  return { inbounds, outbounds, ruleSets };
}

/**
 * Names of services, users and servers: each once.
 * @param placed where somebody who did not write a file finds a path
 */
export function collectIdentities(
  reading: Reading,
  written: Pick<Written, 'services'>,
  placed?: (path: Path) => Path,
): void {
  if (areAllDifferent(written.services ?? [])) return;
  const services = new Map<string, Path>();
  const users = new Map<string, Path>();
  const serverNames = new Map<string, Path>();
  for (const [index, service] of (written.services ?? []).entries()) {
    const path: Path = ['services', index];
    name(reading, services, service?.name, path, 'name', service?.name, placed);
    for (const [place, user] of (service?.users ?? []).entries()) {
      const username = user?.username;
      if (username === undefined) continue;
      unique(
        reading,
        users,
        username,
        [...path, 'users', place, 'username'],
        () => `user name ${quoted(username)}`,
        placed,
      );
    }
    for (const [place, serverName] of (service?.server_names ?? []).entries()) {
      if (serverName === undefined) continue;
      const plain = plainServerName(serverName);
      unique(
        reading,
        serverNames,
        plain,
        [...path, 'server_names', place],
        () => `server name ${quoted(plain)}`,
        placed,
      );
    }
  }
}

/** Cheap, as it makes no paths: of a hundred thousand services hardly ever two share a name. */
function areAllDifferent(services: NonNullable<Written['services']>): boolean {
  const names = new Set<string>();
  const users = new Set<string>();
  const serverNames = new Set<string>();
  let count = 0;
  for (const service of services) {
    if (service?.name !== undefined && names.add(service.name).size !== ++count) return false;
  }
  count = 0;
  for (const service of services) {
    for (const user of service?.users ?? []) {
      if (user?.username !== undefined && users.add(user.username).size !== ++count) return false;
    }
  }
  count = 0;
  for (const service of services) {
    for (const serverName of service?.server_names ?? []) {
      if (serverName !== undefined && serverNames.add(plainServerName(serverName)).size !== ++count)
        return false;
    }
  }
  return true;
}

function plainServerName(written: string): string {
  return written.toLowerCase().replace(/\.$/, '');
}

/** @param own the name as written, undefined where it is the default: then the object itself is pointed at */
function name(
  reading: Reading,
  seen: Map<string, Path>,
  value: string | undefined,
  path: Path,
  key: string,
  own: string | undefined,
  placed?: (path: Path) => Path,
): void {
  if (value === undefined) return;
  const hint = own === undefined ? ' (by default; give it another)' : '';
  unique(
    reading,
    seen,
    value,
    own === undefined ? path : [...path, key],
    () => `${key} ${quoted(value)}${hint}`,
    placed,
  );
}

function unique(
  reading: Reading,
  seen: Map<string, Path>,
  value: string,
  path: Path,
  describe: () => string,
  placed = (first: Path) => first,
): void {
  const first = seen.get(value);
  if (first === undefined) {
    seen.set(value, path);
    return;
  }
  const message = `${describe()} is already used at ${pathText(placed(first))}`;
  reading.mistakes.push({ path, found: quoted(value), expected: 'one that is not used yet', message });
}

/** Complains of a name that nothing has. Also for those who check rules. */
export function refer(
  reading: Pick<Reading, 'mistakes' | 'untold'>,
  path: Path,
  value: string | undefined,
  kind: string,
  names: { has(name: string): boolean; keys(): Iterable<string>; readonly size: number },
): void {
  if (value === undefined || names.has(value)) return;
  complain(reading, () => {
    const found = quoted(value);
    const expected =
      names.size === 0
        ? `the tag of ${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}`
        : `one of ${[...names.keys()].slice(0, 10).join(', ')}`;
    const near = nearest(value, names.keys());
    const message = `${kind} ${found} is not defined`;
    return { path, found, expected, nearest: near, message };
  });
}
