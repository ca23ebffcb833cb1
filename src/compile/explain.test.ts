// Explanations: what is told, where they end, and what is said of a question that is wrong.

import { describe, expect, test } from 'vitest';
import type { ExplainedConnection, Explanation } from '../layout/compiler-messages.ts';
import { createBeyond } from './beyond.ts';
import { checkRules } from './check/check-rules.ts';
import { explain } from './explain.ts';
import { NO_ITEMS } from './rule.ts';

const names = {
  inbounds: new Set(['socks']),
  outbounds: new Set(['direct', 'proxy']),
  ruleSets: new Set(['ads']),
  hasGeoip: true,
  hasAsn: true,
};
const ADS = { rules: [{ ...NO_ITEMS, domainSuffix: [{ name: 'ads.example', isBelow: false }] }] };
const NONE = { country: () => [], system: () => [] };

function ask(written: readonly object[], connection: Partial<ExplainedConnection>) {
  const { rules, mistakes } = checkRules({ apiRules: [], fileRules: written, names });
  expect(mistakes).toEqual([]);
  return explain(
    {
      snapshotId: 7,
      rules,
      sets: new Map([['ads', ADS]]),
      beyond: createBeyond(NONE),
      now: new Date(2026, 10, 21, 8, 30),
    },
    { target: 'a.example', port: 443, ...connection },
  );
}

function explained(...parameters: Parameters<typeof ask>): Explanation {
  const answer = ask(...parameters);
  if (!('snapshot' in answer)) throw new Error(JSON.stringify(answer));
  return answer;
}

const verdict = ({ rule, action, outbound, needs }: Explanation) => [rule, action, outbound, needs];

test('which rule, what was looked at, and what of it matched', () => {
  const rules = [
    { id: 'one', service: 'x', domain: 'a.example', action: 'reject' },
    { id: 'two', port_range: '400:500', domain_suffix: ['b.example', 'example'], outbound: 'proxy' },
    { id: 'three', action: 'reject' },
  ];
  expect(explained(rules, { service: 'y' })).toEqual({
    snapshot: 7,
    rule: 'two',
    action: 'route',
    outbound: 'proxy',
    needs: [],
    rules: [
      { id: 'one', path: 'rules[0]', result: 'no_match', items: [{ item: 'service', result: 'no_match' }] },
      {
        id: 'two',
        path: 'rules[1]',
        result: 'match',
        items: [
          { item: 'port', result: 'match', matched: '400:500' },
          { item: 'domain_suffix', result: 'match', matched: 'example' },
        ],
      },
    ],
  });
});

test('of a rule set, what matched in it; of a logical rule, where', () => {
  const rules = [
    {
      id: 'l',
      type: 'logical',
      mode: 'and',
      rules: [{ port: 443 }, { rule_set: 'ads' }],
      action: 'reject',
    },
  ];
  expect(explained(rules, { target: 'x.ads.example' }).rules[0]?.items).toEqual([
    { item: 'rules[0].port', result: 'match', matched: '443' },
    { item: 'rules[1].rule_set', result: 'match', matched: 'ads: domain_suffix ads.example' },
  ]);
  expect(explained(rules, {}).rules[0]?.items[1]).toEqual({
    item: 'rules[1].rule_set',
    result: 'no_match',
    matched: 'ads',
  });
});

test('nothing matches: the service, or final, decides', () => {
  expect(verdict(explained([{ port: 1, action: 'reject' }], {}))).toEqual([null, 'route', null, []]);
  expect(verdict(explained([{ id: 'o', override_port: 80 }], {}))).toEqual(['o', 'route', null, []]);
});

describe('what is not known', () => {
  const rule = { id: 'p', process_name: 'curl', outbound: 'proxy' };
  test.each([
    ['skip', [null, 'route', null, ['process']]],
    ['reject', ['p', 'reject', null, ['process']]],
    ['allow', ['p', 'route', 'proxy', ['process']]],
  ])('ends as on_timeout says: %s', (on_timeout, expected) => {
    expect(verdict(explained([{ ...rule, on_timeout }], {}))).toEqual(expected);
  });

  test('is not asked for where it is told, or where something cheaper decides', () => {
    expect(verdict(explained([rule], { process_name: 'wget' }))).toEqual([null, 'route', null, []]);
    expect(verdict(explained([rule], { process_path: '/usr/bin/curl' }))).toEqual([
      'p',
      'route',
      'proxy',
      [],
    ]);
    expect(verdict(explained([{ ...rule, port: 1 }], {}))).toEqual([null, 'route', null, []]);
  });

  test('a judgement', () => {
    const external = { id: 'e', external: 'https://a.example', action: 'reject' };
    expect(explained([external], {}).needs).toEqual(['external https://a.example/']);
    const externals = { 'https://a.example': true };
    expect(verdict(explained([external], { externals }))).toEqual(['e', 'reject', null, []]);
  });
});

describe('what is found out on the way', () => {
  const rules = [
    { id: 'before', ip_cidr: '192.0.2.0/24', outbound: 'proxy' },
    { id: 'resolve', action: 'resolve' },
    { id: 'behind', ip_cidr: '192.0.2.0/24', action: 'reject' },
  ];
  test('addresses of a name come with a resolution', () => {
    expect(verdict(explained(rules, { addresses: ['192.0.2.7'] }))).toEqual(['behind', 'reject', null, []]);
    expect(verdict(explained(rules, {}))).toEqual([null, 'route', null, ['resolve']]);
    expect(verdict(explained(rules, { target: '192.0.2.7' }))).toEqual(['before', 'route', 'proxy', []]);
  });

  test('a protocol that is told needs no sniffing', () => {
    const sniffing = [{ action: 'sniff' }, { id: 's', protocol: 'ssh', action: 'reject' }];
    expect(verdict(explained(sniffing, {}))).toEqual([null, 'route', null, ['sniff']]);
    expect(verdict(explained(sniffing, { protocol: 'ssh' }))).toEqual(['s', 'reject', null, []]);
  });
});

test('the time is the local one, or the one that is asked for', () => {
  const rules = [{ id: 't', time: 'sat 08:00-09:00', action: 'reject' }];
  expect(explained(rules, {}).rule).toBe('t');
  expect(explained(rules, { time: '2026-11-23T08:30' }).rule).toBe(null);
  expect(explained(rules, { time: '2026-11-28T08:59:59' }).rule).toBe('t');
});

test('what is wrong with a question is told at once', () => {
  const answer = ask([], {
    target: 'a b',
    port: 70_000,
    source: '10.0.0',
    source_port: -1,
    protocol: 'htp',
    device: 'old',
    addresses: ['x'],
    time: 'noon',
  });
  if ('snapshot' in answer) throw new Error('explained');
  expect(answer.map(({ path, nearest }) => [path.join('.'), nearest])).toEqual([
    ['target', undefined],
    ['addresses.0', undefined],
    ['time', undefined],
    ['protocol', 'http'],
    ['device', undefined],
    ['source', undefined],
    ['source_port', undefined],
    ['port', undefined],
  ]);
  expect(ask([], { target: '10.0.0.1', addresses: ['10.0.0.1'] })).toEqual([
    expect.objectContaining({ path: ['addresses'] }),
  ]);
});
