// Byte-exactness of the whole path on the simulated network: SLUICE_SEEDS=100000 runs more seeds, SLUICE_SEED=n one.

import { describe, expect, it } from 'vitest';
import { runSeed } from './scenario.ts';

const SEEDS_DEFAULT = 1_000;
const SEED_FIRST = 1;
const TIMEOUT_MS_PER_SEED = 500;

const only = process.env['SLUICE_SEED'];
const first = only === undefined ? SEED_FIRST : Number(only);
const count = only === undefined ? Number(process.env['SLUICE_SEEDS'] ?? SEEDS_DEFAULT) : 1;

describe('byte-exactness on the simulated network', () => {
  it(
    `keeps every byte in its place, ${count} seeds from ${first}`,
    () => {
      const sum = {
        connections: 0,
        complete: 0,
        evicted: 0,
        rejected: 0,
        bytes: 0,
        splicedBytes: 0,
        peekedReads: 0,
      };
      const startMs = performance.now();
      for (let seed = first; seed < first + count; seed++) {
        let outcome: ReturnType<typeof runSeed>;
        try {
          outcome = runSeed(seed);
        } catch (error) {
          throw new Error(repeat(seed), { cause: error });
        }
        expect(outcome.mistakes, repeat(seed)).toEqual([]);
        sum.connections += outcome.connections;
        sum.complete += outcome.complete;
        sum.evicted += outcome.evicted;
        sum.rejected += outcome.rejected;
        sum.bytes += outcome.bytes;
        sum.splicedBytes += outcome.splicedBytes;
        sum.peekedReads += outcome.peekedReads;
      }
      const seconds = (performance.now() - startMs) / 1000;
      console.log(`${count} seeds in ${seconds.toFixed(1)} s: ${JSON.stringify(sum)}`);
      // A run that met nothing has shown nothing.
      if (count < 100) return;
      expect(sum.complete).toBeGreaterThan(sum.connections / 4);
      expect(sum.evicted).toBeGreaterThan(sum.connections / 100);
      expect(sum.rejected).toBeGreaterThan(sum.connections / 100);
      expect(sum.splicedBytes).toBeGreaterThan(0);
      expect(sum.peekedReads).toBeGreaterThan(0);
    },
    Math.max(60_000, count * TIMEOUT_MS_PER_SEED),
  );
});

function repeat(seed: number): string {
  return `seed ${seed}; to repeat it: SLUICE_SEED=${seed} npx vitest run test/exactness/simulated.test.ts`;
}
