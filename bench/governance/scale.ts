// How much the works of governance take on (issue 3). Figures of `tiny` prove only that everything runs.

export interface GovernanceScale {
  /** Sizes of the registry are divided by this. */
  readonly sizeDivisor: number;
  /** The most connections of a registry that are real sockets: four descriptors each, of 20,000. */
  readonly realConnectionsMax: number;
  /** Evictions before those that are measured, and those. */
  readonly evictionsWarmup: number;
  readonly evictions: number;
  readonly scans: number;
  /** Of the churn: connections that come and go, and unrelated round trips, a second; and how long. */
  readonly churnPerSecond: number;
  readonly roundTripsPerSecond: number;
  readonly churnWarmupMs: number;
  readonly churnMs: number;
  readonly services: number;
  readonly patches: number;
  readonly idleMs: number;
}

export const FULL_GOVERNANCE: GovernanceScale = {
  sizeDivisor: 1,
  realConnectionsMax: 4000,
  evictionsWarmup: 200,
  evictions: 200,
  scans: 10,
  churnPerSecond: 1000,
  roundTripsPerSecond: 2000,
  churnWarmupMs: 4000,
  churnMs: 10_000,
  services: 100_000,
  patches: 1000,
  idleMs: 10_000,
};

export const TINY_GOVERNANCE: GovernanceScale = {
  sizeDivisor: 5,
  realConnectionsMax: 100,
  evictionsWarmup: 1,
  evictions: 2,
  scans: 1,
  churnPerSecond: 100,
  roundTripsPerSecond: 200,
  churnWarmupMs: 200,
  churnMs: 500,
  services: 200,
  patches: 10,
  idleMs: 200,
};
