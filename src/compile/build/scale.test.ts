// What many rules that resemble each other cost: sums, not products.

import { describe, expect, it } from 'vitest';
import { costMsOf } from '../../../test/cost.ts';
import { deriveNameKeys } from '../../layout/name-hash.ts';
import type { Items, Network, Rule } from '../rule.ts';
import { NO_ITEMS } from '../rule.ts';
import { buildSet } from './block.ts';
import { buildSnapshot } from './snapshot.ts';

const network = (a: number, b: number, c: number, d: number, bits: number): Network => ({
  words: [0, 0, 0xffff, (a << 24) | (b << 16) | (c << 8) | d],
  bits: 96 + bits,
});
const country = Array.from({ length: 8_000 }, (_, i) =>
  network(20 + (i >> 12), (i >> 4) & 255, (i & 15) << 4, 0, 21),
);
const context = {
  keys: deriveNameKeys(Int32Array.of(1, 2, 3, 4)),
  country: () => country,
  system: () => [],
};

function build(count: number, itemsOf: (index: number) => Partial<Items>) {
  const rules = Array.from(
    { length: count },
    (_, index): Rule => ({
      id: `r${index}`,
      owner: 'file',
      path: `rules[${index}]`,
      condition: { ...NO_ITEMS, ...itemsOf(index) },
      action: { kind: 'reject', method: 0 },
      onTimeout: 0,
      timeoutMs: 1_000,
    }),
  );
  return buildSnapshot({ id: 1, rules, keyOf: () => 1, outbounds: new Map(), sets: new Map(), context });
}

describe('rules that share a value', () => {
  it.each([
    ['a network', 32_000, (i: number) => ({ domain: [`a${i}.com`], network: [0] })],
    [
      'a port',
      32_000,
      (i: number) => ({
        domainSuffix: [{ name: `a${i}.com`, isBelow: false }],
        port: [{ from: 443, to: 443 }],
      }),
    ],
    ['a country', 600, (i: number) => ({ user: [`u${i}`], geoip: ['DE'] })],
    [
      'a source',
      1_000,
      (i: number) => ({ sourceIpCidr: [network(10, 0, 0, 0, 8)], port: [{ from: i, to: i }] }),
    ],
    [
      'a suffix',
      10_000,
      (i: number) => ({ domainSuffix: [{ name: 'com', isBelow: false }], service: [`s${i}`] }),
    ],
  ] as const)('%s are built in their number', async (_, count, itemsOf) => {
    let words = Infinity;
    const work = () => {
      words = build(count, itemsOf).words;
    };
    expect(await costMsOf(work)).toBeLessThan(4_000);
    expect(words).toBeLessThan(2_000_000);
  });

  it('among 50,000 networks below it are built in their number', async () => {
    const below = Array.from({ length: 50_000 }, (_, i) => network(10, i >> 8, i & 255, 1, 32));
    const ms = await costMsOf(
      () =>
        void build(1_000, (i) => ({
          sourceIpCidr: i === 0 ? below : [network(10, 0, 0, 0, 8)],
          port: [{ from: i, to: i }],
        })),
    );
    expect(ms).toBeLessThan(4_000);
  });
});

describe('rules that overlap in thousands of ways', () => {
  it('are refused instead of built without end', async () => {
    const ranges = (i: number) => ({ port: [{ from: i, to: 65_535 - i }], service: [`s${i}`] });
    const refused = () => expect(() => build(32_000, ranges)).toThrow('overlap in too many ways');
    const ms = await costMsOf(refused);
    expect(ms).toBeLessThan(20_000);
  });
});

describe('a rule set of rules that share a value', () => {
  it('is built in their number', async () => {
    const rules = Array.from({ length: 30_000 }, (_, i) => ({
      ...NO_ITEMS,
      domain: [`a${i}.com`],
      network: [0],
    }));
    let words = Infinity;
    const work = () => {
      words = buildSet({ rules }, context).words.length;
    };
    expect(await costMsOf(work)).toBeLessThan(4_000);
    expect(words).toBeLessThan(2_000_000);
  });
});
