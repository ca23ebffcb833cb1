import { expect, test } from 'vitest';
import { evictionFigure, formatMicroseconds, type Results } from './eviction-figure.ts';

const cells = (...medians: (number | null)[]) =>
  Object.fromEntries(medians.map((median, index) => [`registry-${10 ** (index + 3)}`, { median }]));

function results(evictions: Record<string, { median: number | null }>): Results {
  return {
    date: '2026-11-21T06:51:56.080Z',
    machine: { processor: 'A & B', kernel: '6.18', node: 'v20' },
    works: [
      { work: 'another', metrics: [] },
      {
        work: 'eviction-size',
        metrics: [
          { metric: 'eviction', subjects: evictions },
          { metric: 'scan', subjects: cells(30, 300, 3000) },
          { metric: 'registered', subjects: cells(1000, 10_000, 100_000) },
        ],
      },
    ],
  };
}

test('draws a line for the eviction and one for the scan, with their values', () => {
  const svg = evictionFigure(results(cells(500, 510, 520)));
  expect(svg.match(/<polyline/g)).toHaveLength(2);
  expect(svg.match(/<circle/g)).toHaveLength(6 + 2);
  for (const label of ['>500 µs<', '>3 ms<', '>100,000<', 'A &amp; B']) expect(svg).toContain(label);
});

test('leaves out what was not measured, and refuses results without the work', () => {
  expect(evictionFigure(results(cells(500, null, 520))).match(/<circle/g)).toHaveLength(5 + 2);
  expect(() => evictionFigure({ ...results({}), works: [] })).toThrow('eviction-size');
});

test('times are told in the unit that fits', () => {
  expect([9.87, 537.2, 17_584, 2e6].map(formatMicroseconds)).toEqual(['9.87 µs', '537 µs', '17.6 ms', '2 s']);
});
