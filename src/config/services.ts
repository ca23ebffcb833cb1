// Services as written → checked: identity (users, server names) and policy.

import { parseScryptHash, SCRYPT_FORM, SCRYPT_PREFIX } from '../policy/scrypt-hash.ts';
import { parseDataRate, parseDuration, parseEventRate } from '../policy/units.ts';
import { parsePrefix, parseServerName, parseTarget } from './addresses.ts';
import type { Devices, Gate, Rate, Service, User } from './configuration.ts';
import { type Path, quoted } from './mistakes.ts';
import { type Reading, read, readAll } from './reading.ts';
import { DEFAULTS, type WrittenConfiguration } from './schema.ts';
import type { Partly } from './shape.ts';

export type WrittenService = Partly<NonNullable<WrittenConfiguration['services']>[number]>;

/** SOCKS5 counts user names and passwords in one byte. @source RFC 1929 */
const CREDENTIAL_BYTES_MAX = 255;

/** They would move the cursor of whoever reads a list of users. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** @returns undefined where it has no name to go by */
export function readService(
  reading: Reading,
  written: WrittenService | undefined,
  index: number,
): Service | undefined {
  if (written?.name === undefined) return undefined;
  const path: Path = ['services', index];
  const serverNames = readAll(reading, [...path, 'server_names'], written.server_names, parseServerName);
  const target = read(reading, [...path, 'target'], written.target, (text) =>
    parseTarget(text, reading.baseDirectory),
  );
  if ((written.server_names?.length ?? 0) > 0 && written.target === undefined) {
    const message = 'has server_names but lacks "target", where their connections go';
    reading.mistakes.push({ path, found: 'nothing', expected: '`target`', message });
  }
  return {
    name: written.name,
    enabled: written.enabled ?? true,
    implicit: false,
    users: readUsers(reading, written.users, [...path, 'users']),
    serverNames,
    target,
    gate: readGate(reading, written.gate, [...path, 'gate']),
    rate: readRate(reading, written.rate, [...path, 'rate']),
    devices: readDevices(reading, written.devices, [...path, 'devices']),
    sources: readAll(reading, [...path, 'sources'], written.sources, parsePrefix),
    outbound: written.outbound,
  };
}

function readUsers(reading: Reading, written: WrittenService['users'], path: Path): User[] {
  const users: User[] = [];
  for (const [index, user] of (written ?? []).entries()) {
    const { username, password } = user ?? {};
    if (username !== undefined) checkUsername(reading, username, [...path, index, 'username']);
    if (password !== undefined) checkPassword(reading, password, [...path, index, 'password']);
    if (username !== undefined && password !== undefined) users.push({ username, password });
  }
  return users;
}

function checkUsername(reading: Reading, username: string, path: Path): void {
  checkLength(reading, username, path);
  if (!CONTROL.test(username)) return;
  const expected = 'a user name without control characters';
  reading.mistakes.push({ path, found: quoted(username), expected });
}

function checkPassword(reading: Reading, password: string, path: Path): void {
  if (!password.startsWith(SCRYPT_PREFIX)) {
    checkLength(reading, password, path);
    return;
  }
  const parsed = parseScryptHash(password);
  if (typeof parsed !== 'string') return;
  const message = `the scrypt hash ${parsed}`;
  reading.mistakes.push({ path, found: 'a hash that is not shown', expected: SCRYPT_FORM, message });
}

function checkLength(reading: Reading, text: string, path: Path): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= CREDENTIAL_BYTES_MAX) return;
  reading.mistakes.push({ path, found: `${bytes} bytes`, expected: `at most ${CREDENTIAL_BYTES_MAX} bytes` });
}

function readGate(reading: Reading, written: WrittenService['gate'], path: Path): Gate | undefined {
  const eventsPerSecond = read(reading, [...path, 'rate'], written?.rate, parseEventRate);
  if (eventsPerSecond === undefined) return undefined;
  return { eventsPerSecond, burst: written?.burst ?? Math.max(1, Math.ceil(eventsPerSecond)) };
}

function readRate(reading: Reading, written: WrittenService['rate'], path: Path): Rate {
  return {
    upBytesPerSecond: read(reading, [...path, 'up'], written?.up, parseDataRate),
    downBytesPerSecond: read(reading, [...path, 'down'], written?.down, parseDataRate),
  };
}

function readDevices(reading: Reading, written: WrittenService['devices'], path: Path): Devices | undefined {
  if (written === undefined) return undefined;
  const defaults = DEFAULTS.devices;
  const lingerMs = read(reading, [...path, 'linger'], written.linger ?? defaults.linger, parseDuration);
  const graceMs = read(reading, [...path, 'grace'], written.grace ?? defaults.grace, parseDuration);
  const check = written.check ?? defaults.check;
  if (check !== 'local' && !isHttpAddress(check)) {
    // Not repeated: an address may carry a password.
    const expected = 'local, or an http(s) address';
    reading.mistakes.push({ path: [...path, 'check'], found: 'something else', expected });
  }
  if (written.limit === undefined || lingerMs === undefined || graceMs === undefined) return undefined;
  return {
    limit: written.limit,
    per: written.per ?? defaults.per,
    ipv6PrefixBits: written.ipv6_prefix ?? defaults.ipv6_prefix,
    lingerMs,
    graceMs,
    whenFull: written.when_full ?? defaults.when_full,
    check,
    onFailure: written.on_failure ?? defaults.on_failure,
  };
}

function isHttpAddress(text: string): boolean {
  return /^https?:\/\/[^/]/i.test(text) && URL.canParse(text);
}
