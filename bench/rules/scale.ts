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

export const FULL_RULES: RulesScale = {
  size: FULL_REFERENCE,
  questions: 200_000,
  warmupConnections: 6000,
  measuredConnections: 10_000,
  swapsPerSecond: 20,
  roundTripsPerSecond: 2000,
  comingsPerSecond: 200,
  swapsWarmupMs: 4000,
  swapsMs: 60_000,
};

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
