import { describe, expect, it } from 'vitest';
import { minuteOfWeek } from './rule-clock.ts';

describe('the minute of the week', () => {
  it('begins on Monday, and ends with Sunday', () => {
    expect(minuteOfWeek(new Date(2026, 10, 16, 0, 0))).toBe(0);
    expect(minuteOfWeek(new Date(2026, 10, 16, 0, 1, 59))).toBe(1);
    expect(minuteOfWeek(new Date(2026, 10, 18, 13, 30))).toBe(2 * 1_440 + 13 * 60 + 30);
    expect(minuteOfWeek(new Date(2026, 10, 22, 23, 59))).toBe(10_079);
  });
});
