import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DATA_RATE_PATTERN,
  DURATION_PATTERN,
  EVENT_RATE_PATTERN,
  formatBytes,
  formatDuration,
  formatEventRate,
  formatRate,
  parseBytes,
  parseDataRate,
  parseDuration,
  parseEventRate,
} from './units.ts';

function wrong(result: number | { wrong: string }): string {
  return typeof result === 'number' ? `accepted as ${result}` : result.wrong;
}

describe('durations', () => {
  test.each([
    ['250ms', 250],
    ['2s', 2_000],
    ['10m', 600_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['1h30m', 5_400_000],
    ['1d2h3m4s5ms', 93_784_005],
    ['1.5s', 1_500],
    ['0.25h', 900_000],
  ])('%s', (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each([
    ['', 'is empty'],
    ['10', 'has no unit'],
    ['1.5', 'has no unit'],
    ['-10', 'is negative'],
    ['-2s', 'is negative'],
    ['0s', 'is zero, or rounds to it'],
    ['0h0m', 'is zero, or rounds to it'],
    ['0.5ms', 'is finer than a millisecond'],
    ['2 s', 'is not a duration'],
    ['2sec', 'is not a duration'],
    ['2S', 'is not a duration'],
    ['ten', 'is not a duration'],
    ['1s ', 'is not a duration'],
    ['1e3s', 'is not a duration'],
    ['30m1h', 'must name each unit once, from the largest to the smallest'],
    ['1s1s', 'must name each unit once, from the largest to the smallest'],
    ['366d', 'is above the most allowed, 365d'],
    ['9999999999999999s', 'has too many digits'],
  ])('%j %s', (text, message) => expect(wrong(parseDuration(text))).toBe(message));

  test('bounds of the caller are told', () => {
    expect(wrong(parseDuration('1ms', { min: 10, max: 100 }))).toBe('is below the least allowed, 10ms');
    expect(wrong(parseDuration('1s', { min: 10, max: 100 }))).toBe('is above the most allowed, 100ms');
  });

  test('formatted durations read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 365 * 86_400_000 }), (ms) => {
        const text = formatDuration(ms);
        expect(parseDuration(text)).toBe(ms);
        expect(text).toMatch(new RegExp(DURATION_PATTERN));
      }),
    );
  });
});

describe('data rates', () => {
  test.each([
    ['20mbit', 2_500_000],
    ['20Mbit', 2_500_000],
    ['20mbit/s', 2_500_000],
    ['1gbit', 125_000_000],
    ['1.5gbit', 187_500_000],
    ['8000bit', 1_000],
    ['10MB/s', 10_000_000],
    ['512kB/s', 512_000],
    ['512KB/s', 512_000],
    ['512KiB/s', 524_288],
    ['10 MiB/s', 10_485_760],
    ['200B/s', 200],
    ['9.876543gbit', 1_234_567_875],
  ])('%s', (text, bytes) => expect(parseDataRate(text)).toBe(bytes));

  test.each([
    ['20', 'has no unit'],
    ['20mb', 'is a size, or lacks "/s"'],
    ['20MB', 'is a size, or lacks "/s"'],
    ['20mb/s', 'may mean bits or bytes'],
    ['20mbps', 'may mean bits or bytes'],
    ['20m', 'may mean bits or bytes'],
    ['0mbit', 'is zero, or rounds to it'],
    ['1bit', 'is zero, or rounds to it'],
    ['999bit', 'is below the least allowed, 1kbit'],
    ['-1mbit', 'is negative'],
    ['11tbit', 'is above the most allowed, 10tbit'],
    ['50/s', 'is not a data rate'],
    ['fast', 'is not a data rate'],
  ])('%j %s', (text, message) => expect(wrong(parseDataRate(text))).toBe(message));

  test('formatted rates read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 125, max: 1_250_000_000_000 }), (bytes) => {
        const text = formatRate(bytes);
        expect(parseDataRate(text)).toBe(bytes);
        expect(text).toMatch(new RegExp(DATA_RATE_PATTERN));
      }),
    );
    expect(formatRate(2_500_000)).toBe('20mbit');
  });
});

describe('event rates', () => {
  test.each([
    ['50/s', 50],
    ['30/m', 0.5],
    ['36/h', 0.01],
    ['86400/d', 1],
    ['0.5/s', 0.5],
  ])('%s', (text, events) => expect(parseEventRate(text)).toBe(events));

  test.each([
    ['50', 'has no unit'],
    ['50s', 'is not a rate of events'],
    ['50/w', 'is not a rate of events'],
    ['50 /s', 'is not a rate of events'],
    ['-1/s', 'is negative'],
    ['0/s', 'is zero, or rounds to it'],
    ['0.1/d', 'is below the least allowed, 1/d'],
    ['1000001/s', 'is above the most allowed, 1000000/s'],
  ])('%j %s', (text, message) => expect(wrong(parseEventRate(text))).toBe(message));

  test('formatted rates read back', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.constantFrom('s', 'm', 'h', 'd'),
        (count, unit) => {
          const rate = parseEventRate(`${count}/${unit}`) as number;
          const text = formatEventRate(rate);
          expect(parseEventRate(text)).toBeCloseTo(rate, 9);
          expect(text).toMatch(new RegExp(EVENT_RATE_PATTERN));
        },
      ),
    );
  });
});

describe('sizes', () => {
  test.each([
    ['512B', 512],
    ['64KiB', 65_536],
    ['10GB', 10_000_000_000],
    ['1.5kB', 1_500],
    ['2TiB', 2_199_023_255_552],
  ])('%s', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
    expect(formatBytes(bytes)).toBe(text);
  });

  test.each([
    ['64', 'has no unit'],
    ['64k', 'may mean bits or bytes'],
    ['64kb', 'may mean bits or bytes'],
    ['64kbit', 'may mean bits or bytes'],
    ['0B', 'is zero, or rounds to it'],
    ['-1B', 'is negative'],
    ['a lot', 'is not a size'],
  ])('%j %s', (text, message) => expect(wrong(parseBytes(text))).toBe(message));

  test('formatted sizes read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999_999_999_999 }), (bytes) => {
        expect(parseBytes(formatBytes(bytes))).toBe(bytes);
      }),
    );
  });
});

test('no text makes a parser throw or answer what is not a positive number', () => {
  const words = fc.array(fc.constantFrom('1', '0', '.', '/', 's', 'm', 'k', 'M', 'i', 'B', 'bit', ' ', '-'), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        words.map((parts) => parts.join('')),
      ),
      (text) => {
        for (const parse of [parseDuration, parseDataRate, parseEventRate, parseBytes]) {
          const result = parse(text);
          if (typeof result === 'number') expect(result).toBeGreaterThan(0);
        }
      },
    ),
  );
});
