// From names to a job: every mistake is told at once and names its field; and of the lists that lead to what is meant the
// shortest one is walked.

import { describe, expect, it } from 'vitest';
import {
  LIST_INBOUND,
  LIST_OUTBOUND,
  LIST_RULE,
  LIST_SERVICE,
  LIST_SOURCE,
  LIST_USER,
} from '../layout/lists.ts';
import { EVERY_CONNECTION, EVICT_COUNT, EVICT_END } from '../layout/messages.ts';
import { compileNetworks } from '../layout/network-set.ts';
import { EVICTED } from '../layout/reasons.ts';
import { SourceIndex } from '../layout/source-index.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import type { Tables } from '../layout/tables.ts';
import type { Directory, Names, ObjectReference } from './directory.ts';
import { SluiceError } from './errors.ts';
import { concerns, planEviction } from './eviction-plan.ts';
import type { PlannedEviction } from './eviction-plan.ts';
import type { EvictionRequest } from './eviction-record.ts';
import { createSourceEntries } from './source-entries.ts';

function namesOf(objects: Readonly<Record<string, ObjectReference>>): Names {
  return {
    find: (name) => (Object.hasOwn(objects, name) ? objects[name] : undefined),
    nameOf: () => undefined,
    all: () => Object.keys(objects),
  };
}

const directory: Directory = {
  services: namesOf({ web: { index: 0, generation: 1 }, mail: { index: 1, generation: 3 } }),
  users: namesOf({ ann: { index: 0, generation: 1 }, bob: { index: 1, generation: 5 } }),
  inbounds: namesOf({ socks: { index: 2, generation: 7 } }),
  outbounds: namesOf({ direct: { index: 4, generation: 9 } }),
  rules: namesOf({ ads: { index: 3, generation: 0 } }),
};

interface Setup {
  readonly tables: Tables;
  plan(request: EvictionRequest): PlannedEviction;
  /** Mistakes of a request, as `field: found`. */
  mistakes(request: EvictionRequest): string[];
  /** Holds the entry of a source as a worker does, and says that so many connections stand in its list. */
  addSource(service: number, text: string, connections: number): number;
}

function setUp(): Setup {
  const limits = {
    workers: 2,
    slotsPerWorker: 8,
    pipesPerWorker: 1,
    services: 8,
    credentials: 8,
    serverNames: 8,
    targets: 8,
    sources: 64,
    networkWords: 64,
    ruleWords: 65_536,
    receipts: 8,
    isIndexed: true,
  };
  const tables = attachTables(createTables(limits, Int32Array.of(1, 2, 3, 4)));
  tables.credentials.setService(0, 0);
  tables.credentials.setService(1, 1);
  const entries = createSourceEntries(tables);
  const index = new SourceIndex(tables.sources, tables.sourceBuckets, tables.shared.hashKey);
  const supply = {
    take: () => tables.machine.addSourcesTouched(0, 1),
    keep: () => {},
    release: (entry: number) => void index.release(entry),
  };
  const plan = (request: EvictionRequest) => planEviction(request, { tables, directory, entries });
  return {
    tables,
    plan,
    mistakes(request) {
      try {
        plan(request);
      } catch (error) {
        expect(error).toBeInstanceOf(SluiceError);
        const { code, facts } = error as SluiceError<'eviction_invalid'>;
        expect(code).toBe('eviction_invalid');
        for (const { expected, message } of facts.mistakes)
          expect(Math.min(expected.length, message.length)).toBeGreaterThan(0);
        return facts.mistakes.map(({ path, found }) => `${path}: ${found}`);
      }
      throw new Error('nothing was wrong with it');
    },
    addSource(service, text, connections) {
      const [a0, a1, a2, a3] = compileNetworks([text]) as unknown as [number, number, number, number];
      const entry = index.hold(supply, service, a0, a1, a2, a3);
      tables.lists[0]?.addCount(LIST_SOURCE, entry, connections);
      return entry;
    },
  };
}

describe('a request for an eviction', () => {
  it.each<[string, EvictionRequest, string[]]>([
    ['names a service that nobody has', { service: 'wob' }, ['service: "wob"']],
    ['names a user that nobody has', { user: 'toString' }, ['user: "toString"']],
    ['names no inbound', { inbound: 'sox' }, ['inbound: "sox"']],
    ['names no outbound', { outbound: '' }, ['outbound: ""']],
    ['names no rule', { rule: 'x' }, ['rule: "x"']],
    ['names no address', { source: '10.0.0.300' }, ['source: "10.0.0.300"']],
    ['names no prefix', { source: '10.0.0.0/33' }, ['source: "10.0.0.0/33"']],
    ['means nobody', {}, [': no filter']],
    ['means nobody, and says so', { all: false, dryRun: true }, [': no filter']],
    ['means everybody and somebody', { all: true, service: 'web' }, ['all: true']],
    ['names a user of another service', { service: 'web', user: 'bob' }, ['user: "bob"']],
    ['has no rate', { service: 'web', ratePerSecond: 0 }, ['rate: 0']],
    ['has a rate below none', { service: 'web', ratePerSecond: -1 }, ['rate: -1']],
    ['has a rate that is no number', { service: 'web', ratePerSecond: Number.NaN }, ['rate: NaN']],
    [
      'has it all',
      {
        service: 'wob',
        user: 'nobody',
        inbound: 'sox',
        source: 'x',
        all: true,
        ratePerSecond: Number.POSITIVE_INFINITY,
      },
      ['service: "wob"', 'user: "nobody"', 'inbound: "sox"', 'source: "x"', 'all: true', 'rate: Infinity'],
    ],
  ])('that %s is refused, and told why', (_, request, expected) => {
    expect(setUp().mistakes(request)).toEqual(expected);
  });

  it('says which name was probably meant', () => {
    expect(() => setUp().plan({ service: 'wen' })).toThrow('did you mean "web"?');
    expect(() => setUp().plan({ service: 'something else' })).toThrow(/no service "something else"$/);
  });

  it('becomes a job with every filter and its generation', () => {
    const { plan } = setUp();
    expect(
      plan({
        service: 'mail',
        user: 'bob',
        inbound: 'socks',
        outbound: 'direct',
        rule: 'ads',
        source: '10.1.0.0/16',
        orderly: true,
        ratePerSecond: 12,
      }),
    ).toMatchObject({
      action: EVICT_END,
      reason: EVICTED,
      orderly: true,
      ratePerSecond: 12,
      service: 1,
      serviceGeneration: 3,
      credential: 1,
      credentialGeneration: 5,
      inbound: 2,
      inboundGeneration: 7,
      outbound: 4,
      outboundGeneration: 9,
      rule: 3,
      source: compileNetworks(['10.1.0.0/16']),
      slot: -1,
    });
    expect(plan({ all: true, dryRun: true })).toMatchObject({
      action: EVICT_COUNT,
      list: EVERY_CONNECTION,
      source: null,
      ratePerSecond: 0,
    });
    expect(plan({ connection: { worker: 1, slot: 5, generation: 9 } })).toMatchObject({
      slot: 5,
      generation: 9,
    });
  });
});

