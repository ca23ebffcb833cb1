// The works beside the peers: what Sluice must reach in them (issue 2, item 11).

import type { Bench } from './bench.ts';
import type { LoadResult } from './load/load.ts';
import { ECHO, SINK, SOURCE } from './load/origin.ts';
import { timeWaitCount, waitForTimeWaitRoom } from './process/ports.ts';
import { settledResidentBytes } from './process/resident.ts';
import type { Running } from './subjects/subject.ts';
import { busy, CPU_BUSY, EXTRA_MS, type Measured, type Metric, type Scale, type Work } from './work.ts';

function remarkOn(result: LoadResult, wanted: string): Pick<Measured, 'remark'> {
  if (result.operations === 0) return { remark: 'nothing was finished in the measured time' };
  return result.failures === 0 ? {} : { remark: `${result.failures} ${wanted}` };
}

async function measureClosed(
  bench: Bench,
  running: Running,
  scale: Scale,
  connections: number,
  bytes: number,
): Promise<Measured> {
  const { port, pids } = running;
  const { warmupMs, measureMs } = scale;
  const order = {
    kind: 'closed-loop',
    work: { port, pids, connections, bytes, warmupMs, measureMs },
  } as const;
  const result = await bench.order(order, warmupMs + measureMs + EXTRA_MS);
  return {
    figures: {
      cpu: result.cpuNs / 1000 / result.operations,
      rate: result.operations / result.seconds,
      p50: result.p50Us,
      p99: result.p99Us,
      busy: busy(result),
    },
    ...remarkOn(result, 'connections broke'),
  };
}

const ROUND_TRIP_CPU: Metric = { name: 'cpu', unit: 'us CPU a round trip', digits: 2 };
const FULL_LOAD_METRICS: readonly Metric[] = [
  { name: 'rate', unit: 'round trips/s', digits: 0, plain: true },
  { name: 'p50', unit: 'us, at full load', digits: 0, plain: true },
  { name: 'p99', unit: 'us, at full load', digits: 0, plain: true },
  CPU_BUSY,
];

export function roundTrip(name: string, title: string, bytes: number, metrics: readonly Metric[]): Work {
  return {
    name,
    title,
    service: ECHO,
    subjects: ['sluice', 'haproxy', 'nginx', 'node-net'],
    metrics,
    measure: (bench, running, scale) => measureClosed(bench, running, scale, scale.connections, bytes),
  };
}

const pingPong: Work = {
  name: 'ping-pong',
  title: '64 B ping-pong on one connection, closed loop',
  service: ECHO,
  subjects: ['sluice', 'haproxy', 'haproxy-again', 'nginx', 'node-net', 'direct'],
  metrics: [
    { name: 'p50', unit: 'us', digits: 2, latency: true, limits: { haproxy: 0.95 } },
    { name: 'p99', unit: 'us', digits: 2, latency: true },
    { name: 'cpu', unit: 'us CPU a round trip', digits: 2 },
    CPU_BUSY,
  ],
  measure: (bench, running, scale) => measureClosed(bench, running, scale, 1, 64),
};

export function connectClose(name: string, title: string, reset: boolean): Work {
  return {
    name,
    title,
    service: ECHO,
    subjects: ['sluice', 'haproxy', 'nginx', 'node-net'],
    metrics: [
      { name: 'cpu', unit: 'us CPU a connection', digits: 2, limits: { haproxy: 1 } },
      { name: 'rate', unit: 'connections/s', digits: 0, plain: true },
      CPU_BUSY,
    ],
    async measure(bench, running, scale) {
      const { warmupConnections, measuredConnections } = scale;
      await waitForTimeWaitRoom(2 * (warmupConnections + measuredConnections));
      const { port, pids } = running;
      const work = {
        port,
        pids,
        inFlight: Math.min(32, measuredConnections),
        warmupConnections,
        measuredConnections,
        bytes: 64,
        reset,
      };
      const result = await bench.order({ kind: 'connect-close', work }, 4 * EXTRA_MS);
      const total = warmupConnections + measuredConnections;
      return {
        figures: {
          cpu: result.cpuNs / 1000 / result.operations,
          rate: result.operations / result.seconds,
          busy: busy(result),
        },
        ...remarkOn(
          result,
          `of ${total} connections failed (${timeWaitCount()} sockets in TIME_WAIT: it may be out of ports)`,
        ),
      };
    },
  };
}

