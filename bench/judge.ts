// From figures to verdicts. A ratio is the median of the rounds' own ratios (both subjects of a pair ran within seconds
// of each other). A latency's ratio holds where it is within max(limit, 95th percentile of A/A): A/A is the
// reference against a second instance of itself, and says what this machine calls a difference.

import type { Figures, WorkRun } from './rounds.ts';
import type { Metric } from './works.ts';

/** The subject that all are compared with, and the second instance of it. */
export const REFERENCE = 'haproxy';
export const REFERENCE_AGAIN = 'haproxy-again';
const JUDGED = 'sluice';
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

function valuesOf(figures: Figures, subject: string, metric: Metric): number[] {
  const own = (figures.get(subject) ?? []).map((round) => round[metric.name] ?? Number.NaN);
  if (metric.beyondDirect !== true) return own;
  const direct = figures.get('direct') ?? [];
  return own.map((value, round) => value - (direct[round]?.[metric.name] ?? Number.NaN));
}

function ratios(values: readonly number[], reference: readonly number[]): number[] {
  return values.map((value, round) => value / (reference[round] ?? Number.NaN));
}

export function judge(run: WorkRun): Row[] {
  return run.work.metrics.map((metric) => judgeMetric(run.figures, metric));
}

function judgeMetric(figures: Figures, metric: Metric): Row {
  const reference = valuesOf(figures, REFERENCE, metric);
  const cells = new Map<string, Cell>();
  for (const subject of figures.keys()) {
    const values = valuesOf(figures, subject, metric);
    const ratio = median(ratios(values, reference));
    const compared = metric.plain !== true && subject !== REFERENCE && !Number.isNaN(ratio);
    cells.set(subject, { values, median: median(values), ratio: compared ? ratio : undefined });
  }
  const again = ratios(valuesOf(figures, REFERENCE_AGAIN, metric), reference);
  const sameAgain = metric.latency === true && again.length > 0 ? quantile(again, 0.95) : undefined;
  const own = valuesOf(figures, JUDGED, metric);
  const verdicts: Verdict[] = [];
  for (const [against, limit] of Object.entries(metric.limits ?? {})) {
    const found =
      against === ABSOLUTE ? median(own) : median(ratios(own, valuesOf(figures, against, metric)));
    if (Number.isNaN(found)) continue;
    verdicts.push({ against, limit, found, sameAgain, holds: found <= Math.max(limit, sameAgain ?? 0) });
  }
  return { metric, cells, verdicts, sameAgain };
}
