// Every load against an origin on its own poll, over the real kernel; and what each must notice: a wrong byte, a stall,
// a port where nobody listens.

import { expect, test } from 'vitest';
import { createLibc } from '../../src/sys/libc/libc.ts';
import type { Sys } from '../../src/sys/sys.ts';
import { runBulk } from './bulk.ts';
import { runChurn } from './churn.ts';
import { runClosedLoop } from './closed-loop.ts';
import { runConnectClose } from './connect-close.ts';
import { runHelloConnects } from './hello-connects.ts';
import { releaseHeld, runHold } from './hold.ts';
import { createLoad } from './load.ts';
import { runOpenLoop } from './open-loop.ts';
import { ECHO, SINK, SOURCE } from './origin.ts';

const TIMES = { pids: [], warmupMs: 10, measureMs: 100 };

/** The real `Sys` with some of its calls replaced. */
function changed(change: (sys: Sys) => Partial<Sys>): Sys {
  const sys = createLibc();
  return { ...sys, ...change(sys) };
}

test('closed loop counts its round trips and their latencies', () => {
  const load = createLoad(createLibc());
  const port = load.origin.listen(ECHO);
  for (const bytes of [1, 64, 16_384, 262_144]) {
    const result = runClosedLoop(load, { ...TIMES, port, connections: 4, bytes });
    expect(result.failures).toBe(0);
    expect(result.operations).toBeGreaterThan(0);
    expect(result.p50Us).toBeGreaterThan(0);
    expect(result.p99Us).toBeGreaterThanOrEqual(result.p50Us);
  }
});

test('closed loop ends at once, with failures, where nobody listens', () => {
  const load = createLoad(createLibc());
  const result = runClosedLoop(load, { ...TIMES, measureMs: 60_000, port: 1, connections: 4, bytes: 64 });
  expect(result).toMatchObject({ failures: 4, operations: 0 });
});

test('open loop keeps its rate', () => {
  const load = createLoad(createLibc());
  const port = load.origin.listen(ECHO);
  const work = { ...TIMES, measureMs: 300, port, connections: 10, bytes: 64, requestsPerSecond: 2000 };
  const result = runOpenLoop(load, work);
  expect(result.failures).toBe(0);
  expect(result.operations / result.seconds / 2000).toBeCloseTo(1, 0);
});

test('open loop makes a stall cost every request that was due in it', () => {
  const stallMs = 100;
  let stallAtMs = Number.POSITIVE_INFINITY;
  const sys = changed((real) => ({
    epollWait(...parameters) {
      if (performance.now() > stallAtMs) {
        stallAtMs = Number.POSITIVE_INFINITY;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
      }
      return real.epollWait(...parameters);
    },
  }));
  const load = createLoad(sys);
  const port = load.origin.listen(ECHO);
  stallAtMs = performance.now() + 100;
  // A third of the measured time is a stall: a third of the requests waited, half of these longer than half of it.
  const work = { ...TIMES, measureMs: 300, port, connections: 1, bytes: 64, requestsPerSecond: 1000 };
  const result = runOpenLoop(load, work);
  expect(result.p99Us).toBeGreaterThan(0.8 * stallMs * 1000);
  expect(result.operations).toBeGreaterThan(200);
});

test('churn and round trips keep their rates beside each other', () => {
  const load = createLoad(createLibc());
  const port = load.origin.listen(ECHO);
  const trips = { ...TIMES, measureMs: 300, port, connections: 4, bytes: 64, requestsPerSecond: 1000 };
  const comings = {
    churnPort: port,
    churnPerSecond: 500,
    end: 'reset',
    socketPath: '',
    churnService: '',
  } as const;
  const work = { ...trips, ...comings };
  const result = runChurn(load, work);
  expect(result).toMatchObject({ failures: 0, answered: 0, goneP99Us: Number.NaN });
  expect(result.operations / result.seconds / 1000).toBeCloseTo(1, 0);
  expect(result.ended / result.seconds / 500).toBeCloseTo(1, 0);
  const refused = runChurn(load, { ...work, churnPort: 1 });
  expect(refused.failures).toBeGreaterThan(100);
  expect(refused.operations).toBeGreaterThan(100);
});

test.each([true, false])('connect and close, with reset: %s', (reset) => {
  const load = createLoad(createLibc());
  const port = load.origin.listen(ECHO);
  const work = {
    port,
    pids: [],
    inFlight: 8,
    warmupConnections: 10,
    measuredConnections: 50,
    bytes: 64,
    reset,
  };
  const result = runConnectClose(load, work);
  expect(result.failures).toBe(0);
  // Those in flight at the warm-up's end count on either side of it.
  expect(result.operations).toBeGreaterThanOrEqual(42);
  expect(result.operations).toBeLessThanOrEqual(50);
});

test('connections that say a name count as failed where the verdict is another than was expected', () => {
  const load = createLoad(createLibc());
  const work = {
    port: load.origin.listen(ECHO),
    pids: [],
    inFlight: 4,
    warmupConnections: 5,
    measuredConnections: 20,
    names: ['a.example', 'b.example'],
  };
  expect(runHelloConnects(load, { ...work, refused: '00' }).failures).toBe(0);
  expect(runHelloConnects(load, { ...work, refused: '01' }).failures).toBe(12);
});

test('connections that are refused are counted, every one', () => {
  const load = createLoad(createLibc());
  const work = {
    pids: [],
    inFlight: 4,
    warmupConnections: 5,
    measuredConnections: 20,
    bytes: 64,
    reset: false,
  };
  expect(runConnectClose(load, { ...work, port: 1 })).toMatchObject({ failures: 25, operations: 0 });
});

test.each(['down', 'up'] as const)('bulk %s is exact', (direction) => {
  const load = createLoad(createLibc());
  const port = load.origin.listen(direction === 'down' ? SOURCE : SINK);
  const result = runBulk(load, { ...TIMES, port, connections: 2, direction });
  expect(result.failures).toBe(0);
  expect(result.operations).toBeGreaterThan(1_000_000);
});

test.each(['down', 'up'] as const)('bulk %s notices one wrong byte', (direction) => {
  let receivedBytes = 0;
  let buffers: Uint8Array[] = [];
  const sys = changed((real) => ({
    addressOf(bytes) {
      buffers = [...buffers, bytes];
      return real.addressOf(bytes);
    },
    recv(fd, address, length, flags) {
      const received = real.recv(fd, address, length, flags);
      const before = receivedBytes;
      if (received > 8) receivedBytes += received;
      if (before < 3_000_000 && receivedBytes >= 3_000_000) {
        const buffer = buffers.find((each) => real.addressOf(each) === address) as Uint8Array;
        buffer[received >> 1] = (buffer[received >> 1] as number) ^ 1;
      }
      return received;
    },
  }));
  const load = createLoad(sys);
  const port = load.origin.listen(direction === 'down' ? SOURCE : SINK);
  expect(runBulk(load, { ...TIMES, port, connections: 2, direction }).failures).toBe(1);
});

test('held connections stay until they are released', () => {
  const load = createLoad(createLibc());
  const port = load.origin.listen(ECHO);
  expect(runHold(load, { port, connections: 10 })).toEqual({ held: 10, failures: 0 });
  expect(runHold(load, { port, connections: 25 })).toEqual({ held: 25, failures: 0 });
  expect(releaseHeld(load)).toEqual({ held: 0, failures: 0 });
  expect(runHold(load, { port: 1, connections: 3 })).toEqual({ held: 0, failures: 3 });
});