describe('the list that is walked', () => {
  const ALL = { service: 'web', user: 'ann', inbound: 'socks', outbound: 'direct', rule: 'ads' } as const;
  const KEYS: [list: number, key: number][] = [
    [LIST_SERVICE, 0],
    [LIST_USER, 0],
    [LIST_INBOUND, 2],
    [LIST_OUTBOUND, 4],
    [LIST_RULE, 3],
  ];

  it.each(KEYS)('is the shortest over all workers: %i', (list, key) => {
    const { tables, plan } = setUp();
    for (const [other, otherKey] of KEYS) {
      // On one worker alone another would be shorter.
      tables.lists[0]?.addCount(other, otherKey, other === list ? 6 : 5);
      tables.lists[1]?.addCount(other, otherKey, other === list ? 0 : 2);
    }
    const planned = plan(ALL);
    expect([planned.list, [...planned.keys]]).toEqual([list, [key]]);
    expect([
      concerns(tables, 0, planned),
      concerns(tables, 1, planned),
      concerns(tables, 2, planned),
    ]).toEqual([true, false, false]);
  });

  it("is that of a source's entries, of its service alone or of all", () => {
    const { tables, plan, addSource } = setUp();
    for (const service of [0, 1]) tables.lists[0]?.addCount(LIST_SERVICE, service, 100);
    const ofWeb = addSource(0, '10.0.0.1', 3);
    const ofMail = addSource(1, '10.0.0.1', 4);
    addSource(0, '10.0.0.2', 50);
    const keysOf = (request: EvictionRequest) => {
      const { list, keys } = plan(request);
      expect(list).toBe(LIST_SOURCE);
      return new Set(keys);
    };
    expect(keysOf({ service: 'web', source: '10.0.0.1' })).toEqual(new Set([ofWeb]));
    expect(keysOf({ source: '10.0.0.1' })).toEqual(new Set([ofWeb, ofMail]));
    expect(keysOf({ source: '10.0.0.9' })).toEqual(new Set());
    expect(keysOf({ service: 'mail', source: '10.0.0.2' })).toEqual(new Set());
    // The service has fewer than its source would have.
    tables.lists[0]?.addCount(LIST_SERVICE, 0, -99);
    expect(plan({ service: 'web', source: '10.0.0.1' }).list).toBe(LIST_SERVICE);
  });

  it('finds a prefix among all sources only where nothing else leads there', () => {
    const { plan, addSource } = setUp();
    const inside = [addSource(0, '10.0.0.1', 3), addSource(1, '10.0.255.2', 1)];
    addSource(0, '10.1.0.1', 1);
    addSource(0, '2001:db8::', 1);
    const wide = plan({ source: '10.0.0.0/16' });
    expect([wide.list, new Set(wide.keys)]).toEqual([LIST_SOURCE, new Set(inside)]);
    expect(plan({ source: '10.0.0.0/16', service: 'web' }).list).toBe(LIST_SERVICE);
    expect(new Set(plan({ source: '0.0.0.0/0' }).keys).size).toBe(3);
    expect(new Set(plan({ source: '::/0' }).keys).size).toBe(1);
  });

  it("finds an IPv6 address in whatever network its services' entries were cut to", () => {
    const { plan, addSource } = setUp();
    const wide = addSource(0, '2001:db8:1::', 1);
    const usual = addSource(1, '2001:db8:1:2::', 1);
    const single = addSource(2, '2001:db8:1:2::7', 1);
    addSource(2, '2001:db8:1:3::7', 1);
    expect(new Set(plan({ source: '2001:db8:1:2::7' }).keys)).toEqual(new Set([wide, usual, single]));
    expect(new Set(plan({ source: '2001:db8:1:2::/64' }).keys)).toEqual(new Set([wide, usual, single]));
    expect(new Set(plan({ source: '2001:db8:1:2::7', service: 'web' }).keys)).toEqual(new Set([wide]));
  });

  it('is none where a connection is named', () => {
    const { tables, plan } = setUp();
    const planned = plan({ connection: { worker: 0, slot: 1, generation: 1 } });
    expect([planned.list, planned.keys.length]).toEqual([EVERY_CONNECTION, 0]);
    expect(concerns(tables, 0, planned)).toBe(true);
  });
});
