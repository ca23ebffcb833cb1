// What is written is read: random rules in source form, by JSON and by binary. And whatever is broken is told, without an
// exception and in bounded time and memory.

import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RuleSetFormat } from '../../layout/compiler-messages.ts';
import type { Condition, Items } from '../rule.ts';
import { readRuleSet } from './read.ts';
import { type SourceRule, uvarint, wrapped, writeSrs } from './srs-writer.fixture.ts';
import { convertRuleSet } from './write.ts';

/** Time-boxed: as many cases as there is time for. */
const FUZZ_MS = 3_000;

const label = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,6}$/);
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const suffix = fc.tuple(fc.boolean(), name).map(([isBelow, text]) => (isBelow ? `.${text}` : text));
const ipv4 = fc.tuple(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0, max: 32 }));
const ipv4Network = ipv4.map(([word, bits]) => {
  const octets = [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255];
  return `${octets.join('.')}/${bits}`;
});
const group = fc.integer({ min: 1, max: 0xffff }).map((value) => value.toString(16));
const ipv6Network = fc
  .tuple(fc.array(group, { minLength: 8, maxLength: 8 }), fc.integer({ min: 0, max: 128 }))
  .map(([groups, bits]) => `${groups.join(':')}/${bits}`);
const network = fc.oneof(ipv4Network, ipv6Network);
const port = fc.integer({ min: 0, max: 65_535 });
const range = fc.tuple(port, port).map(([one, other]) => `${Math.min(one, other)}:${Math.max(one, other)}`);
const text = fc.stringMatching(/^[!-~]{1,12}$/);

const list = <Value>(values: fc.Arbitrary<Value>) => fc.array(values, { minLength: 1, maxLength: 6 });
const plain: fc.Arbitrary<SourceRule> = fc
  .record(
    {
      network: fc.constantFrom(['tcp'], ['udp'], ['tcp', 'udp']),
      domain: list(name),
      domain_suffix: list(suffix),
      domain_keyword: list(label),
      domain_regex: list(label.map((one) => `^${one}\\..+$`)),
      source_ip_cidr: list(network),
      ip_cidr: list(network),
      source_port: list(port),
      source_port_range: list(range),
      port: list(port),
      port_range: list(range),
      process_name: list(text),
      process_path: list(text),
      invert: fc.boolean(),
    },
    { requiredKeys: [] },
  )
  .filter((rule) => Object.keys(rule).some((key) => key !== 'invert'));
const { rule } = fc.letrec<{ rule: SourceRule; logical: SourceRule }>((tie) => ({
  rule: fc.oneof({ depthSize: 'small', maxDepth: 4 }, plain, tie('logical')),
  logical: fc.record({
    type: fc.constant('logical'),
    mode: fc.constantFrom('and', 'or'),
    rules: fc.array(tie('rule'), { minLength: 1, maxLength: 3 }),
    invert: fc.boolean(),
  }),
}));

/** Lists are sets; binary files sort them, and put ports behind ranges. */
function normal(condition: Condition): unknown {
  if (condition.kind === 'logical') return { ...condition, rules: condition.rules.map(normal) };
  const entries = Object.entries(condition).map(([key, value]) => {
    if (!Array.isArray(value)) return [key, value];
    return [key, [...new Set(value.map((one) => JSON.stringify(one)))].sort()];
  });
  return Object.fromEntries(entries);
}

/** In version 1 a name and what is below it are a suffix. */
function joined(condition: Condition): Condition {
  if (condition.kind === 'logical') return { ...condition, rules: condition.rules.map(joined) };
  const domain = new Set(condition.domain);
  const domainSuffix: Items['domainSuffix'][number][] = [];
  const whole = new Set(condition.domainSuffix.filter((one) => !one.isBelow).map((one) => one.name));
  for (const one of condition.domainSuffix) {
    if (one.isBelow && (domain.has(one.name) || whole.has(one.name))) whole.add(one.name);
    else if (one.isBelow) domainSuffix.push(one);
  }
  for (const one of whole) {
    domain.delete(one);
    domainSuffix.push({ name: one, isBelow: false });
  }
  return { ...condition, domain: [...domain], domainSuffix };
}

function read(format: RuleSetFormat, bytes: Uint8Array) {
  return readRuleSet('set', format, bytes);
}

function readSourceRules(rules: readonly SourceRule[]) {
  return read('source', Buffer.from(JSON.stringify({ version: 1, rules })));
}

