// What a work is: what is asked of each subject, which figures come out, and what must be reached. A work measures one
// started subject once; rounds, order and judgement are others' business.

import type { Bench } from './bench.ts';
import { FULL_GOVERNANCE, type GovernanceScale, TINY_GOVERNANCE } from './governance/scale.ts';
import type { LoadResult } from './load/load.ts';
import { fullRules, type RulesScale, TINY_RULES } from './rules/scale.ts';
import type { Running } from './subjects/subject.ts';

/** How long and how much; `tiny` is for the tests, which only prove that everything runs. */
export interface Scale {
  readonly warmupMs: number;
  readonly measureMs: number;
  readonly connections: number;
  readonly warmupConnections: number;
  readonly measuredConnections: number;
  readonly heldFew: number;
  readonly heldMany: number;
  readonly settleMs: number;
  readonly governance: GovernanceScale;
  readonly rules: RulesScale;
}

export function fullScale(seconds: number): Scale {
  return {
    warmupMs: 1000,
    measureMs: seconds * 1000,
    connections: 100,
    warmupConnections: 6000,
    measuredConnections: 10_000,
    heldFew: 1000,
    heldMany: 8000,
    settleMs: 3000,
    governance: FULL_GOVERNANCE,
    rules: fullRules(seconds),
  };
}

export const TINY_SCALE: Scale = {
  warmupMs: 20,
  measureMs: 80,
  connections: 10,
  warmupConnections: 20,
  measuredConnections: 100,
  heldFew: 20,
  heldMany: 60,
  settleMs: 200,
  governance: TINY_GOVERNANCE,
  rules: TINY_RULES,
};

export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly digits: number;
  /** Ratios of it are a latency's: judged beside an A/A run. */
  readonly latency?: boolean;
  /** Per round, the direct connection's figure is taken off. */
  readonly beyondDirect?: boolean;
  /** Printed without ratio: it explains the others. */
  readonly plain?: boolean;
  /** A/A is printed beside the limit, which allows nothing for it. */
  readonly sameAgainShown?: boolean;
  /** Whom it is about; default: every subject. */
  readonly only?: readonly string[];
  /** The most that the judged subject's ratio to each of these may be; `absolute`: the figure itself. */
  readonly limits?: Readonly<Record<string, number>>;
}

export interface Measured {
  readonly figures: Readonly<Record<string, number>>;
  /** What a reader of the table must know, such as connections that failed. */
  readonly remark?: string;
}

/** Who is judged by whom. */
export interface Comparison {
  readonly judged: string;
  /** Ratios are to it. */
  readonly reference?: string;
  /** A second instance of the reference, measured like it. */
  readonly again?: string;
  /** What `beyondDirect` takes off. */
  readonly direct?: string;
}

/** Sluice beside its peers. */
const PEERS: Comparison = {
  judged: 'sluice',
  reference: 'haproxy',
  again: 'haproxy-again',
  direct: 'direct',
};

export function comparisonOf(work: Work): Comparison {
  return work.comparison ?? PEERS;
}

export interface Work {
  readonly name: string;
  readonly title: string;
  readonly service: number;
  /** Whether the origin shares the generator's thread (open loop only, see open-loop.ts). */
  readonly sharedOrigin?: boolean;
  readonly subjects: readonly string[];
  /** Default: Sluice beside its peers. */
  readonly comparison?: Comparison;
  readonly metrics: readonly Metric[];
  /** Requests a second at which the work is to run come from the slowest subject's capacity. */
  readonly openLoop?: boolean;
  measure(
    bench: Bench,
    running: Running,
    scale: Scale,
    requestsPerSecond: number,
    subject: string,
  ): Promise<Measured>;
}

export const EXTRA_MS = 30_000;

export const CPU_BUSY: Metric = { name: 'busy', unit: '% of its core', digits: 0, plain: true };

export function busy(result: LoadResult): number {
  return (result.cpuNs / 1e9 / result.seconds) * 100;
}
