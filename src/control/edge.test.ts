import { connect } from 'node:net';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkConfiguration } from '../config/check.ts';
import type { Configuration } from '../config/configuration.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import { EADDRINUSE } from '../sys/constants.ts';
import { createLibc } from '../sys/libc/libc.ts';
import { SocketAddress } from '../sys/socket-address.ts';
import { createEdge } from './edge.ts';
import type { Edge } from './edge.ts';

const sys = createLibc();
let directory = '';
let edge: Edge | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-edge-'));
});
afterEach(() => {
  edge?.closeListeners();
  rmSync(directory, { recursive: true });
});

function configured(...inbounds: string[]): Configuration {
  const text = `inbounds: [${inbounds.join(', ')}]\nservices: [{ name: a, users: [{ username: u, password: p }] }]`;
  const { configuration, mistakes } = checkConfiguration(text, join(directory, 'edge.yaml'));
  if (configuration === undefined) throw new Error(JSON.stringify(mistakes));
  return configuration;
}

function setUp(distribute: (version: number) => Promise<void> = async () => {}): Edge {
  const limits = {
    workers: 2,
    slotsPerWorker: 1,
    pipesPerWorker: 1,
    services: 8,
    credentials: 8,
    serverNames: 8,
    targets: 8,
  };
  const tables = attachTables(createTables(limits, new Int32Array(4)));
  edge = createEdge({ sys, tables, address: new SocketAddress(sys), descriptorLimit: 10_000, distribute });
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
    waits = true;
    const applying = edge.apply(configured('{ tag: s, type: socks5, listen: "127.0.0.1:0" }'));
    expect(edge.planFor(0).inbounds[0]?.listenFds[0]).toBe(fd);
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
});
