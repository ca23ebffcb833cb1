import { describe, expect, it } from 'vitest';
import { reasonOf } from './refusal.ts';

describe('a refusal', () => {
  it('says why as well as the answer knows it', () => {
    expect(reasonOf({ detail: 'the file has a mistake', title: 'Cannot be applied', status: 422 })).toBe(
      'the file has a mistake',
    );
    expect(reasonOf({ title: 'Bad gateway', status: 502 })).toBe('Bad gateway');
    expect(reasonOf({ status: 414 })).toBe('the daemon refused (414)');
    expect(reasonOf({})).toBe('the daemon refused');
  });
});
