import { expect, test } from 'vitest';
import { countCollections } from './trace-gc.ts';

const TRACE = `
[42:0x55810a]       31 ms: Scavenge 4.2 (5.3) -> 3.9 (6.3) MB, 0.6 / 0.0 ms  (average mu = 1.000) task;
ready
[42:0x7f0c94]       12 ms: Mark-Compact 3.1 (5.0) -> 2.2 (5.5) MB, 1.2 / 0.0 ms finalize incremental marking
[42:0x55810a]     6100 ms: Mark-Compact 9.9 (12.0) -> 7.2 (12.5) MB, 3.2 / 0.0 ms
[42:0x7f0c94]     6200 ms: Scavenge 2.2 (5.5) -> 2.1 (5.5) MB, 0.2 / 0.0 ms
[42:0x7f0c94]     9200 ms: Mark-Compact (reduce) 2.2 (5.5) -> 2.1 (5.5) MB, 0.2 / 0.0 ms
`;

test('collections count by isolate, from the given time on; the first isolate is the main one', () => {
  expect(countCollections(TRACE, 5000)).toEqual([
    { isolate: '0x55810a', main: true, minor: 0, major: 1 },
    { isolate: '0x7f0c94', main: false, minor: 1, major: 1 },
  ]);
});

test('no trace, no isolates', () => {
  expect(countCollections('ready\n', 0)).toEqual([]);
});