function bulk(direction: 'down' | 'up'): Work {
  return {
    name: `bulk-${direction}`,
    title: `bulk ${direction === 'down' ? 'to the client' : 'to the server'}, 4 connections, every byte compared`,
    service: direction === 'down' ? SOURCE : SINK,
    subjects: ['sluice', 'haproxy', 'haproxy-splice', 'nginx', 'node-net'],
    metrics: [
      { name: 'cpu', unit: 'CPU s a GB', digits: 4, limits: { haproxy: 0.75, 'haproxy-splice': 1 } },
      { name: 'rate', unit: 'GB/s', digits: 2, plain: true },
      CPU_BUSY,
    ],
    async measure(bench, running, scale) {
      const { port, pids } = running;
      const { warmupMs, measureMs } = scale;
      const work = { port, pids, connections: 4, direction, warmupMs, measureMs };
      const result = await bench.order({ kind: 'bulk', work }, warmupMs + measureMs + EXTRA_MS);
      return {
        figures: {
          cpu: result.cpuNs / result.operations,
          rate: result.operations / result.seconds / 1e9,
          busy: busy(result),
        },
        ...remarkOn(result, 'connections were NOT byte-exact'),
      };
    },
  };
}

const idleMemory: Work = {
  name: 'idle-memory',
  title: 'user memory of held idle connections',
  service: ECHO,
  subjects: ['sluice', 'haproxy', 'nginx', 'node-net'],
  metrics: [
    { name: 'each', unit: 'B a connection', digits: 0, limits: { absolute: 600 } },
    { name: 'base', unit: 'MB with the first ones', digits: 1, plain: true },
  ],
  async measure(bench, running, scale) {
    const { port, pids } = running;
    const hold = (connections: number) =>
      bench.order({ kind: 'hold', work: { port, connections } }, 2 * EXTRA_MS);
    try {
      const few = await hold(scale.heldFew);
      const base = await settledResidentBytes(pids, scale.settleMs);
      const many = await hold(scale.heldMany);
      const full = await settledResidentBytes(pids, scale.settleMs);
      const failures = few.failures + many.failures;
      return {
        figures: { each: (full - base) / (many.held - few.held), base: base / 1e6 },
        ...(failures === 0 ? {} : { remark: `${failures} connections could not be opened` }),
      };
    } finally {
      await bench.order({ kind: 'release' }, EXTRA_MS);
    }
  },
};

function openLoop(
  name: string,
  title: string,
  connectionsOf: (scale: Scale) => number,
  limit?: number,
): Work {
  return {
    name,
    title,
    service: ECHO,
    sharedOrigin: true,
    openLoop: true,
    subjects: ['sluice', 'haproxy', 'haproxy-again', 'nginx', 'node-net', 'direct'],
    metrics: [
      {
        name: 'p50',
        unit: 'us',
        digits: 1,
        latency: true,
        ...(limit === undefined ? {} : { limits: { haproxy: limit } }),
      },
      { name: 'p99', unit: 'us', digits: 1, latency: true },
      { name: 'p50', unit: 'us beyond direct', digits: 1, latency: true, beyondDirect: true },
      { name: 'p99', unit: 'us beyond direct', digits: 1, latency: true, beyondDirect: true },
      { name: 'cpu', unit: 'us CPU a round trip', digits: 2 },
      CPU_BUSY,
    ],
    async measure(bench, running, scale, requestsPerSecond) {
      const { port, pids } = running;
      const { warmupMs, measureMs } = scale;
      const connections = connectionsOf(scale);
      const work = { port, pids, warmupMs, measureMs, connections, bytes: 64 };
      const timeoutMs = warmupMs + measureMs + EXTRA_MS;
      const result =
        requestsPerSecond === 0
          ? await bench.order({ kind: 'closed-loop', work }, timeoutMs)
          : await bench.order({ kind: 'open-loop', work: { ...work, requestsPerSecond } }, timeoutMs);
      return {
        figures: {
          p50: result.p50Us,
          p99: result.p99Us,
          cpu: result.cpuNs / 1000 / result.operations,
          busy: busy(result),
          rate: result.operations / result.seconds,
        },
        ...remarkOn(result, 'connections broke'),
      };
    },
  };
}

export const WORKS: readonly Work[] = [
  roundTrip('round-trip', '64 B round trips, closed loop, 100 connections', 64, [
    { ...ROUND_TRIP_CPU, limits: { haproxy: 0.85 } },
    ...FULL_LOAD_METRICS,
  ]),
  roundTrip('round-trip-16k', '16 KiB round trips, closed loop, 100 connections', 16_384, [
    ROUND_TRIP_CPU,
    ...FULL_LOAD_METRICS,
  ]),
  pingPong,
  connectClose('connect-close', 'connect, 64 B each way, close by the client', false),
  connectClose('connect-reset', 'connect, 64 B each way, reset by the client', true),
  bulk('down'),
  bulk('up'),
  idleMemory,
  openLoop('latency', '64 B round trips, open loop, 100 connections', (scale) => scale.connections),
  openLoop('latency-one', '64 B round trips, open loop, one connection', () => 1, 0.95),
];
