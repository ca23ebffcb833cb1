// From figures to verdicts. A ratio is the median of the rounds' own ratios (both subjects of a pair ran within seconds
// of each other). A latency's ratio holds where it is within max(limit, 95th percentile of A/A): A/A is the
// reference against a second instance of itself, and says what this machine calls a difference.

import type { Figures, WorkRun } from './rounds.ts';
import { type Comparison, comparisonOf, type Metric } from './work.ts';

/** A limit on the figure itself instead of on a ratio. */
const ABSOLUTE = 'absolute';

export interface Cell {
  readonly values: readonly number[];
  readonly median: number;
  /** To the reference; undefined for itself, and where there is no pair. */
  readonly ratio: number | undefined;
}

export interface Verdict {
  readonly against: string;
  readonly limit: number;
  readonly found: number;
  /** 95th percentile of A/A, where it counts. */
  readonly sameAgain: number | undefined;
  readonly holds: boolean;
}

export interface Row {
  readonly metric: Metric;
  readonly cells: ReadonlyMap<string, Cell>;
  readonly verdicts: readonly Verdict[];
  readonly sameAgain: number | undefined;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** By linear interpolation; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

function valuesOf(figures: Figures, subject: string, metric: Metric, direct: string | undefined): number[] {
  const own = (figures.get(subject) ?? []).map((round) => round[metric.name] ?? Number.NaN);
  if (metric.beyondDirect !== true) return own;
  const taken = direct === undefined ? [] : (figures.get(direct) ?? []);
  return own.map((value, round) => value - (taken[round]?.[metric.name] ?? Number.NaN));
}

function ratios(values: readonly number[], reference: readonly number[]): number[] {
  return values.map((value, round) => value / (reference[round] ?? Number.NaN));
}

export function judge(run: WorkRun): Row[] {
  const comparison = comparisonOf(run.work);
  return run.work.metrics.map((metric) => judgeMetric(run.figures, metric, comparison));
}

function judgeMetric(figures: Figures, metric: Metric, comparison: Comparison): Row {
  const valuesBy = (subject: string | undefined): number[] =>
    subject === undefined ? [] : valuesOf(figures, subject, metric, comparison.direct);
  const reference = valuesBy(comparison.reference);
  const cells = new Map<string, Cell>();
  for (const subject of figures.keys()) {
    if (metric.only !== undefined && !metric.only.includes(subject)) continue;
    const values = valuesBy(subject);
    const ratio = median(ratios(values, reference));
    const compared = metric.plain !== true && subject !== comparison.reference && !Number.isNaN(ratio);
    cells.set(subject, { values, median: median(values), ratio: compared ? ratio : undefined });
  }
  const again = ratios(valuesBy(comparison.again), reference);
  const isShown = metric.latency === true || metric.sameAgainShown === true;
  const sameAgain = isShown && again.length > 0 ? quantile(again, 0.95) : undefined;
  const allowed = metric.latency === true ? (sameAgain ?? 0) : 0;
  const own = valuesBy(comparison.judged);
  const verdicts: Verdict[] = [];
  for (const [against, limit] of Object.entries(metric.limits ?? {})) {
    const found = against === ABSOLUTE ? median(own) : median(ratios(own, valuesBy(against)));
    if (Number.isNaN(found)) continue;
    verdicts.push({ against, limit, found, sameAgain, holds: found <= Math.max(limit, allowed) });
  }
  return { metric, cells, verdicts, sameAgain };
}
