import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HISTOGRAM_VALUE_MAX, Histogram } from './histogram.ts';

const value = fc.oneof(
  fc.nat({ max: 5000 }),
  fc.nat({ max: HISTOGRAM_VALUE_MAX }),
  fc.constantFrom(0, 2047, 2048, 4095, 4096, HISTOGRAM_VALUE_MAX),
);

test('every quantile is within 0.1 % of the one that exact sorting gives', () => {
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 300 }),
      fc.double({ min: 0.001, max: 1, noNaN: true }),
      (values, quantile) => {
        const histogram = new Histogram();
        for (const each of values) histogram.record(each);
        const sorted = values.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(quantile * values.length)) - 1] as number;
        expect(Math.abs(histogram.quantile(quantile) - exact)).toBeLessThanOrEqual(exact / 1024);
      },
    ),
  );
});

test('values outside the range count as the nearest one inside', () => {
  const histogram = new Histogram();
  histogram.record(-5);
  expect(histogram.quantile(1)).toBe(0);
  histogram.record(1e15);
  expect(histogram.quantile(1) / HISTOGRAM_VALUE_MAX).toBeCloseTo(1, 2);
});

test('nothing recorded, or all of it forgotten, has no quantile', () => {
  const histogram = new Histogram();
  expect(histogram.quantile(0.5)).toBeNaN();
  histogram.record(7);
  histogram.reset();
  expect(histogram.count).toBe(0);
  expect(histogram.quantile(0.5)).toBeNaN();
});
