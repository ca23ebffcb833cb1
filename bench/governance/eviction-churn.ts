// What evictions cost those that are not meant: unrelated round trips beside 1,000 evictions a second of one connection each,
// compared with the same round trips beside as many clients that reset themselves.
//
// `resets-and-requests` tells apart what the requests cost (the control thread shares the daemon's one core with its worker)
// from what the evictions do: as many requests are answered, and nobody is evicted.

import type { ChurnEnd } from '../load/churn.ts';
import { ECHO } from '../load/origin.ts';
import { busy, type Comparison, CPU_BUSY, EXTRA_MS, type Metric, type Work } from '../work.ts';
import { CHURN_SERVICE } from './subjects.ts';

const COMPARISON: Comparison = {
  judged: 'evictions',
  reference: 'resets',
  again: 'resets-again',
};

const ENDS: Readonly<Record<string, ChurnEnd>> = {
  evictions: 'evict',
  resets: 'reset',
  'resets-again': 'reset',
  'resets-and-requests': 'request',
};

const ONLY_EVICTIONS = ['evictions'];

const METRICS: readonly Metric[] = [
  { name: 'p50', unit: 'us', digits: 1, sameAgainShown: true },
  { name: 'p99', unit: 'us', digits: 1, sameAgainShown: true, limits: { resets: 1.05 } },
  { name: 'round trips', unit: 'a second', digits: 0, plain: true },
  { name: 'ended', unit: 'connections of the churn a second', digits: 0, plain: true },
  { name: 'requests', unit: 'answered a second', digits: 0, plain: true },
  { name: 'gone p50', unit: 'us from asking to the reset', digits: 0, plain: true, only: ONLY_EVICTIONS },
  { name: 'gone p99', unit: 'us from asking to the reset', digits: 0, plain: true, only: ONLY_EVICTIONS },
  CPU_BUSY,
];

const CONNECTIONS = 16;
const BYTES = 64;

export const evictionChurn: Work = {
  name: 'eviction-churn',
  title:
    '64 B round trips at a fixed rate, open loop, beside connections that are evicted or reset themselves',
  service: ECHO,
  sharedOrigin: true,
  subjects: ['evictions', 'resets', 'resets-again', 'resets-and-requests'],
  comparison: COMPARISON,
  metrics: METRICS,
  async measure(bench, running, { governance }, _rate, subject) {
    const { port, pids, governed } = running;
    if (governed === undefined) throw new Error(`${subject} has no API`);
    const { churnWarmupMs: warmupMs, churnMs: measureMs } = governance;
    const work = {
      port,
      pids,
      warmupMs,
      measureMs,
      connections: CONNECTIONS,
      bytes: BYTES,
      requestsPerSecond: governance.roundTripsPerSecond,
      churnPort: governed.churnPort,
      churnPerSecond: governance.churnPerSecond,
      end: ENDS[subject] ?? 'reset',
      socketPath: governed.socketPath,
      churnService: CHURN_SERVICE,
    };
    const result = await bench.order({ kind: 'churn', work }, warmupMs + measureMs + EXTRA_MS);
    return {
      figures: {
        p50: result.p50Us,
        p99: result.p99Us,
        'round trips': result.operations / result.seconds,
        ended: result.ended / result.seconds,
        requests: result.answered / result.seconds,
        'gone p50': result.goneP50Us,
        'gone p99': result.goneP99Us,
        busy: busy(result),
      },
      ...(result.failures === 0
        ? {}
        : { remark: `${result.failures} connections or requests did not end as they should` }),
    };
  },
};
