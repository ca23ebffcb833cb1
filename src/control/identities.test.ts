import { describe, expect, it } from 'vitest';
import { checkConfiguration } from '../config/check.ts';
import type { Configuration } from '../config/configuration.ts';
import {
  deriveNameKeys,
  hashText,
  PASSWORD_KEY,
  SERVER_NAME_KEY,
  USER_NAME_KEY,
  WILDCARD_NAME_KEY,
} from '../layout/name-hash.ts';
import { LIST_SERVICE, LIST_USER } from '../layout/lists.ts';
import { CREDENTIAL_HASHED, CREDENTIAL_PLAIN, SERVICE_ENABLED, TARGET_NAME } from '../layout/service.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import { createIdentities } from './identities.ts';
import { createQuiescence } from './quiescence.ts';
import { createSourcesArena } from './sources-arena.ts';
import { createTargets } from './targets.ts';

const HASH = '$scrypt$ln=4,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const key = Int32Array.of(1, 2, 3, 4);
const keys = deriveNameKeys(key);

function configured(services: string): Configuration {
  const text = `inbounds: [{ tag: s, type: socks5, listen: '127.0.0.1:1080' }]\nservices: ${services}`;
  const { configuration, mistakes } = checkConfiguration(text, '/tmp/edge.yaml');
  if (configuration === undefined) throw new Error(JSON.stringify(mistakes));
  return configuration;
}

function setUp() {
  const limits = {
    workers: 1,
    slotsPerWorker: 1,
    pipesPerWorker: 1,
    services: 4,
    credentials: 4,
    serverNames: 4,
    targets: 4,
    sources: 1024,
    networkWords: 1024,
    ruleWords: 65_536,
    receipts: 64,
    isIndexed: true,
  };
  const tables = attachTables(createTables(limits, key));
  const quiescence = createQuiescence(tables);
  const targets = createTargets(tables.targets, limits.targets);
  const identities = createIdentities(tables, targets, createSourcesArena(tables.networks, quiescence));
  const prepare = (text: string) => {
    const put = configured(text).services.filter(({ implicit }) => !implicit);
    const wanted = new Set(put.map(({ name }) => name));
    const remove = [...identities.services.all()].filter((name) => !wanted.has(name));
    return identities.prepare({ put, remove });
  };
  const apply = (text: string) => {
    const prepared = prepare(text);
    identities.enter(prepared, () => 7);
    return identities.commit(prepared, () => 7);
  };
  const settle = () => {
    identities.settle();
    targets.settle();
  };
  const user = (name: string) => tables.userNames.get(hashText(keys, USER_NAME_KEY, name), 0);
  return { tables, identities, targets, prepare, apply, settle, user };
}