describe('rule sets', () => {
  it('are the same in source and binary', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 4 }), fc.constantFrom(1, 2, 3, 4), (rules, version) => {
        const fromSource = readSourceRules(rules);
        const fromBinary = read('binary', writeSrs(rules, version));
        expect(fromSource.mistakes).toEqual([]);
        expect(fromBinary.mistakes).toEqual([]);
        // The reader joins in every version: it is the same set.
        const source = fromSource.rules.rules.map(joined).map(normal);
        expect(fromBinary.rules.rules.map(joined).map(normal)).toEqual(source);
      }),
      { numRuns: 400 },
    );
  });

  it('are the same after they were written as source', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 4 }), (rules) => {
        const before = readSourceRules(rules).rules;
        const { text: written, mistakes } = convertRuleSet('set', before, 'source');
        expect(mistakes).toEqual([]);
        const after = read('source', Buffer.from(written));
        expect(after.mistakes).toEqual([]);
        expect(after.rules.rules.map(normal)).toEqual(before.rules.map(normal));
      }),
      { numRuns: 300 },
    );
  });

  it('are the same after they were written as lists', () => {
    const names = fc.record({ domain: list(name), domain_suffix: list(suffix) });
    const networks = fc.record({ ip_cidr: list(network) });
    fc.assert(
      fc.property(names, networks, (someNames, someNetworks) => {
        for (const [one, format] of [
          [someNames, 'domains'],
          [someNetworks, 'networks'],
        ] as const) {
          const before = readSourceRules([one]).rules;
          // Names that look like addresses are refused in lists of domains.
          if (format === 'domains' && someNames.domain.some((text) => /^[\d.]+$/.test(text))) continue;
          if (format === 'domains' && someNames.domain_suffix.some((text) => /^[\d.]+$/.test(text))) continue;
          const converted = convertRuleSet('set', before, format);
          expect(converted.mistakes).toEqual([]);
          const after = read(format, Buffer.from(converted.text));
          expect(after.mistakes).toEqual([]);
          expect(after.rules.rules.map(normal)).toEqual(before.rules.map(normal));
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('broken bytes', () => {
  const whole = fc.sample(fc.array(rule, { minLength: 2, maxLength: 5 }), { seed: 4, numRuns: 40 });

  /** What was compressed is broken too: a checksum hides nothing from the reader of items. */
  const broken = fc
    .tuple(
      fc.constantFrom(...whole),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }),
      fc.option(fc.nat()),
      fc.constantFrom<'inside' | 'outside' | 'source'>('inside', 'outside', 'source'),
    )
    .map(([rules, changes, cut, where]) => {
      const outside =
        where === 'source' ? Buffer.from(JSON.stringify({ version: 2, rules })) : writeSrs(rules);
      const bytes = where === 'inside' ? insideOf(rules) : Buffer.from(outside);
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      const short = cut === null ? bytes : bytes.subarray(0, cut % bytes.length);
      return { where, bytes: where === 'inside' ? wrapped(short) : short };
    });

  it('are told, and never thrown', { timeout: FUZZ_MS * 10 }, () => {
    let toldCount = 0;
    fc.assert(
      fc.property(broken, ({ where, bytes }) => {
        const start = performance.now();
        const { mistakes } = read(where === 'source' ? 'source' : 'binary', bytes);
        if (mistakes.length > 0) toldCount++;
        expect(mistakes.length).toBeLessThanOrEqual(101);
        expect(performance.now() - start).toBeLessThan(5_000);
        for (const format of ['domains', 'networks'] as const) read(format, bytes);
      }),
      { interruptAfterTimeLimit: FUZZ_MS, markInterruptAsFailure: false, numRuns: 20_000 },
    );
    expect(toldCount).toBeGreaterThan(10);
  });

  function insideOf(rules: readonly SourceRule[]): Buffer {
    return Buffer.from(inflateSync(writeSrs(rules).subarray(4)));
  }
});

describe('counts that promise too much', () => {
  it('cost no memory', () => {
    const huge = uvarint(2 ** 45);
    const before = process.memoryUsage().rss;
    for (let item = 0; item < 23; item++) {
      const inside = Buffer.concat([Buffer.from([1, 0, item]), huge, Buffer.alloc(64, 0xff)]);
      expect(read('binary', wrapped(inside)).mistakes).toHaveLength(1);
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });

  it('are bounded for many small values as well', { timeout: 60_000 }, () => {
    // 20 million empty texts in 20 MB, of 20 kB compressed.
    const inside = Buffer.concat([Buffer.from([1, 0, 3]), uvarint(20_000_000), Buffer.alloc(20_000_001)]);
    expect(read('binary', wrapped(inside)).mistakes[0]?.message).toMatch(/more than 4000000 values/);
    // A trie that is one long branch with a leaf at every node: its names would be quadratic.
    const nodes = 1_000_000;
    const bits = Buffer.alloc(Math.ceil((2 * nodes + 1) / 64) * 8, 0xaa);
    // The last node has no child.
    bits.writeUInt8(0xab, bits.length - 1);
    const leaves = Buffer.alloc(Math.ceil(nodes / 64) * 8, 0xff);
    const set = [Buffer.from([0]), uvarint(leaves.length / 8), leaves, uvarint(bits.length / 8), bits];
    const branch = Buffer.concat([Buffer.from([1, 0, 2]), ...set, uvarint(nodes), Buffer.alloc(nodes, 0x61)]);
    expect(
      read('binary', wrapped(Buffer.concat([branch, Buffer.from([0xff, 0])]))).mistakes[0]?.message,
    ).toMatch(/too long/);
  });
});
