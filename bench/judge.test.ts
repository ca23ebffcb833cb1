import { expect, test } from 'vitest';
import { judge, median, quantile } from './judge.ts';
import type { WorkRun } from './rounds.ts';
import type { Comparison, Metric } from './work.ts';

function run(
  metrics: Metric[],
  figures: Record<string, Record<string, number>[]>,
  comparison?: Comparison,
): WorkRun {
  const work = {
    name: 'w',
    title: 'w',
    service: 1,
    subjects: [],
    metrics,
    measure: () => Promise.reject(),
    ...(comparison === undefined ? {} : { comparison }),
  };
  return {
    work,
    figures: new Map(Object.entries(figures)),
    requestsPerSecond: 0,
    remarks: [],
    disturbed: new Map(),
  };
}

const cpu: Metric = { name: 'cpu', unit: 'us', digits: 1, limits: { haproxy: 0.85 } };
const p50: Metric = { name: 'p50', unit: 'us', digits: 1, latency: true, limits: { haproxy: 0.95 } };
const rounds = (name: string, ...values: number[]) => values.map((value) => ({ [name]: value }));

test('quantiles interpolate and ignore what is missing', () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([1, 2, Number.NaN, 3], 1)).toBe(3);
  expect(median([])).toBeNaN();
});

test('the ratio is the median of the rounds own ratios, so that drift cancels', () => {
  const [row] = judge(run([cpu], { sluice: rounds('cpu', 8, 16, 80), haproxy: rounds('cpu', 10, 20, 100) }));
  expect(row?.cells.get('sluice')?.ratio).toBeCloseTo(0.8);
  expect(row?.cells.get('haproxy')?.ratio).toBeUndefined();
  expect(row?.verdicts).toEqual([expect.objectContaining({ against: 'haproxy', limit: 0.85, holds: true })]);
});

test('CPU over its limit misses it, whatever A/A says', () => {
  const [row] = judge(
    run([cpu], {
      sluice: rounds('cpu', 9),
      haproxy: rounds('cpu', 10),
      'haproxy-again': rounds('cpu', 20),
    }),
  );
  expect(row?.verdicts[0]?.holds).toBe(false);
});

test('a latency holds within what A/A calls a difference, and no further', () => {
  const figures = (sluice: number) => ({
    sluice: rounds('p50', sluice, sluice),
    haproxy: rounds('p50', 10, 10),
    'haproxy-again': rounds('p50', 10, 10.4),
  });
  expect(judge(run([p50], figures(10.3)))[0]?.verdicts[0]?.holds).toBe(true);
  expect(judge(run([p50], figures(10.5)))[0]?.verdicts[0]?.holds).toBe(false);
  expect(judge(run([p50], figures(9.4)))[0]?.verdicts[0]?.holds).toBe(true);
});

test('latency beyond direct takes off the direct figure of the same round', () => {
  const beyond: Metric = { name: 'p50', unit: 'us', digits: 1, latency: true, beyondDirect: true };
  const [row] = judge(
    run([beyond], {
      sluice: rounds('p50', 15, 25),
      haproxy: rounds('p50', 20, 30),
      direct: rounds('p50', 10, 20),
    }),
  );
  expect(row?.cells.get('sluice')?.values).toEqual([5, 5]);
  expect(row?.cells.get('sluice')?.ratio).toBeCloseTo(0.5);
});

test('an absolute limit judges the figure, and no figure is no verdict', () => {
  const each: Metric = { name: 'each', unit: 'B', digits: 0, limits: { absolute: 600 } };
  const [row] = judge(run([each], { sluice: rounds('each', 640), haproxy: rounds('each', 3400) }));
  expect(row?.verdicts[0]).toMatchObject({ against: 'absolute', found: 640, holds: false });
  expect(judge(run([each], { haproxy: rounds('each', 3400) }))[0]?.verdicts).toEqual([]);
});

const SIDES: Comparison = { judged: 'a', reference: 'b', again: 'b-again', direct: 'nothing' };

test('a work with sides of its own is judged by them', () => {
  const figures = { a: rounds('cpu', 11), b: rounds('cpu', 10), sluice: rounds('cpu', 99) };
  const [row] = judge(run([{ ...cpu, limits: { b: 1.05 } }], figures, SIDES));
  expect(row?.verdicts).toEqual([expect.objectContaining({ against: 'b', found: 1.1, holds: false })]);
  expect(row?.cells.get('b')?.ratio).toBeUndefined();
});

test('an A/A that is only shown allows nothing', () => {
  const figures = { a: rounds('p99', 11), b: rounds('p99', 10), 'b-again': rounds('p99', 20) };
  const p99 = { name: 'p99', unit: 'us', digits: 1, sameAgainShown: true, limits: { b: 1.05 } };
  const [row] = judge(run([p99], figures, SIDES));
  expect(row?.sameAgain).toBe(2);
  expect(row?.verdicts[0]?.holds).toBe(false);
});

test('what a metric takes off is what the work calls direct', () => {
  const beyond: Metric = { name: 'cpu', unit: 'ms', digits: 1, beyondDirect: true, limits: { absolute: 1 } };
  const [row] = judge(run([beyond], { a: rounds('cpu', 3.5), nothing: rounds('cpu', 3) }, SIDES));
  expect(row?.verdicts[0]).toMatchObject({ found: 0.5, holds: true });
});

test('a metric that is about some subjects has no cells of the others', () => {
  const [row] = judge(run([{ ...cpu, limits: {}, only: ['a'] }], { a: rounds('cpu', 1), b: [{}] }, SIDES));
  expect([...(row?.cells.keys() ?? [])]).toEqual(['a']);
});
