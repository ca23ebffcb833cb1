import { connect } from 'node:net';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkConfiguration } from '../config/check.ts';
import type { Configuration } from '../config/configuration.ts';
import type { Plan } from '../layout/messages.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import type { Tables } from '../layout/tables.ts';
import { EADDRINUSE } from '../sys/constants.ts';
import { createLibc } from '../sys/libc/libc.ts';
import { SocketAddress } from '../sys/socket-address.ts';
import { createEdge } from './edge.ts';
import type { Edge } from './edge.ts';
import { SluiceError } from './errors.ts';

const sys = createLibc();
let directory = '';
let edge: Edge | undefined;
let tables: Tables;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-edge-'));
});
afterEach(() => {
  edge?.closeListeners();
  rmSync(directory, { recursive: true });
});

function configured(...inbounds: string[]): Configuration {
  return checked(
    `inbounds: [${inbounds.join(', ')}]\nservices: [{ name: a, users: [{ username: u, password: p }] }]`,
  );
}

function checked(text: string): Configuration {
  const { configuration, mistakes } = checkConfiguration(text, join(directory, 'edge.yaml'));
  if (configuration === undefined) throw new Error(JSON.stringify(mistakes));
  return configuration;
}

function setUp(
  distribute: (version: number) => Promise<void> = async () => {},
  descriptorLimit = 10_000,
): Edge {
  const limits = {
    workers: 2,
    slotsPerWorker: 1,
    pipesPerWorker: 1,
    services: 8,
    credentials: 8,
    serverNames: 8,
    targets: 8,
    sources: 1024,
    networkWords: 1024,
    ruleWords: 65_536,
    receipts: 64,
    isIndexed: true,
  };
  tables = attachTables(createTables(limits, new Int32Array(4)));
  edge = createEdge({ sys, tables, address: new SocketAddress(sys), descriptorLimit, distribute });
  return edge;
}

function portOf(edge: Edge, tag: string): number {
  const listen = edge.inbounds().find((inbound) => inbound.tag === tag)?.listen ?? '';
  return Number(listen.slice(listen.lastIndexOf(':') + 1));
}

function canConnect(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ port, host });
    socket.on('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.on('error', () => done(false));
  });
}

