// What the matcher is compared with. The interpreter: the meaning of rules, item by item, entry by entry. And a linear matcher
// as proxies commonly have it: rule after rule, group after group, until one holds; but each list of names is a hash set that is
// asked for the name and its ends, and each list of networks one sorted by its beginnings, so that a long list costs little more
// than a short one. It knows what the reference set is made of, and nothing else.

import { createBeyond } from '../../../src/compile/beyond.ts';
import { interpret } from '../../../src/compile/interpret.ts';
import type { InterpretedConnection, Words } from '../../../src/compile/items.ts';
import type { Condition, Items, Network, Range } from '../../../src/compile/rule.ts';
import { NO_RULE } from '../../../src/match/matcher.ts';
import { MAPPED_WORD } from '../../../src/sys/socket-address.ts';
import type { BuiltReference } from './build.ts';

const beyond = createBeyond({ country: () => [], system: () => [] });

/** @returns number of the rule, or NO_RULE */
export function decideByInterpreter(
  { rules, sets }: BuiltReference,
  connection: InterpretedConnection | undefined,
): number {
  if (connection === undefined) throw new RangeError('no such question');
  return interpret(rules, sets, connection, beyond).rule;
}

type Test = (connection: InterpretedConnection) => boolean;

export class LinearMatcher {
  private readonly tests: readonly Test[];

  constructor({ rules, sets }: BuiltReference) {
    const contents = new Map(
      [...sets].map(([tag, set]) => [tag, any(set.rules.map((rule) => testOf(rule, new Map())))]),
    );
    this.tests = rules.map(({ condition }) => testOf(condition, contents));
  }

  /** @returns number of the rule, or NO_RULE */
  decide(connection: InterpretedConnection | undefined): number {
    if (connection === undefined) throw new RangeError('no such question');
    const { tests } = this;
    for (let rule = 0; rule < tests.length; rule++) if ((tests[rule] as Test)(connection)) return rule;
    return NO_RULE;
  }
}

function testOf(condition: Condition, sets: ReadonlyMap<string, Test>): Test {
  const test =
    condition.kind === 'items'
      ? all(groupsOf(condition, sets))
      : (condition.mode === 'and' ? all : any)(condition.rules.map((rule) => testOf(rule, sets)));
  return condition.invert ? (connection) => !test(connection) : test;
}

/** Cheap ones first. */
function groupsOf(items: Items, sets: ReadonlyMap<string, Test>): Test[] {
  const groups: Test[] = [];
  const listed = (list: readonly string[], of: (connection: InterpretedConnection) => string) => {
    const all = new Set(list);
    if (all.size > 0) groups.push((connection) => all.has(of(connection)));
  };
  listed(items.inbound, ({ inbound }) => inbound);
  listed(items.service, ({ service }) => service);
  listed(items.user, ({ user }) => user);
  if (items.network.length > 0) groups.push(({ network }) => items.network.includes(network));
  if (items.port.length > 0) groups.push(({ port }) => items.port.some((range) => isWithin(range, port)));
  if (items.sourceIpCidr.length > 0) {
    const networks = new Networks(items.sourceIpCidr);
    groups.push(({ source }) => source !== undefined && networks.hold(source));
  }
  const destinations = destinationsOf(items);
  for (const tag of items.ruleSet) destinations.push(sets.get(tag) as Test);
  if (destinations.length > 0) groups.push(any(destinations));
  return groups;
}

function destinationsOf(items: Items): Test[] {
  const tests: Test[] = [];
  if (items.domain.length + items.domainSuffix.length > 0) {
    const alone = new Set(items.domain);
    const ends = new Set(items.domainSuffix.map(({ name }) => name));
    tests.push(({ name }) => name !== '' && (alone.has(name) || hasEnd(name, ends)));
  }
  for (const keyword of items.domainKeyword) tests.push(({ name }) => name.includes(keyword));
  for (const expression of items.domainRegex) {
    const regex = new RegExp(expression);
    tests.push(({ name }) => name !== '' && regex.test(name));
  }
  if (items.ipCidr.length > 0) {
    const networks = new Networks(items.ipCidr);
    tests.push(({ addresses }) => addresses.some((words) => networks.hold(words)));
  }
  return tests;
}

function hasEnd(name: string, ends: ReadonlySet<string>): boolean {
  for (let from = 0; ; ) {
    if (ends.has(name.slice(from))) return true;
    const dot = name.indexOf('.', from);
    if (dot < 0) return false;
    from = dot + 1;
  }
}

function isWithin({ from, to }: Range, value: number): boolean {
  return from <= value && value <= to;
}

function all(tests: readonly Test[]): Test {
  return (connection) => {
    for (const test of tests) if (!test(connection)) return false;
    return true;
  };
}

function any(tests: readonly Test[]): Test {
  return (connection) => {
    for (const test of tests) if (test(connection)) return true;
    return false;
  };
}

const IPV4_BITS_BEFORE = 96;

/** IPv4 networks as intervals that do not overlap, in order; those of IPv6 as sets of beginnings, one for each length. */
class Networks {
  private readonly firsts: Float64Array;
  private readonly lasts: Float64Array;
  private readonly long = new Map<number, Set<string>>();

  constructor(networks: readonly Network[]) {
    const spans: { first: number; last: number }[] = [];
    for (const { words, bits } of networks) {
      if (bits >= IPV4_BITS_BEFORE && words[2] === MAPPED_WORD) {
        const first = words[3] >>> 0;
        spans.push({ first, last: first + 2 ** (128 - bits) - 1 });
        continue;
      }
      const beginnings = this.long.get(bits) ?? new Set();
      this.long.set(bits, beginnings.add(beginning(words, bits)));
    }
    const merged: { first: number; last: number }[] = [];
    for (const span of spans.toSorted((a, b) => a.first - b.first)) {
      const before = merged.at(-1);
      if (before !== undefined && span.first <= before.last + 1)
        before.last = Math.max(before.last, span.last);
      else merged.push(span);
    }
    this.firsts = Float64Array.from(merged, ({ first }) => first);
    this.lasts = Float64Array.from(merged, ({ last }) => last);
  }

  hold(words: Words): boolean {
    if (words[0] !== 0 || words[1] !== 0 || words[2] !== MAPPED_WORD) {
      for (const [bits, beginnings] of this.long) if (beginnings.has(beginning(words, bits))) return true;
      return false;
    }
    const address = words[3] >>> 0;
    let low = -1;
    let high = this.firsts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.firsts[middle] as number) <= address) low = middle;
      else high = middle;
    }
    return low >= 0 && address <= (this.lasts[low] as number);
  }
}

/** The first `bits` of an address, as text. */
function beginning(words: Words, bits: number): string {
  let text = '';
  for (let word = 0; word * 32 < bits; word++) {
    const kept = Math.min(32, bits - word * 32);
    text += `${((words[word] as number) & (kept === 32 ? -1 : -1 << (32 - kept))).toString(36)} `;
  }
  return text;
}
