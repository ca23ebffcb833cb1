// What swaps cost those who stand and those who come: 20 a second, in each of which all 1,000 rules are others and the rule sets stay,
// compared with the same requests as dry runs, which compile as much and publish nothing.

import { ApiClient } from '../governance/api-client.ts';
import { ECHO } from '../load/origin.ts';
import { busy, type Comparison, CPU_BUSY, EXTRA_MS, type Metric, type Work } from '../work.ts';
import { rulesOf } from './daemon.ts';

const COMPARISON: Comparison = {
  judged: 'swaps',
  reference: 'unpublished',
  again: 'unpublished-again',
};

const LIMITS = { unpublished: 1.05 };
const METRICS: readonly Metric[] = [
  { name: 'p50', unit: 'us a round trip', digits: 1, sameAgainShown: true },
  { name: 'p99', unit: 'us a round trip', digits: 1, sameAgainShown: true, limits: LIMITS },
  { name: 'set-up p50', unit: 'us, a client that comes', digits: 1, sameAgainShown: true },
  { name: 'set-up p99', unit: 'us, a client that comes', digits: 1, sameAgainShown: true, limits: LIMITS },
  { name: 'round trips', unit: 'a second', digits: 0, plain: true },
  { name: 'comings', unit: 'clients a second', digits: 0, plain: true },
  { name: 'swaps', unit: 'a second, reached', digits: 1, plain: true },
  { name: 'swap p50', unit: 'ms from request to answer', digits: 1, plain: true },
  { name: 'swap p99', unit: 'ms from request to answer', digits: 1, plain: true },
  { name: 'snapshots', unit: 'alive at the end', digits: 0, plain: true },
  CPU_BUSY,
];

const CONNECTIONS = 16;
const BYTES = 64;
/** Generations of rules that follow each other in turn: one for so many milliseconds, and no more than that. */
const GENERATION_MS = 100;
const GENERATIONS_MAX = 40;
/** States of a snapshot whose range of the arena is in use. */
const ALIVE: readonly string[] = ['compiled', 'in_force', 'retired', 'drained'];

export const rulesSwaps: Work = {
  name: 'rules-swaps',
  title: '64 B round trips and clients that come, open loop, beside swaps of 1,000 rules',
  service: ECHO,
  sharedOrigin: true,
  subjects: ['swaps', 'unpublished', 'unpublished-again'],
  comparison: COMPARISON,
  metrics: METRICS,
  async measure(bench, running, { rules: scale }, _rate, subject) {
    const { port, pids, governed } = running;
    if (governed === undefined) throw new Error(`${subject} has no API`);
    const isPublished = subject === 'swaps';
    const generations = Math.min(GENERATIONS_MAX, Math.ceil(scale.swapsMs / GENERATION_MS));
    const bodies = Array.from({ length: generations }, (_, generation) =>
      JSON.stringify({ rules: rulesOf({ reference: scale.size }, generation), dry_run: !isPublished }),
    );
    await compileOnce(governed.socketPath, bodies);
    const { swapsWarmupMs: warmupMs, swapsMs: measureMs } = scale;
    const work = {
      port,
      pids,
      warmupMs,
      measureMs,
      connections: CONNECTIONS,
      bytes: BYTES,
      requestsPerSecond: scale.roundTripsPerSecond,
      churnPort: governed.churnPort,
      churnPerSecond: scale.comingsPerSecond,
      socketPath: governed.socketPath,
      path: '/v1/rules',
      bodies,
      swapsPerSecond: scale.swapsPerSecond,
    };
    const result = await bench.order({ kind: 'swaps', work }, warmupMs + measureMs + EXTRA_MS);
    return {
      figures: {
        p50: result.p50Us,
        p99: result.p99Us,
        'set-up p50': result.setUpP50Us,
        'set-up p99': result.setUpP99Us,
        'round trips': result.operations / result.seconds,
        comings: result.ended / result.seconds,
        swaps: result.answered / result.seconds,
        'swap p50': result.requestP50Us / 1000,
        'swap p99': result.requestP99Us / 1000,
        snapshots: await snapshotsAlive(governed.socketPath),
        busy: busy(result),
      },
      ...(result.failures === 0
        ? {}
        : { remark: `${result.failures} connections or requests failed: ${result.failure}` }),
    };
  },
};

/** The compiler's code is compiled as it will stay, and the rule sets are there. */
async function compileOnce(socketPath: string, bodies: readonly string[]): Promise<void> {
  const client = new ApiClient(socketPath);
  try {
    for (const body of bodies) await client.send('PUT', '/v1/rules', body);
  } finally {
    client.close();
  }
}

async function snapshotsAlive(socketPath: string): Promise<number> {
  const client = new ApiClient(socketPath);
  try {
    const { text } = await client.send('GET', '/v1/rules/snapshots', '');
    const { snapshots } = JSON.parse(text) as { snapshots: readonly { state: string }[] };
    return snapshots.filter(({ state }) => ALIVE.includes(state)).length;
  } finally {
    client.close();
  }
}