describe('identities', () => {
  it('writes rows, credentials and names that lead to each other', () => {
    const { tables, identities, apply, user } = setUp();
    apply(`[{ name: a, outbound: direct, users: [{ username: u, password: p }, { username: h, password: '${HASH}' }],
      server_names: [www.example.com, '*.example.org'], target: db.example:5432 }]`);
    const row = identities.serviceRow('a');
    expect(tables.services.generation(row) % 2).toBe(1);
    expect(tables.services.flags(row)).toBe(SERVICE_ENABLED);
    expect(tables.services.outbound(row)).toBe(7);

    const plain = user('u');
    expect(tables.credentials.generation(plain) % 2).toBe(1);
    expect(tables.credentials.kind(plain)).toBe(CREDENTIAL_PLAIN);
    expect(tables.credentials.proven(plain)).toBe(1);
    expect([0, 1, 2, 3].map((k) => tables.credentials.proof(plain, k))).toEqual([
      ...hashText(keys, PASSWORD_KEY, 'p'),
    ]);
    const hashed = user('h');
    expect(tables.credentials.kind(hashed)).toBe(CREDENTIAL_HASHED);
    expect(tables.credentials.proven(hashed)).toBe(0);
    expect(identities.hashOf(hashed)?.costLog2).toBe(4);

    expect(tables.serverNames.get(hashText(keys, SERVER_NAME_KEY, 'www.example.com'), 0)).toBe(row);
    expect(tables.serverNames.get(hashText(keys, WILDCARD_NAME_KEY, 'example.org'), 0)).toBe(row);
    expect(tables.serverNames.get(hashText(keys, SERVER_NAME_KEY, 'example.org'), 0)).toBe(-1);

    const target = tables.services.target(row);
    expect(tables.targets.kind(target)).toBe(TARGET_NAME);
    expect(tables.targets.port(target)).toBe(5432);
    const bytes = tables.targets.textBytes(target);
    const words = Int32Array.from({ length: 4 }, (_, k) => tables.targets.text(target, k));
    expect(Buffer.from(words.buffer).toString('utf8', 0, bytes)).toBe('db.example');
  });

  it('leaves what did not change where it was, and nothing else', () => {
    const { tables, identities, apply, user, settle } = setUp();
    apply(`[{ name: a, users: [{ username: u, password: p }] }, { name: b }]`);
    settle();
    const before = [identities.serviceRow('a'), user('u')] as const;
    const generations = () => [
      tables.services.generation(before[0]),
      tables.credentials.generation(before[1]),
    ];
    const was = generations();
    const { changes, contradictions } = apply(
      `[{ name: a, enabled: false, users: [{ username: u, password: p }] }, { name: c }]`,
    );
    expect([identities.serviceRow('a'), user('u')]).toEqual(before);
    expect(generations()).toEqual(was);
    expect(tables.services.flags(before[0])).toBe(0);
    expect(changes).toMatchObject({
      servicesAdded: ['c'],
      servicesChanged: ['a'],
      servicesRemoved: ['b'],
      usersAdded: 0,
      usersChanged: 0,
      usersRemoved: 0,
    });
    expect(contradictions).toEqual([
      { list: LIST_SERVICE, key: before[0] },
      { list: LIST_SERVICE, key: 1 },
    ]);
  });

  it('gives a changed password another credential, and keeps the old index away until settled', () => {
    const { tables, apply, user, settle } = setUp();
    apply(`[{ name: a, users: [{ username: u, password: one }] }]`);
    settle();
    const first = user('u');
    apply(`[{ name: a, users: [{ username: u, password: two }, { username: v, password: p }] }]`);
    expect(user('u')).not.toBe(first);
    expect(user('v')).not.toBe(first);
    expect(tables.credentials.generation(first) % 2).toBe(0);
    expect(tables.credentials.proven(first)).toBe(0);
    settle();
    apply(`[{ name: a, users: [{ username: u, password: two }, { username: w, password: p }] }]`);
    expect(user('w')).toBe(first);
    expect(tables.credentials.generation(first)).toBe(3);
  });

  it('gives a user that moves to another service another credential, under the same name', () => {
    const { tables, identities, apply, user } = setUp();
    apply(`[{ name: a, users: [{ username: u, password: p }] }, { name: b }]`);
    const credential = user('u');
    const { changes, contradictions } = apply(
      `[{ name: a }, { name: b, users: [{ username: u, password: p }] }]`,
    );
    expect(user('u')).not.toBe(credential);
    expect(tables.credentials.generation(credential)).toBe(2);
    expect(tables.credentials.service(user('u'))).toBe(identities.serviceRow('b'));
    expect(contradictions).toEqual([{ list: LIST_USER, key: credential }]);
    expect(changes).toMatchObject({ usersAdded: 0, usersChanged: 1, usersRemoved: 0 });
    expect(identities.holderOfUser('u')).toBe('b');
  });

  it('says which connections a change may have made contradictory, and of no others', () => {
    const { identities, apply, settle } = setUp();
    apply(`[{ name: a, sources: [10.0.0.0/8] }, { name: b }]`);
    settle();
    const row = identities.serviceRow('a');
    const after = (services: string) => apply(services).contradictions;
    expect(after(`[{ name: a, sources: [10.0.0.0/8] }, { name: b, outbound: direct }]`)).toEqual([]);
    expect(after(`[{ name: a, sources: [10.0.0.0/9] }, { name: b }]`)).toEqual([
      { list: LIST_SERVICE, key: row },
    ]);
    expect(after(`[{ name: a }, { name: b }]`)).toEqual([]);
    expect(after(`[{ name: a, enabled: false }, { name: b }]`)).toEqual([{ list: LIST_SERVICE, key: row }]);
    expect(after(`[{ name: a }, { name: b }]`)).toEqual([]);
  });

  it('writes which sources may use a service, and what tells its clients apart', () => {
    const { tables, identities, apply } = setUp();
    apply(`[{ name: a, sources: [10.0.0.0/8] }, { name: b, devices: { limit: 1, ipv6_prefix: 56 } }]`);
    const [a, b] = ['a', 'b'].map((name) => identities.serviceRow(name)) as [number, number];
    expect(tables.networks[tables.services.sources(a)]).toBe(1);
    expect(tables.services.sources(b)).toBe(0);
    expect([a, b].map((row) => tables.services.prefixBits6(row))).toEqual([0, 56]);
    expect([a, b].map((row) => tables.services.prefixBits4(row))).toEqual([0, 0]);
  });

  it('lets what did not come about leave nothing behind', () => {
    const { tables, targets, identities, prepare, apply, settle } = setUp();
    apply('[{ name: a }]');
    const generation = tables.services.generation(0);
    identities.abandon(prepare(`[{ name: a, enabled: false }, { name: b, target: '10.0.0.1:1' }]`));
    expect(tables.services.flags(0)).toBe(SERVICE_ENABLED);
    expect(tables.services.generation(0)).toBe(generation);
    settle();
    expect(targets.room).toBe(4);
    expect(identities.services.find('b')).toBeUndefined();
  });

  it('says whether there are hashed passwords, and has a decoy of their cost while there are', () => {
    const { tables, identities, apply } = setUp();
    const other = HASH.replace('ln=4', 'ln=5');
    apply('[{ name: a, users: [{ username: u, password: p }] }]');
    expect(tables.machine.hashedCredentials(0)).toBe(0);
    expect(identities.decoyOf(-7)).toBeUndefined();
    apply(
      `[{ name: a, users: [{ username: u, password: '${HASH}' }, { username: h, password: '${other}' }] }]`,
    );
    expect(tables.machine.hashedCredentials(0)).toBe(2);
    const costs = [-2, -1].map((choice) => identities.decoyOf(choice)?.costLog2);
    expect(costs.sort()).toEqual([4, 5]);
    expect(identities.decoyOf(-7)).toBe(identities.decoyOf(-7));
    apply(`[{ name: a, users: [{ username: h, password: '${other}' }] }]`);
    expect(tables.machine.hashedCredentials(0)).toBe(1);
    const decoy = identities.decoyOf(-7);
    expect(decoy).toMatchObject({ costLog2: 5, blockSize: 8, parallelization: 1 });
    expect(decoy?.hash).not.toEqual(new Uint8Array(32));
    apply('[]');
    expect(tables.machine.hashedCredentials(0)).toBe(0);
    expect(identities.decoyOf(-7)).toBeUndefined();
  });

  it('removes users, names and services, generation first to be even', () => {
    const { tables, identities, apply, user, settle } = setUp();
    apply(
      `[{ name: a, users: [{ username: u, password: p }], server_names: [x.example], target: '10.0.0.1:1' }]`,
    );
    settle();
    const row = identities.serviceRow('a');
    const target = tables.services.target(row);
    apply('[]');
    expect(user('u')).toBe(-1);
    expect(tables.serverNames.get(hashText(keys, SERVER_NAME_KEY, 'x.example'), 0)).toBe(-1);
    expect(tables.services.generation(row)).toBe(2);
    expect(tables.targets.generation(target)).toBe(2);
    expect(() => identities.serviceRow('a')).toThrow(RangeError);
  });

  it('refuses what does not fit before it writes anything', () => {
    const { tables, prepare, apply } = setUp();
    apply('[{ name: a }, { name: b }]');
    expect(() => prepare('[{ name: c }, { name: d }, { name: e }, { name: f }, { name: g }]')).toThrow(
      expect.objectContaining({ code: 'table_full', facts: { table: 'services', wanted: 5, room: 2 } }),
    );
    expect(tables.services.generation(3)).toBe(0);
  });
});
