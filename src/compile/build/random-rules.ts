// Random rules, rule sets and connections out of small vocabularies, so that they meet often. For the tests that hold the
// matcher to the interpreter; the same seed makes the same ones.

import { parseIp } from '../../layout/ip-address.ts';
import { maskWord } from '../../layout/network-set.ts';
import type { InterpretedConnection, Words } from '../items.ts';
import type { Condition, Items, Network, Range, Rule, RuleSetRules } from '../rule.ts';
import { NO_ITEMS } from '../rule.ts';

/** @source mulberry32, a generator of 32 bits of state */
export function createRandom(seed: number) {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count: number): number => Math.floor(next() * count);
  return {
    below,
    isTrue: (probability: number): boolean => next() < probability,
    pick: <Value>(values: readonly Value[]): Value => values[below(values.length)] as Value,
    some<Value>(probability: number, max: number, make: () => Value): Value[] {
      return next() < probability ? Array.from({ length: 1 + below(max) }, make) : [];
    },
  };
}

export type Random = ReturnType<typeof createRandom>;

const LABELS = ['a', 'b', 'ads', 'cdn', 'example', 'x-1', 'corp', 'xn--p1ai'];
const TOPS = ['com', 'org', 'net', 'io'];
const KEYWORDS = ['ads', 'a.e', 'x-', 'com', 'corp.', 'ample', 'n'];
const REGEXES = ['^ads\\.', 'com$', '(a|b)\\.', '^[a-c]+\\.', 'x-\\d', '^example\\.(com|org)$'];
const ADDRESSES = ['10.0.0.1', '10.1.2.3', '8.8.8.8', '8.8.4.4', '192.0.2.7', '255.255.255.255', '0.0.0.0'];
const ADDRESSES6 = ['::1', '2001:db8::1', '2001:db8:0:1::', 'fe80::1', '::', 'ffff::1'];
const COUNTRIES = ['DE', 'CN', 'XX'];
const SYSTEMS = [64_500, 64_501];
const NAMES = ['alice', 'bob', 'carol'];
const URLS = ['http://127.0.0.1/a', 'http://127.0.0.1/b'];
const SET_TAGS = ['one', 'two', 'three'];

function name(random: Random): string {
  const labels = Array.from({ length: random.below(4) }, () => random.pick(LABELS));
  return [...labels, random.pick(TOPS)].join('.');
}

function words(text: string): Words {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new RangeError(text);
  return [...parsed] as unknown as Words;
}

function address(random: Random): Words {
  return words(random.pick(random.isTrue(0.6) ? ADDRESSES : ADDRESSES6));
}

function network(random: Random): Network {
  const isIpv4 = random.isTrue(0.6);
  const whole = words(random.pick(isIpv4 ? ADDRESSES : ADDRESSES6));
  const bits = isIpv4 ? 96 + random.below(33) : random.below(129);
  return { words: whole.map((word, i) => word & maskWord(bits - i * 32)) as unknown as Words, bits };
}

function range(random: Random, max: number): Range {
  const from = random.below(max);
  return { from, to: random.isTrue(0.5) ? from : Math.min(max - 1, from + random.below(max)) };
}

/** What the networks of places are. */
export function networksOf(place: string | number): readonly Network[] {
  const list: Readonly<Record<string, readonly string[]>> = {
    DE: ['10.0.0.0/8', '2001:db8::/32'],
    CN: ['8.8.0.0/16'],
    64_500: ['8.8.8.0/24', 'fe80::/10'],
    64_501: ['192.0.2.0/24'],
  };
  return (list[String(place)] ?? []).map((text) => {
    const [base = '', bits] = text.split('/');
    return { words: words(base), bits: Number(bits) + (base.includes(':') ? 0 : 96) };
  });
}

