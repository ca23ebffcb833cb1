// Inbounds as written → checked, and which service and target each one leads to.

import { parseListen, parsePrefix, parseTarget } from './addresses.ts';
import type { Inbound, IpEndpoint, Service, Target } from './configuration.ts';
import { type Path, quoted } from './mistakes.ts';
import { nearest } from './nearest.ts';
import { type Reading, read, readAll } from './reading.ts';
import type { WrittenConfiguration } from './schema.ts';
import type { Partly } from './shape.ts';

/** The service of clients that nobody asked who they are. */
export const DEFAULT_SERVICE = 'default';

type WrittenInbound = Partly<WrittenConfiguration['inbounds'][number]>;

/** The tag that an inbound has, also where none is written. */
export function inboundTag(written: WrittenInbound | undefined, index: number): string | undefined {
  if (written?.tag !== undefined) return written.tag;
  return written?.type === undefined ? undefined : `${written.type}-${index}`;
}

/**
 * @param services by name, as the file has them; an implicit one is added where an inbound declares it
 * @returns undefined where a mistake keeps it from being used
 */
export function readInbound(
  reading: Reading,
  written: WrittenInbound | undefined,
  index: number,
  services: Map<string, Service>,
): Inbound | undefined {
  const tag = inboundTag(written, index);
  if (written?.type === undefined || tag === undefined) return undefined;
  const path: Path = ['inbounds', index];
  const listen = read(reading, [...path, 'listen'], written.listen, (text) =>
    parseListen(text, reading.baseDirectory),
  );
  const acceptProxyProtocol = readAll(
    reading,
    [...path, 'accept_proxy_protocol'],
    written.accept_proxy_protocol,
    parsePrefix,
  );
  const own = written.type === 'forward' ? written.target : undefined;
  const ownTarget = read(reading, [...path, 'target'], own, (text) =>
    parseTarget(text, reading.baseDirectory),
  );
  const hasService = written.type === 'forward' || written.type === 'socks5' || written.type === 'http';
  const named = hasService ? written.service : undefined;
  const isProxy = written.type === 'socks5' || written.type === 'http';
  const asksUsers = isProxy && written.ask_users === true;
  if (asksUsers && named !== undefined) {
    const message = '`ask_users` contradicts `service`, which belongs to all its clients without asking them';
    reading.mistakes.push({
      path: [...path, 'ask_users'],
      found: 'true',
      expected: 'one of the two',
      message,
    });
  }
  const service = hasService && !asksUsers ? serviceOf(reading, !isProxy, named, path, services) : undefined;
  if (isProxy) warnIfOpen(reading, listen, service, path);

  const target = ownTarget ?? (written.type === 'forward' ? services.get(service ?? '')?.target : undefined);
  if (written.type === 'forward' && own === undefined && target === undefined && service !== undefined) {
    lackOfTarget(reading, named, path);
  }
  if (listen === undefined) return undefined;
  return {
    tag,
    type: written.type,
    network: written.type === 'forward' ? (written.network ?? 'tcp') : 'tcp',
    listen,
    service,
    target,
    proxyProtocol: written.type === 'forward' || written.type === 'sni' ? written.proxy_protocol : undefined,
    acceptProxyProtocol,
    asksOnceThereAreUsers: isProxy && named === undefined && !asksUsers,
  };
}

