import { expect, test } from 'vitest';
import { decades, type Plot, plotSvg } from './plot.ts';

test('decades enclose all values, and there are two at least', () => {
  expect(decades([1000, 1_000_000])).toEqual([3, 4, 5, 6]);
  expect(decades([31, 17_584])).toEqual([1, 2, 3, 4, 5]);
  expect(decades([100])).toEqual([2, 3]);
});

test('a value that has no logarithm is refused', () => {
  expect(() => decades([])).toThrow(RangeError);
  expect(() => decades([0, 1])).toThrow(RangeError);
  expect(() => decades([Number.NaN])).toThrow(RangeError);
});

const axis = { label: 'how many', format: (value: number) => `${value} u` };
const plot = (points: Plot['series'][number]['points']): string =>
  plotSvg({ title: 'a < b', x: axis, y: axis, series: [{ name: 'one', color: '#123456', points }] });

test('equal factors are equal distances on both axes, and larger is right and up', () => {
  const svg = plot([
    { x: 10, y: 10 },
    { x: 100, y: 100 },
    { x: 1000, y: 1000 },
  ]);
  const places = /points="([^"]*)"/
    .exec(svg)?.[1]
    ?.split(' ')
    .map((place) => place.split(',').map(Number));
  const [[x0 = 0, y0 = 0] = [], [x1 = 0, y1 = 0] = [], [x2 = 0, y2 = 0] = []] = places ?? [];
  expect(x1).toBeGreaterThan(x0);
  expect(y1).toBeLessThan(y0);
  expect(x2 - x1).toBeCloseTo(x1 - x0, 0);
  expect(y2 - y1).toBeCloseTo(y1 - y0, 0);
});

test('every text is escaped, and axes carry labels and ticks', () => {
  const svg = plot([{ x: 10, y: 20 }]);
  expect(svg).toContain('a &lt; b');
  expect(svg).not.toContain('a < b');
  expect(svg.match(/>how many</g)).toHaveLength(2);
  for (const tick of ['>10 u<', '>100 u<', '>20 u<']) expect(svg).toContain(tick);
});