describe('the configuration in force', () => {
  it('opens a socket a worker on one port, and says which', async () => {
    const edge = setUp();
    await edge.apply(configured('{ tag: s, type: socks5, listen: "127.0.0.1:0" }'));
    const fds = [0, 1].map((worker) => edge.planFor(worker).inbounds[0]?.listenFds[0]);
    expect(fds[0]).not.toBe(fds[1]);
    expect(portOf(edge, 's')).toBeGreaterThan(0);
    expect(await canConnect(portOf(edge, 's'))).toBe(true);
    expect(edge.budget.max).toBeLessThan(10_000);
    edge.closeListeners();
    expect(await canConnect(portOf(edge, 's'))).toBe(false);
  });

  it('listens on both families with the IPv6 wildcard, and on Unix paths', async () => {
    const edge = setUp();
    await edge.apply(
      configured(
        '{ tag: s, type: socks5, listen: "[::]:0" }',
        '{ tag: u, type: socks5, listen: "unix:./u.sock" }',
      ),
    );
    expect(await canConnect(portOf(edge, 's'), '127.0.0.1')).toBe(true);
    expect(await canConnect(portOf(edge, 's'), '::1')).toBe(true);
    expect(existsSync(join(directory, 'u.sock'))).toBe(true);
    const shared = [0, 1].map((worker) => edge.planFor(worker).inbounds[1]?.listenFds[0]);
    expect(shared[0]).toBe(shared[1]);
    edge.closeListeners();
    expect(existsSync(join(directory, 'u.sock'))).toBe(false);
  });

  it('keeps the sockets of an address that stays, and closes others only when all workers let go', async () => {
    let letGo: () => void = () => {};
    let waits = false;
    const edge = setUp(() => (waits ? new Promise((resolve) => (letGo = resolve)) : Promise.resolve()));
    await edge.apply(
      configured(
        '{ tag: s, type: socks5, listen: "127.0.0.1:0" }',
        '{ tag: t, type: http, listen: "127.0.0.1:0" }',
      ),
    );
    const before = [portOf(edge, 's'), portOf(edge, 't')] as const;
    const fd = edge.planFor(0).inbounds[0]?.listenFds[0];
    const rounds = edge.version;
    waits = true;
    const applying = edge.apply(configured('{ tag: s, type: socks5, listen: "127.0.0.1:0" }'));
    expect(edge.planFor(0).inbounds[0]?.listenFds[0]).toBe(fd);
    expect(await canConnect(before[1])).toBe(true);
    // Once when workers know what is new, once when they know what is gone.
    letGo();
    await expect.poll(() => edge.version, { timeout: 10_000 }).toBe(rounds + 2);
    expect(await canConnect(before[1])).toBe(true);
    letGo();
    await applying;
    expect(await canConnect(before[0])).toBe(true);
    expect(await canConnect(before[1])).toBe(false);
  });

  it('refuses an address where somebody listens, and changes nothing', async () => {
    const other = createServer();
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening));
    const { port } = other.address() as AddressInfo;
    const edge = setUp();
    await edge.apply(configured('{ tag: s, type: socks5, listen: "127.0.0.1:0" }'));
    const { version } = edge;
    const refused = edge.apply(
      configured(
        '{ tag: n, type: http, listen: "127.0.0.1:0" }',
        `{ tag: o, type: http, listen: "127.0.0.1:${port}" }`,
      ),
    );
    await expect(refused).rejects.toMatchObject({
      code: 'listen_failed',
      facts: { inbound: 'o', address: `127.0.0.1:${port}`, errno: -EADDRINUSE },
      message: expect.stringContaining('address already in use'),
    });
    expect(edge.version).toBe(version);
    expect(edge.inbounds().map((inbound) => inbound.tag)).toEqual(['s']);
    expect(await canConnect(portOf(edge, 's'))).toBe(true);
    other.close();
  });

  it('finds a second daemon of the same user, though SO_REUSEPORT would let it in', async () => {
    const first = setUp();
    await first.apply(configured('{ tag: s, type: socks5, listen: "127.0.0.1:0" }'));
    const second = setUp();
    const text = `{ tag: s, type: socks5, listen: "127.0.0.1:${portOf(first, 's')}" }`;
    await expect(second.apply(configured(text))).rejects.toMatchObject({ code: 'listen_failed' });
    first.closeListeners();
  });

  it('takes over its own port under another address', async () => {
    const edge = setUp();
    const probe = createServer();
    await new Promise<void>((listening) => probe.listen(0, '127.0.0.1', listening));
    const { port } = probe.address() as AddressInfo;
    await new Promise((closed) => probe.close(closed));
    await edge.apply(configured(`{ tag: s, type: socks5, listen: "0.0.0.0:${port}" }`));
    await edge.apply(configured(`{ tag: s, type: socks5, listen: "127.0.0.1:${port}" }`));
    expect(await canConnect(port)).toBe(true);
    expect(await canConnect(port, '127.0.0.2')).toBe(false);
  });

  it('refuses a descriptor limit below which not one connection fits, and opens nothing', async () => {
    const inbound = '{ tag: s, type: socks5, listen: "127.0.0.1:0" }';
    // 160 of the process, 16 a worker, 2 a listening socket, 2 of the connection.
    await expect(setUp(undefined, 197).apply(configured(inbound))).rejects.toMatchObject({
      code: 'descriptors_too_few',
      facts: { limit: 197, needed: 198 },
    });
    expect(edge?.inbounds()).toEqual([]);
    const edge2 = setUp(undefined, 198);
    await edge2.apply(configured(inbound));
    expect(edge2.budget.max).toBe(2);
  });
});