function serviceOf(
  reading: Reading,
  isForward: boolean,
  named: string | undefined,
  path: Path,
  services: Map<string, Service>,
): string | undefined {
  if (named === undefined) {
    if (!isForward && hasUsers(services)) return undefined;
    return declare(services, DEFAULT_SERVICE);
  }
  const service = services.get(named);
  if (service !== undefined) {
    if (!isForward && service.users.length > 0) {
      reading.mistakes.push({
        path: [...path, 'service'],
        found: quoted(service.name),
        expected: 'a service without users, or no key `service`',
        message:
          `service ${quoted(service.name)} has users, but an inbound with \`service\` asks nobody who they are; ` +
          'leave `service` out and users are asked',
      });
    }
    return service.name;
  }
  const defined = [...services.values()].filter((candidate) => !candidate.implicit);
  const near = nearest(
    named,
    defined.map((candidate) => candidate.name),
  );
  const found = quoted(named);
  if (near !== undefined) {
    const message = `service ${found} is not defined`;
    const expected = 'the name of a service';
    reading.mistakes.push({ path: [...path, 'service'], found, expected, nearest: near, message });
    return undefined;
  }
  // An implicit service stands for itself from here on: a second inbound may share it without a second warning.
  reading.warnings.push({
    path: [...path, 'service'],
    found,
    expected: 'the name of a service',
    message: `service ${found} is not defined under \`services\`; it is made here, without any limits`,
  });
  return declare(services, named);
}

function hasUsers(services: ReadonlyMap<string, Service>): boolean {
  for (const service of services.values()) if (service.users.length > 0) return true;
  return false;
}

function declare(services: Map<string, Service>, name: string): string {
  if (!services.has(name)) services.set(name, implicitService(name));
  return name;
}

function implicitService(name: string): Service {
  return {
    name,
    enabled: true,
    implicit: true,
    users: [],
    serverNames: [],
    target: undefined,
    gate: undefined,
    rate: { upBytesPerSecond: undefined, downBytesPerSecond: undefined },
    devices: undefined,
    sources: [],
    outbound: undefined,
  };
}

function lackOfTarget(reading: Reading, service: string | undefined, path: Path): void {
  const whose = service === undefined ? 'it has no service' : `service ${quoted(service)} has none`;
  reading.mistakes.push({
    path,
    found: 'nothing',
    expected: '`target`, here or in its service',
    message: `lacks "target", and ${whose} to take it from`,
  });
}

/** A proxy that asks nobody and can be reached from elsewhere is found and abused within hours. */
function warnIfOpen(
  reading: Reading,
  listen: Inbound['listen'] | undefined,
  service: string | undefined,
  path: Path,
): void {
  if (service === undefined || listen?.kind !== 'ip' || isLoopback(listen)) return;
  reading.warnings.push({
    path: [...path, 'listen'],
    found: quoted(listen.text),
    expected: 'a loopback address, or users in services',
    message: `clients from elsewhere can use this proxy without a password (service ${quoted(service)})`,
  });
}

/** Inbounds that would connect to themselves, at once or through other inbounds. */
export function findTargetLoops(reading: Reading, inbounds: readonly (Inbound | undefined)[]): void {
  for (const [index, first] of inbounds.entries()) {
    let current = first;
    let steps = 0;
    while (current?.target !== undefined && steps <= inbounds.length) {
      const target: Target = current.target;
      const network = current.network;
      current = inbounds.find((other) => other?.network === network && leadsTo(target, other));
      steps++;
      if (current === first) break;
    }
    if (first?.target === undefined || current !== first) continue;
    const message =
      steps === 1
        ? `target ${quoted(first.target.text)} is its own listen address`
        : `target ${quoted(first.target.text)} leads back to its own listen address through other inbounds`;
    const path = ['inbounds', index, 'target'];
    reading.mistakes.push({ path, found: quoted(first.target.text), expected: 'another address', message });
  }
}

function leadsTo(target: Target, inbound: Inbound): boolean {
  const { listen } = inbound;
  if (target.kind === 'unix' || listen.kind === 'unix') return target.text === listen.text;
  if (target.port !== listen.port) return false;
  const isAll = listen.text.startsWith('0.0.0.0:') || listen.text.startsWith('[::]:');
  if (target.kind === 'name') return target.name === 'localhost' && (isAll || isLoopback(listen));
  return target.text === listen.text || (isAll && isLoopback(target));
}

function isLoopback(endpoint: IpEndpoint): boolean {
  return endpoint.text.startsWith('127.') || endpoint.text.startsWith('[::1]:');
}
