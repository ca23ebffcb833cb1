// The reference set is what its words say: as large, as long, as mixed; and repeatable.

import { expect, test } from 'vitest';
import { createHash } from 'node:crypto';
import { clientHello } from '../load/hello-connects.ts';
import { comersTo, isListed } from './connection-lists.ts';
import { addressIn, distinctNetworks } from './networks.ts';
import { createRandom } from './random.ts';
import { namesText, type ReferenceSize, referenceSet } from './reference-set.ts';

const SIZE: ReferenceSize = { rules: 1000, names: 10_000, networks: 5000 };
const reference = referenceSet(SIZE, 1);

test('names are of the length that lists have, and none stands twice', () => {
  const { names } = reference;
  expect(new Set(names).size).toBe(SIZE.names);
  const mean = names.reduce((sum, name) => sum + name.length, 0) / names.length;
  expect(mean).toBeGreaterThan(15);
  expect(mean).toBeLessThan(18);
  for (const name of names) expect(name).toMatch(/^[a-z0-9]+(-?[a-z0-9]+)*(\.[a-z0-9]+(-?[a-z0-9]+)*){1,4}$/);
});

test('networks are of the lengths that lists have, a fifth of IPv6, host bits zero', () => {
  const { networks } = reference;
  expect(new Set(networks).size).toBe(SIZE.networks);
  const long = networks.filter((network) => network.includes(':'));
  expect(long.length / networks.length).toBeCloseTo(0.2, 1);
  for (const network of networks) {
    const bits = Number(network.split('/')[1]);
    if (network.includes(':')) continue;
    expect(bits).toBeGreaterThanOrEqual(16);
    expect(bits).toBeLessThanOrEqual(24);
    expect(wordOf(network) & ~(-1 << (32 - bits)), network).toBe(0);
  }
});

function wordOf(network: string): number {
  return (network.split('/')[0] as string).split('.').reduce((word, octet) => (word << 8) | Number(octet), 0);
}

test('an address in a network begins as it does', () => {
  const random = createRandom(3);
  for (const network of distinctNetworks(random, 500)) {
    const address = addressIn(random, network);
    if (network.includes(':')) {
      expect(address.startsWith(network.slice(0, network.indexOf('::'))), network).toBe(true);
      continue;
    }
    const shift = 32 - Number(network.split('/')[1]);
    expect(wordOf(address) >>> shift, network).toBe(wordOf(network) >>> shift);
  }
});

test('rules are of every kind, spread over the list', () => {
  const keys = ['domain_suffix', 'domain', 'service', 'ip_cidr', 'source_ip_cidr', 'user', 'rule_set'];
  for (const key of [...keys, 'domain_keyword', 'domain_regex', 'type']) {
    const places = reference.rules.flatMap((rule, place) => (key in rule ? place : []));
    expect(places.length, key).toBeGreaterThan(0);
  }
  const suffixes = reference.rules.flatMap((rule, place) => ('domain_suffix' in rule ? place : []));
  for (const tenth of Array.from({ length: 10 }, (_, i) => i * 100)) {
    const inside = suffixes.filter((place) => place >= tenth && place < tenth + 100).length;
    expect(inside, `from ${tenth}`).toBeGreaterThan(30);
  }
});

test('a generation changes the rules and keeps the lists', () => {
  const next = referenceSet(SIZE, 1, 1);
  const digest = (text: string) => createHash('sha256').update(text).digest('hex');
  expect(digest(namesText(next.names))).toBe(digest(namesText(reference.names)));
  const same = next.rules.filter(
    (rule, place) => JSON.stringify(rule) === JSON.stringify(reference.rules[place]),
  );
  expect(same.length).toBeLessThan(100);
  expect(referenceSet(SIZE, 1)).toEqual(reference);
});

test('one comer in ten is listed', () => {
  const { names, listed } = comersTo(reference);
  expect(listed.length).toBe(names.length);
  const all = new Set(reference.names);
  expect([...listed].map((each) => each === '1')).toEqual(names.map((name) => isListed(name, all)));
  expect([...listed].filter((each) => each === '1').length / names.length).toBeCloseTo(0.1, 1);
});

test('a ClientHello says its lengths', () => {
  const hello = Buffer.from(clientHello('www.example.com'));
  expect(hello.readUInt16BE(3)).toBe(hello.length - 5);
  expect(hello.readUIntBE(6, 3)).toBe(hello.length - 9);
  expect(hello.includes('www.example.com')).toBe(true);
});
