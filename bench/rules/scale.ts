// How much the works of rules take on (issue 4). Figures of `tiny` prove only that everything runs.

import { FULL_REFERENCE, type ReferenceSize } from './reference-set.ts';

export interface RulesScale {
  readonly size: ReferenceSize;
  readonly questions: number;
  /** Of `rules-connection`. */
  readonly warmupConnections: number;
  readonly measuredConnections: number;
  /** Of `rules-swaps`. */
  readonly swapsPerSecond: number;
  readonly roundTripsPerSecond: number;
  readonly comingsPerSecond: number;
  readonly swapsWarmupMs: number;
  readonly swapsMs: number;
}

/** Swaps are for a minute where the other works take 3 s: what lasts as long as a swap is to be met often. */
const SWAPS_TIMES = 20;

export function fullRules(seconds: number): RulesScale {
  return {
    size: FULL_REFERENCE,
    questions: 200_000,
    warmupConnections: 6000,
    measuredConnections: 10_000,
    swapsPerSecond: 20,
    roundTripsPerSecond: 2000,
    comingsPerSecond: 200,
    swapsWarmupMs: 4000,
    swapsMs: seconds * SWAPS_TIMES * 1000,
  };
}

export const TINY_RULES: RulesScale = {
  size: { rules: 200, names: 2000, networks: 1000 },
  questions: 1000,
  warmupConnections: 20,
  measuredConnections: 100,
  swapsPerSecond: 5,
  roundTripsPerSecond: 200,
  comingsPerSecond: 50,
  swapsWarmupMs: 200,
  swapsMs: 600,
};
