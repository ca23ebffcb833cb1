// Outbounds as written → checked.

import { parseDuration } from '../policy/units.ts';
import { addressMistake, parseAddress, parsePrefix, parseTarget } from './addresses.ts';
import type {
  DirectOutbound,
  GroupOutbound,
  Keepalive,
  Outbound,
  Socks5Outbound,
  Target,
} from './configuration.ts';
import { type Path, quoted } from './mistakes.ts';
import { type Reading, read, readAll } from './reading.ts';
import { DEFAULTS, type WrittenConfiguration } from './schema.ts';
import type { Partly } from './shape.ts';

export type WrittenOutbound = Partly<NonNullable<WrittenConfiguration['outbounds']>[number]>;

/** What the kernel takes for TCP_KEEPIDLE and TCP_KEEPINTVL. @source MAX_TCP_KEEPIDLE in include/net/tcp.h */
const KEEPALIVE_MS = { min: 1_000, max: 32_767_000 };
/** TCP_USER_TIMEOUT is an int of milliseconds. */
const USER_TIMEOUT_MS = { min: 1, max: 2 ** 31 - 1 };

/** Where nothing is written, and where the file has no outbounds at all. */
export const IMPLICIT_DIRECT: DirectOutbound = {
  type: 'direct',
  tag: 'direct',
  bind: [],
  interfaceName: undefined,
  fwmark: undefined,
  keepalive: undefined,
  tcpUserTimeoutMs: undefined,
  congestion: undefined,
  allowDestinations: [],
  ipVersion: DEFAULTS.ipVersion,
};

/** The tag that an outbound has, also where none is written. */
export function outboundTag(written: WrittenOutbound | undefined): string | undefined {
  return written?.tag ?? written?.type;
}

/** @returns undefined where a mistake keeps it from being used */
export function readOutbound(
  reading: Reading,
  written: WrittenOutbound | undefined,
  index: number,
): Outbound | undefined {
  const path: Path = ['outbounds', index];
  switch (written?.type) {
    case 'direct':
      return readDirect(reading, written, path);
    case 'socks5':
      return readSocks5(reading, written, path);
    case 'group':
      return readGroup(reading, written, path);
    default:
      return undefined;
  }
}

type Variant<Type extends Outbound['type']> = Extract<WrittenOutbound, { readonly type?: Type | undefined }>;

function readDirect(reading: Reading, written: Variant<'direct'>, path: Path): DirectOutbound {
  const bindTexts = typeof written.bind === 'string' ? [written.bind] : written.bind;
  const bindPath = [...path, 'bind'];
  const parse = (text: string) => parseAddress(text) ?? addressMistake(text);
  const bind =
    typeof written.bind === 'string'
      ? [read(reading, bindPath, written.bind, parse)].filter((address) => address !== undefined)
      : readAll(reading, bindPath, bindTexts, parse);
  const userTimeoutPath = [...path, 'tcp_user_timeout'];
  return {
    type: 'direct',
    tag: written.tag ?? written.type ?? 'direct',
    bind,
    interfaceName: written.interface,
    fwmark: written.fwmark,
    keepalive: readKeepalive(reading, written.keepalive, [...path, 'keepalive']),
    tcpUserTimeoutMs: read(reading, userTimeoutPath, written.tcp_user_timeout, (text) =>
      parseDuration(text, USER_TIMEOUT_MS),
    ),
    congestion: written.congestion,
    allowDestinations: readAll(
      reading,
      [...path, 'allow_destinations'],
      written.allow_destinations,
      parsePrefix,
    ),
    ipVersion: written.ip_version ?? DEFAULTS.ipVersion,
  };
}

function readKeepalive(
  reading: Reading,
  written: Variant<'direct'>['keepalive'],
  path: Path,
): Keepalive | undefined {
  if (written === undefined) return undefined;
  const isShort = typeof written === 'string';
  const idle = readSeconds(reading, isShort ? written : written.idle, isShort ? path : [...path, 'idle']);
  const intervalText = isShort ? undefined : written.interval;
  const interval = readSeconds(reading, intervalText ?? DEFAULTS.keepalive.interval, [...path, 'interval']);
  const count = (isShort ? undefined : written.count) ?? DEFAULTS.keepalive.count;
  if (idle === undefined || interval === undefined) return undefined;
  return { idleSeconds: idle, intervalSeconds: interval, count };
}

function readSeconds(reading: Reading, text: string | undefined, path: Path): number | undefined {
  const ms = read(reading, path, text, (written) => {
    const parsed = parseDuration(written, KEEPALIVE_MS);
    if (typeof parsed !== 'number' || parsed % 1_000 === 0) return parsed;
    return { expected: 'whole seconds such as 30s', wrong: 'is finer than the kernel counts' };
  });
  return ms === undefined ? undefined : ms / 1_000;
}

function readSocks5(reading: Reading, written: Variant<'socks5'>, path: Path): Socks5Outbound | undefined {
  const server: Target | undefined = read(reading, [...path, 'server'], written.server, (text) =>
    parseTarget(text, reading.baseDirectory),
  );
  if (server === undefined) return undefined;
  const { username, password } = written;
  return { type: 'socks5', tag: written.tag ?? 'socks5', server, username, password };
}

function readGroup(reading: Reading, written: Variant<'group'>, path: Path): GroupOutbound {
  const check = written.health_check;
  const intervalText = check === undefined ? undefined : (check.interval ?? DEFAULTS.healthCheckInterval);
  const intervalMs = read(reading, [...path, 'health_check', 'interval'], intervalText, parseDuration);
  return {
    type: 'group',
    tag: written.tag ?? 'group',
    members: (written.members ?? []).filter((member) => member !== undefined),
    strategy: written.strategy ?? DEFAULTS.strategy,
    healthCheck: intervalMs === undefined ? undefined : { intervalMs },
  };
}

/** Groups that contain themselves, at once or through other groups. Told once for each group on the way. */
export function findGroupLoops(reading: Reading, outbounds: readonly (WrittenOutbound | undefined)[]): void {
  const members = new Map<string, readonly (string | undefined)[]>();
  for (const outbound of outbounds) {
    const tag = outboundTag(outbound);
    if (tag !== undefined && outbound?.type === 'group') members.set(tag, outbound.members ?? []);
  }
  for (const [index, outbound] of outbounds.entries()) {
    const tag = outboundTag(outbound);
    if (tag === undefined || outbound?.type !== 'group' || !reaches(members, tag)) continue;
    const message = `group ${quoted(tag)} contains itself, at once or through other groups`;
    const path = ['outbounds', index, 'members'];
    reading.mistakes.push({ path, found: 'a loop', expected: 'groups without loops', message });
  }
}

function reaches(members: ReadonlyMap<string, readonly (string | undefined)[]>, start: string): boolean {
  const seen = new Set<string>();
  const open = [start];
  for (let tag = open.pop(); tag !== undefined; tag = open.pop()) {
    for (const member of members.get(tag) ?? []) {
      if (member === start) return true;
      if (member === undefined || seen.has(member)) continue;
      seen.add(member);
      open.push(member);
    }
  }
  return false;
}
