import { describe, expect, it } from 'vitest';
import { formatAge, formatBytes, formatTable } from './table.ts';

describe('tables for people', () => {
  it('aligns words to the left and numbers to the right', () => {
    expect(
      formatTable(
        ['NAME', 'N'],
        [
          ['a', 5],
          ['long name', 1234],
        ],
      ),
    ).toBe('NAME          N\na             5\nlong name  1234\n');
    expect(formatTable(['NAME'], [])).toBe('NAME\n');
    expect(
      formatTable(
        ['UP', 'AGE', 'USER'],
        [
          ['1.5 kB', '2m 5s', '-'],
          ['-', '3s', '-'],
        ],
      ),
    ).toBe('    UP    AGE  USER\n1.5 kB  2m 5s  -\n     -     3s  -\n');
  });

  it('never moves the cursor of whoever reads it', () => {
    expect(formatTable(['NAME'], [['a\u001b[2Jb\n\u009bc']])).toBe('NAME\na?[2Jb??c\n');
  });

  it('shortens bytes and ages', () => {
    expect([0, 999, 1_000, 1_234_567, 5e15, 5e18].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '1.2 MB',
      '5.0 PB',
      '5000.0 PB',
    ]);
    expect([0, 59_000, 61_000, 3_600_000, 90_061_000].map(formatAge)).toEqual([
      '0s',
      '59s',
      '1m 1s',
      '1h 0m',
      '1d 1h',
    ]);
  });
});
