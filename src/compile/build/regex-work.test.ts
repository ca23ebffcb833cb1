import { describe, expect, test } from 'vitest';
import { hashText, RULE_DOMAIN_SEED_KEY, deriveNameKeys } from '../../layout/name-hash.ts';
import { Matcher } from '../../match/matcher.ts';
import { Query } from '../../match/query.ts';
import { costMsOf } from '../../../test/cost.ts';
import { NO_ITEMS, type Items, type Rule } from '../rule.ts';
import { buildSet } from './block.ts';
import { firstBeyond, measureRegex, REGEX_WORK_MAX, type RegexMeasure, regexWork } from './regex-work.ts';
import { buildSnapshot } from './snapshot.ts';

const many = (count: number, make: (i: number) => string) => Array.from({ length: count }, (_, i) => make(i));
const measured = (texts: readonly string[]) => texts.map((text) => measureRegex(text) as RegexMeasure);
const LONGEST = `${'a'.repeat(63)}.`.repeat(4).slice(0, 253);

describe('the work that expressions may cost', () => {
  test('those that want no text cost a step each, and the first beyond the bound is found', () => {
    const texts = many(
      REGEX_WORK_MAX + 50,
      (i) => `^[a-z]{${1 + (i % 40)}}[0-9]{${1 + Math.floor(i / 40)}}$`,
    );
    expect(regexWork(measured(texts.slice(0, 100)))).toBe(100);
    expect(firstBeyond(measured(texts.slice(0, REGEX_WORK_MAX)))).toBe(-1);
    expect(firstBeyond(measured(texts))).toBe(REGEX_WORK_MAX);
  });

  test('of those that want a text each, as many count as a name has bytes', () => {
    expect(regexWork(measured(many(100, (i) => `(^|\\.)ad${i}x[0-9]*\\.`)))).toBe(100);
    expect(regexWork(measured(many(5_000, (i) => `(^|\\.)ad${i}x[0-9]*\\.`)))).toBe(253);
  });

  test('those that want the same text, or ends of each other, count together', () => {
    const same = many(REGEX_WORK_MAX + 1, (i) => `^${i}.*\\.example\\.com`);
    expect(regexWork(measured(same))).toBe(REGEX_WORK_MAX + 1);
    expect(firstBeyond(measured(same))).toBe(REGEX_WORK_MAX);
    const ends = measured(['[0-9]track', '[0-9]xtrack', '[0-9]yxtrack']);
    // Each byte counts for what ends with it: one ends with one, one with two, one with all.
    expect(regexWork(ends)).toBe(1 + 2 + 3);
  });

  test('sets of positions cost what their width costs', () => {
    const wide = measured(many(6, (i) => `[a-z].{240}[b-d].{200}e${i}`));
    expect(firstBeyond(wide)).toBeLessThan(5);
  });
});

function matcherOf(rules: readonly Items[], set: readonly Items[]) {
  const keys = deriveNameKeys(Int32Array.of(1, 2, 3, 4));
  const context = { keys, country: () => [], system: () => [] };
  const block = buildSet({ rules: set }, context);
  const built = buildSnapshot({
    id: 1,
    rules: rules.map(
      (condition, i): Rule => ({
        id: `r${i}`,
        owner: 'file',
        path: `rules[${i}]`,
        condition,
        action: { kind: 'reject', method: 0 },
        onTimeout: 0,
        timeoutMs: 1_000,
      }),
    ),
    keyOf: () => 1,
    outbounds: new Map(),
    sets: new Map([['s', { ...block, at: 1 }]]),
    context,
  });
  const arena = new Int32Array(1 + block.words.length + built.words);
  arena.set(block.words, 1);
  built.write(arena, 1 + block.words.length);
  const matcher = new Matcher(arena, hashText(keys, RULE_DOMAIN_SEED_KEY, '')[0] as number);
  const query = new Query();
  return (name: string) => {
    query.clear();
    query.name.set(Buffer.from(name));
    query.nameBytes = name.length;
    query.port = 443;
    return matcher.match(1 + block.words.length, query, 0);
  };
}

async function costUs(decide: (name: string) => number, name: string): Promise<number> {
  const costs: number[] = [];
  for (let round = 0; round < 7; round++) {
    costs.push(
      await costMsOf(() => {
        for (let i = 0; i < 20; i++) decide(name);
      }),
    );
  }
  return (Math.min(...costs) * 1_000) / 20;
}

describe('a decision', () => {
  test('runs none of 5,000 ordinary expressions whose texts the name lacks', async () => {
    const domainRegex = many(5_000, (i) => `(^|\\.)ad${i}x[0-9]*\\.`);
    const decide = matcherOf([{ ...NO_ITEMS, ruleSet: ['s'] }], [{ ...NO_ITEMS, domainRegex }]);
    expect(decide('www.ad4321x7.example.com')).toBe(0);
    expect(decide('www.ad4321x7')).toBe(-1);
    expect(decide('bad4321x7.example.com')).toBe(-1);
    expect(decide(LONGEST)).toBe(-1);
    expect(await costUs(decide, LONGEST)).toBeLessThan(500);
  });

  test('runs a machine once, however many rules hold its expression', async () => {
    const rule: Items = { ...NO_ITEMS, domainRegex: ['(a|b).{9}[b-d].{20}[0-9]$'] };
    const decide = matcherOf(
      Array.from({ length: 10_000 }, () => rule),
      [],
    );
    expect(decide(LONGEST)).toBe(-1);
    // 10,000 of 5 microseconds would be 50 ms.
    expect(await costUs(decide, LONGEST)).toBeLessThan(10_000);
  });

  test('at the bound it takes about a millisecond', async () => {
    const texts = many(
      REGEX_WORK_MAX,
      (i) => `^[a-z.]+[0-9]{${1 + (i % 40)}}[a-z]{${1 + Math.floor(i / 40)}}$`,
    );
    expect(firstBeyond(measured(texts))).toBe(-1);
    const decide = matcherOf([{ ...NO_ITEMS, domainRegex: texts }], []);
    expect(decide(LONGEST)).toBe(-1);
    expect(await costUs(decide, LONGEST)).toBeLessThan(4_000);
  });
});
