import { describe, expect, it } from 'vitest';
import { createRuleKeys } from './rule-keys.ts';

describe('list keys of rules', () => {
  it('stay with an id, and are given again as late as possible', () => {
    const keys = createRuleKeys(5, []);
    expect(keys.take(['a', 'b'])).toEqual([1, 2]);
    keys.free(['a']);
    expect(keys.has('a')).toBe(false);
    expect(keys.take(['b', 'c'])).toEqual([2, 3]);
    expect(keys.take(['d'])).toEqual([4]);
    expect(keys.take(['e'])).toEqual([1]);
  });

  it('run out as a whole: nothing is taken then', () => {
    const keys = createRuleKeys(4, []);
    expect(keys.take(['a', 'b'])).toEqual([1, 2]);
    expect(keys.take(['c', 'd'])).toBeUndefined();
    expect(keys.count).toBe(2);
    expect(keys.take(['c'])).toEqual([3]);
  });

  it('are those of the thread before', () => {
    const keys = createRuleKeys(6, [
      ['a', 4],
      ['b', 2],
    ]);
    expect(keys.take(['a', 'b', 'c', 'd', 'e'])).toEqual([4, 2, 5, 1, 3]);
  });
});