/** @param isSet whether it stands in a rule set, where some conditions do not exist */
function items(random: Random, isSet: boolean): Items {
  const rarely = 0.12;
  return {
    ...NO_ITEMS,
    invert: random.isTrue(0.1),
    domain: random.some(0.2, 3, () => name(random)),
    domainSuffix: random.some(0.25, 3, () => ({ name: name(random), isBelow: random.isTrue(0.3) })),
    domainKeyword: random.some(rarely, 2, () => random.pick(KEYWORDS)),
    domainRegex: random.some(rarely, 2, () => random.pick(REGEXES)),
    ipCidr: random.some(0.2, 3, () => network(random)),
    ipIsPrivate: random.isTrue(0.05),
    geoip: isSet ? [] : random.some(0.05, 2, () => random.pick(COUNTRIES)),
    asn: isSet ? [] : random.some(0.05, 2, () => random.pick(SYSTEMS)),
    port: random.some(0.2, 2, () => range(random, 10)),
    sourceIpCidr: random.some(0.15, 2, () => network(random)),
    sourceIpIsPrivate: random.isTrue(0.05),
    sourceGeoip: isSet ? [] : random.some(0.05, 1, () => random.pick(COUNTRIES)),
    sourcePort: random.some(0.1, 2, () => range(random, 10)),
    inbound: isSet ? [] : random.some(0.1, 2, () => random.pick(NAMES)),
    service: isSet ? [] : random.some(0.1, 2, () => random.pick(NAMES)),
    user: isSet ? [] : random.some(0.1, 2, () => random.pick(NAMES)),
    network: random.some(rarely, 1, () => random.below(2)),
    protocol: isSet ? [] : random.some(rarely, 2, () => random.below(6)),
    ipVersion: isSet ? [] : random.some(rarely, 1, () => (random.isTrue(0.5) ? 4 : 6)),
    time: isSet ? [] : random.some(0.08, 2, () => range(random, 10_080)),
    device: isSet ? [] : random.some(0.05, 2, () => random.below(5)),
    processName: random.some(0.05, 2, () => random.pick(NAMES)),
    processPath: random.some(0.03, 2, () => `/bin/${random.pick(NAMES)}`),
    userId: isSet ? [] : random.some(0.04, 2, () => range(random, 5)),
    external: !isSet && random.isTrue(0.05) ? { url: random.pick(URLS) } : undefined,
    ruleSet: isSet ? [] : random.some(0.2, 2, () => random.pick(SET_TAGS)),
  };
}

function condition(random: Random, isSet: boolean, depth: number): Condition {
  if (depth > 2 || !random.isTrue(0.15)) return items(random, isSet);
  const rules = Array.from({ length: 1 + random.below(3) }, () => condition(random, isSet, depth + 1));
  const mode = random.isTrue(0.5) ? 'and' : 'or';
  return { kind: 'logical', mode, invert: random.isTrue(0.2), rules };
}

export function randomRules(random: Random, count: number): Rule[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `r${index}`,
    owner: 'file' as const,
    path: `rules[${index}]`,
    condition: condition(random, false, 0),
    action: { kind: 'reject' as const, method: 0 },
    onTimeout: 0,
    timeoutMs: 1_000,
  }));
}

export function randomSets(random: Random): Map<string, RuleSetRules> {
  return new Map(
    SET_TAGS.map((tag) => [
      tag,
      { rules: Array.from({ length: random.below(6) }, () => condition(random, true, 0)) },
    ]),
  );
}

export function randomConnection(random: Random): InterpretedConnection {
  const isName = random.isTrue(0.6);
  const who = () => (random.isTrue(0.8) ? random.pick(NAMES) : '');
  return {
    inbound: random.pick(NAMES),
    service: who(),
    user: who(),
    network: random.below(2),
    protocol: random.below(6),
    device: random.below(5),
    source: random.isTrue(0.9) ? sourceAddress(random) : undefined,
    sourcePort: random.below(12),
    name: isName ? name(random) : '',
    addresses: isName ? random.some(0.4, 3, () => address(random)) : [address(random)],
    port: random.below(12),
    minuteOfWeek: random.below(10_080),
    process: undefined,
    externals: new Map(),
  };
}

/** All zero is a Unix socket's, which has none. */
function sourceAddress(random: Random): Words {
  const found = address(random);
  return found.some((word) => word !== 0) ? found : words('::1');
}

/** What a look-up would find. */
export function randomMetadata(random: Random) {
  const found = random.isTrue(0.8);
  return {
    process: {
      name: found ? random.pick(NAMES) : '',
      path: found ? `/bin/${random.pick(NAMES)}` : '',
      userId: found ? random.below(6) : -1,
    },
    externals: new Map(URLS.map((url) => [url, random.isTrue(0.5)])),
  };
}