describe('what a new connection meets while a configuration is applied', () => {
  const F = 'type: forward, listen: "127.0.0.1:0"';

  /** What a connection of a service does on a worker that holds `plan`, and why it would be refused. */
  function outboundTag(edge: Edge, plan: Plan, service: string, tags: Map<number, string>): string {
    const row = edge.identities.serviceRow(service);
    const ofRow = tables.services.outbound(row);
    const index = ofRow >= 0 ? ofRow : plan.final;
    if (!plan.outbounds.some((outbound) => outbound.index === index)) return 'removed';
    return tags.get(index) ?? 'unknown';
  }

  it('is an outbound of the old configuration or of the new one, never one that its worker does not know', async () => {
    const tags = new Map<number, string>();
    const seen: Record<string, string[]> = { named: [], moved: [], left: [], final: [] };
    let held: Plan | undefined;
    const look = () => {
      const plan = held;
      if (plan === undefined) return;
      for (const [service, all] of Object.entries(seen)) all.push(outboundTag(edge, plan, service, tags));
    };
    const edge: Edge = setUp(async () => {
      look();
      held = edge.planFor(0);
      // Marked by fwmark: the plan has no tags.
      for (const { index, fwmark } of held.outbounds) tags.set(index, `o${fwmark}`);
      look();
    });
    const outbounds = (...marks: number[]) =>
      marks.map((mark) => `{ tag: o${mark}, type: direct, fwmark: ${mark} }`).join(', ');
    await edge.apply(
      checked(`inbounds: [{ tag: s, type: socks5, listen: "127.0.0.1:0" }]
outbounds: [${outbounds(1, 2, 5)}]
services: [{ name: named, outbound: o1 }, { name: moved }, { name: left, outbound: o2 }, { name: final }]
final: o5`),
    );
    for (const all of Object.values(seen)) all.length = 0;
    look();
    await edge.apply(
      checked(`inbounds: [{ tag: s, type: socks5, listen: "127.0.0.1:0" }]
outbounds: [${outbounds(3, 4, 5)}]
services: [{ name: named, outbound: o3 }, { name: moved, outbound: o5 }, { name: left }, { name: final }]
final: o4`),
    );
    look();
    expect(new Set(seen['named'])).toEqual(new Set(['o1', 'o3']));
    expect(new Set(seen['moved'])).toEqual(new Set(['o5']));
    expect(new Set(seen['left'])).toEqual(new Set(['o2', 'o4']));
    expect(new Set(seen['final'])).toEqual(new Set(['o5', 'o4']));
    expect(held?.outbounds.map(({ fwmark }) => fwmark)).toEqual([3, 4, 5]);
    expect(tables.services.outbound(edge.identities.serviceRow('left'))).toBe(-1);
  });

  it('is a service and a target that are there, where its inbound changed both', async () => {
    let held: Plan | undefined;
    const isThere: boolean[] = [];
    const look = () => {
      const inbound = held?.inbounds[0];
      if (inbound === undefined) return;
      isThere.push(tables.services.generation(inbound.service) % 2 === 1);
      isThere.push(tables.targets.generation(inbound.target) % 2 === 1);
    };
    const edge: Edge = setUp(async () => {
      look();
      held = edge.planFor(0);
      look();
    });
    const one = (service: string, port: number) =>
      checked(
        `inbounds: [{ tag: f, ${F}, service: ${service}, target: "127.0.0.1:${port}" }]\nservices: [{ name: ${service} }]`,
      );
    await edge.apply(one('before', 1));
    await edge.apply(one('after', 2));
    look();
    expect(isThere.length).toBeGreaterThan(6);
    expect(isThere).not.toContain(false);
  });

  it('is all there, and complete, where a worker is late for the first of the two plans', async () => {
    let late = 0;
    const edge: Edge = setUp(async (version) => {
      if (late-- > 0) throw new SluiceError('plan_not_applied', 'late', { version, workers: [0] });
    });
    await edge.apply(configured('{ tag: s, type: socks5, listen: "127.0.0.1:0" }'));
    const next = configured('{ tag: n, type: socks5, listen: "127.0.0.1:0" }');
    late = 1;
    await expect(edge.apply(next)).resolves.toMatchObject({ inbounds: { added: ['n'], removed: ['s'] } });
    late = 2;
    await expect(edge.apply(next)).rejects.toMatchObject({ code: 'plan_not_applied' });
  });
});

describe('our own listeners, which are nobody’s target', () => {
  const inbound = 'inbounds: [{ tag: s, type: socks5, listen: "unix:./s.sock" }]';
  const loopback = [0, 0, 0xffff, 0x7f000001] as const;

  it('include the admin API where it is open, whatever a reload says of it, and not where it is not', async () => {
    const told: number[][] = [];
    const edge: Edge = setUp(async () => {
      told.push([...edge.planFor(1).ownListeners]);
    });
    await edge.apply(checked(`${inbound}\nadmin: { listen: "127.0.0.1:9090" }`));
    expect(told.at(-1)).toEqual([...loopback, 9090]);
    await edge.apply(checked(inbound));
    expect(told.at(-1)).toEqual([...loopback, 9090]);
    await edge.apply(checked(`${inbound}\nadmin: { listen: "127.0.0.1:9191" }`));
    expect(told.at(-1)).toEqual([...loopback, 9090]);
  });

  it('have the port that the kernel chose, and workers are told', async () => {
    const told: number[][] = [];
    const edge: Edge = setUp(async () => {
      told.push([...edge.planFor(1).ownListeners]);
    });
    await edge.apply(checked(`${inbound}\nadmin: { listen: "127.0.0.1:0" }`));
    expect(told.at(-1)).toEqual([]);
    await edge.addOwnListener({ words: loopback, port: 40_001 });
    expect(told.at(-1)).toEqual([...loopback, 40_001]);
    await edge.apply(checked(inbound));
    expect(told.at(-1)).toEqual([...loopback, 40_001]);
  });
});
