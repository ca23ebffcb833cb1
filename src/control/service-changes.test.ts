import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIST_SERVICE, LIST_USER } from '../layout/lists.ts';
import { configured, createMemoryStore, startServices } from './services.fixture.ts';

let directory = '';
const opened: { edge: { closeListeners(): void } }[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-services-'));
});
afterEach(() => {
  for (const { edge } of opened.splice(0)) edge.closeListeners();
  rmSync(directory, { recursive: true });
});

const FILED =
  '[{ name: filed, users: [{ username: filed-user, password: p }], server_names: [f.example], target: "10.0.0.1:1" }]';

function file(services = FILED, more = '', inbound = '') {
  return configured(
    directory,
    `inbounds: [{ tag: s, type: socks5, listen: "unix:./s.sock" }${inbound}]\nservices: ${services}\n${more}`,
  );
}

async function start(configuration = file(), store = createMemoryStore()) {
  const started = await startServices(configuration, store);
  opened.push(started);
  return started;
}

const ALICE = { users: [{ username: 'alice', password: 'one' }] };

describe('a service of the API', () => {
  it('is created, replaced, patched and removed; each time in the store and in the tables', async () => {
    const { changes, edge, store, login, rowOf } = await start();
    const created = await changes.put('alice', ALICE, {});
    expect(created).toMatchObject({ isNew: true, entry: { owner: 'api', revision: 1 } });
    const row = rowOf('alice');
    expect(login('alice', 'one')).toMatchObject({ row, isEnabled: true, sources: 0 });
    expect(store.kept.get('alice')).toMatchObject({ revision: 1 });

    const patched = await changes.patch('alice', { enabled: false, sources: ['10.0.0.0/8'] }, {});
    expect(patched.entry?.revision).toBe(2);
    expect(login('alice', 'one')).toMatchObject({ row, isEnabled: false, sources: 1 });
    await changes.patch('alice', { enabled: null, sources: null }, {});
    expect(login('alice', 'one')).toMatchObject({ row, isEnabled: true, sources: 0 });

    const replaced = await changes.put('alice', { users: [{ username: 'al', password: 'two' }] }, {});
    expect(replaced).toMatchObject({ isNew: false, entry: { revision: 4 } });
    expect([login('alice', 'one'), login('al', 'two')?.row]).toEqual([undefined, row]);

    await changes.remove('alice', {});
    expect(login('al', 'two')).toBeUndefined();
    expect([store.kept.size, edge.services.find('alice'), rowOf('alice')]).toEqual([0, undefined, -1]);
    // A revision that somebody holds of the one before must not fit the next one of that name.
    expect((await changes.put('alice', ALICE, {})).entry?.revision).toBe(5);
  });

  it('is logged when it changes, with names and counts, and without passwords', async () => {
    const { changes, logged, store } = await start();
    await changes.put('alice', ALICE, {});
    await changes.put('alice', ALICE, {});
    const many = Array.from({ length: 30 }, (_, index) => ({ name: `s${index}` }));
    await changes.replaceAll({ services: many });
    store.isFailing = true;
    await expect(changes.remove('s1', {})).rejects.toThrow('full');
    expect(logged).toMatchObject([
      {
        event: 'services_changed',
        owner: 'api',
        added: 1,
        names_added: ['alice'],
        changed: 0,
        users_added: 1,
      },
      { added: 30, removed: 1, names_removed: ['alice'], users_removed: 1, ended: expect.any(Number) },
    ]);
    expect(logged[1]).toMatchObject({ message: 'services of the API: 30 added, 1 removed' });
    expect(logged[1]?.['names_added']).toHaveLength(20);
    expect(JSON.stringify(logged)).not.toContain('one');
  });

  it('keeps the passwords that nobody repeats', async () => {
    const { changes, login } = await start();
    await changes.put('alice', ALICE, {});
    await changes.put('alice', { users: [{ username: 'alice' }], enabled: true }, {});
    expect(login('alice', 'one')).toBeDefined();
    const lacking = changes.put('alice', { users: [{ username: 'new' }] }, {});
    await expect(lacking).rejects.toMatchObject({
      code: 'request_invalid',
      facts: { mistakes: [{ path: 'users[0]', message: 'lacks "password" (a password)' }] },
    });
  });

  it('says which connections it contradicts: those of changed users, of a narrowed or disabled service', async () => {
    const { changes, contradictions, rowOf } = await start();
    await changes.put('alice', { users: [...ALICE.users, { username: 'bob', password: 'b' }] }, {});
    const row = rowOf('alice');
    expect(contradictions.splice(0)).toEqual([]);
    await changes.patch('alice', { rate: { up: '1mbit' }, outbound: 'direct' }, {});
    expect(contradictions.splice(0)).toEqual([]);
    await changes.put('alice', { users: [{ username: 'alice', password: 'two' }, { username: 'bob' }] }, {});
    expect(contradictions.splice(0)).toEqual([{ list: LIST_USER, key: 1 }]);
    await changes.patch('alice', { enabled: false }, {});
    expect(contradictions.splice(0)).toEqual([{ list: LIST_SERVICE, key: row }]);
    const { reconciled } = await changes.remove('alice', {});
    expect(contradictions).toHaveLength(3);
    expect(reconciled.ended).toBe(3);
  });

  it('changes only where the revision is the one that was looked at', async () => {
    const { changes, edge } = await start();
    await changes.put('alice', ALICE, { ifAbsent: true });
    const conflict = { code: 'revision_conflict', facts: { service: 'alice', revision: 1 } };
    await expect(changes.put('alice', ALICE, { ifAbsent: true })).rejects.toMatchObject(conflict);
    await expect(changes.patch('alice', {}, { ifMatch: [2] })).rejects.toMatchObject(conflict);
    await expect(changes.remove('alice', { ifMatch: [] })).rejects.toMatchObject(conflict);
    await expect(changes.put('bob', {}, { ifMatch: 'any' })).rejects.toMatchObject({
      code: 'revision_conflict',
      facts: { revision: null },
    });
    await changes.patch('alice', { enabled: false }, { ifMatch: [7, 1] });
    // Two who looked at the same one: one of them wins.
    const both = [true, false].map((enabled) => changes.put('alice', { enabled }, { ifMatch: [2] }));
    const outcomes = await Promise.allSettled(both);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(edge.services.find('alice')?.revision).toBe(3);
  });

  it('gives no revision twice under one name, over restarts neither', async () => {
    const first = await start();
    await first.changes.put('alice', ALICE, {});
    await first.changes.patch('alice', { enabled: false }, {});
    await first.changes.remove('alice', {});
    const filed = first.edge.services.find('filed')?.revision ?? 0;
    first.edge.closeListeners();
    const { changes, edge } = await start(file(), first.store);
    expect(edge.services.find('filed')?.revision).toBeGreaterThan(filed);
    expect((await changes.put('alice', ALICE, {})).entry?.revision).toBeGreaterThan(2);
  });

  it('that is the same as before is no change', async () => {
    const { changes, store } = await start();
    await changes.put('alice', ALICE, {});
    store.isFailing = true;
    expect((await changes.put('alice', ALICE, {})).entry?.revision).toBe(1);
    expect(await changes.putAll({ services: [{ name: 'alice', ...ALICE }] })).toMatchObject({ unchanged: 1 });
  });

  it('changes nothing where the store fails, or the tables are full', async () => {
    const { changes, edge, store, login, tables } = await start();
    await changes.put('alice', ALICE, {});
    const words = () => tables.networks.reduce((sum, word) => sum + (word === 0 ? 0 : 1), 0);
    const before = words();
    store.isFailing = true;
    await expect(changes.patch('alice', { enabled: false }, {})).rejects.toThrow('the disk is full');
    expect(login('alice', 'one')?.isEnabled).toBe(true);
    expect(edge.services.find('alice')?.revision).toBe(1);
    // What a refused change had taken is free again, however often it is refused: there are 32 targets.
    for (let attempt = 0; attempt < 40; attempt++) {
      const promise = changes.patch('alice', { target: `10.0.0.1:${attempt + 1}` }, {});
      await expect(promise).rejects.toThrow('the disk is full');
    }
    store.isFailing = false;
    for (let port = 1; port <= 40; port++) await changes.patch('alice', { target: `10.0.0.1:${port}` }, {});
    await changes.patch('alice', { target: null }, {});
    const many = Array.from({ length: 40 }, (_, index) => ({ name: `s${index}` }));
    await expect(changes.putAll({ services: many })).rejects.toMatchObject({ code: 'table_full' });
    const networks = Array.from({ length: 250 }, (_, index) => `10.${index}.0.0/17`);
    await expect(changes.patch('alice', { sources: networks }, {})).rejects.toMatchObject({
      code: 'table_full',
    });
    expect([store.kept.size, edge.services.count, words()]).toEqual([1, 2, before]);
  });
});

describe('mistakes', () => {
  it('are told with their place, all at once, in the words of the file', async () => {
    const { changes } = await start();
    const wrong = {
      name: 'other',
      users: [{ username: 'filed-user', password: 'p' }],
      rate: { up: '20' },
      sourcs: [],
      outbound: 'direkt',
    };
    const mistakesOf = async (promise: Promise<unknown>) => {
      const error = await promise.then(
        () => undefined,
        (reason: { facts: { mistakes: { path: string; message: string }[] } }) => reason,
      );
      return error?.facts.mistakes.map(({ path, message }) => `${path}: ${message}`);
    };
    expect(await mistakesOf(changes.put('alice', wrong, {}))).toEqual([
      'name: the body names another service than the path; expected "alice", or no "name"',
    ]);
    expect(await mistakesOf(changes.put('alice', { ...wrong, name: 'alice' }, {}))).toEqual([
      'sourcs: unknown key "sourcs"; did you mean "sources"?',
      'rate.up: "20" has no unit; expected a data rate such as 20mbit, 1gbit, 512kB/s, 10MB/s or 10MiB/s',
      'outbound: outbound "direkt" is not defined; did you mean "direct"?',
    ]);
    expect(
      await mistakesOf(
        changes.put('alice', { users: wrong.users, server_names: ['F.example'], target: 'a:1' }, {}),
      ),
    ).toEqual([
      'users[0].username: user name "filed-user" belongs to service "filed" of the configuration file',
      'server_names[0]: server name "f.example" belongs to service "filed" of the configuration file',
    ]);
    expect(await mistakesOf(changes.put('alice', [], {}))).toHaveLength(1);
    await changes.put('alice', ALICE, {});
    expect(await mistakesOf(changes.patch('alice', { users: [], enabeld: true }, {}))).toEqual([
      'users: "users" says who belongs to the service; PUT the whole service to change it',
      'enabeld: unknown key "enabeld"; did you mean "enabled"?',
    ]);
    expect(
      await mistakesOf(changes.putAll({ services: [{ name: 'b' }, 5, { name: 'b' }, { nam: 'c' }] })),
    ).toEqual([
      'services[1]: found 5, expected a mapping',
      'services[3].nam: unknown key "nam"; did you mean "name"?',
      'services[2].name: name "b" is already used at services[0].name',
    ]);
    expect(await mistakesOf(changes.putAll({ services: [{ name: 'filed' }] }))).toHaveLength(1);
    expect(await mistakesOf(changes.putAll([]))).toHaveLength(1);
    expect(await mistakesOf(changes.putAll({ services: 1, dry: true }))).toHaveLength(1);
  });

  it('name who owns what, and what is near', async () => {
    const { changes } = await start();
    await changes.put('alice', ALICE, {});
    const owned = { code: 'owned_by_file', facts: { service: 'filed' } };
    await expect(changes.put('filed', {}, {})).rejects.toMatchObject(owned);
    await expect(changes.patch('filed', {}, {})).rejects.toMatchObject(owned);
    await expect(changes.remove('filed', {})).rejects.toMatchObject(owned);
    await expect(changes.remove('alise', {})).rejects.toMatchObject({
      code: 'service_unknown',
      facts: { nearest: 'alice' },
    });
  });
});

describe('many at once', () => {
  it('are added or changed as one, or become exactly those', async () => {
    const { changes, edge, store, login } = await start();
    const services = [1, 2, 3].map((n) => ({ name: `s${n}`, users: [{ username: `u${n}`, password: 'p' }] }));
    expect(await changes.putAll({ services })).toMatchObject({ added: 3, changed: 0, removed: 0 });
    // Users may change places within one request.
    const swapped = [
      { name: 's1', users: [{ username: 'u2', password: 'p' }] },
      { name: 's2', users: [{ username: 'u1', password: 'p' }] },
    ];
    const rows = ['u1', 'u2'].map((name) => login(name, 'p')?.row);
    expect(await changes.replaceAll({ services: swapped })).toMatchObject({
      added: 0,
      changed: 2,
      removed: 1,
    });
    expect(['u2', 'u1'].map((name) => login(name, 'p')?.row)).toEqual(rows);
    expect(login('u3', 'p')).toBeUndefined();
    expect([...store.kept.keys()].sort()).toEqual(['s1', 's2']);
    expect(edge.services.names()).toEqual(['filed', 's1', 's2']);
    const clash = { name: 's9', users: [{ username: 'u1', password: 'p' }] };
    await expect(changes.putAll({ services: [{ name: 's8' }, clash] })).rejects.toMatchObject({
      facts: { mistakes: [{ path: 'services[1].users[0].username' }] },
    });
    expect(edge.services.find('s8')).toBeUndefined();
  });
});

describe('implicit services', () => {
  it('may be overlaid, on the same row, and come back', async () => {
    const { changes, edge, rowOf, policy } = await start(file('[]'));
    const row = rowOf('default');
    expect(edge.services.find('default')).toMatchObject({ owner: 'file', definition: { implicit: true } });
    await changes.patch('default', { enabled: false }, {});
    expect(edge.services.find('default')).toMatchObject({ owner: 'api', revision: 2 });
    expect([rowOf('default'), policy(row).isEnabled]).toEqual([row, false]);
    await edge.apply(file('[]'));
    expect(edge.services.find('default')?.owner).toBe('api');
    await changes.remove('default', {});
    expect(edge.services.find('default')).toMatchObject({ owner: 'file', revision: 3 });
    expect([rowOf('default'), policy(row).isEnabled]).toEqual([row, true]);
    await expect(changes.remove('default', {})).rejects.toMatchObject({ code: 'owned_by_file' });
  });

  it('have no users where an inbound names them, as nobody is asked there', async () => {
    const open = `inbounds: [{ tag: o, type: http, listen: "unix:./o.sock", service: open }]`;
    const { changes, edge } = await start(configured(directory, open));
    await expect(changes.put('open', ALICE, {})).rejects.toMatchObject({
      facts: { mistakes: [{ path: 'users' }] },
    });
    const { warnings } = await changes.put('late', ALICE, {});
    expect(warnings).toMatchObject([{ path: 'users', expected: 'an inbound with `ask_users: true`' }]);
    const named = configured(directory, open.replace('service: open', 'service: late'));
    await expect(edge.apply(named)).rejects.toMatchObject({ code: 'owner_conflict' });
  });
});

describe('file and API', () => {
  it('leave no proxy open once the API has users, and none is opened again', async () => {
    const open = ', { tag: o, type: http, listen: "unix:./o.sock", service: default }';
    const { changes, edge, asking, contradictions, rowOf } = await start(file('[]'));
    const asked = () => edge.configuration.inbounds.map(({ service }) => service);
    expect(asked()).toEqual(['default']);
    const row = rowOf('default');
    await changes.put('no-users', {}, {});
    expect([asked(), asking]).toEqual([['default'], []]);
    const { warnings } = await changes.put('alice', ALICE, {});
    expect([asked(), asking, warnings]).toEqual([[undefined], ['s'], []]);
    // Whom the open proxy had let in is nobody whom what is in force would let in.
    expect(contradictions).toContainEqual({ list: LIST_SERVICE, key: row });

    await edge.apply(file('[]'));
    await edge.apply(file('[{ name: default }]'));
    expect([asked(), asking]).toEqual([[undefined], ['s']]);
    const renamed = configured(directory, 'inbounds: [{ tag: t, type: socks5, listen: "unix:./t.sock" }]');
    await edge.apply(renamed);
    expect([asked(), asking]).toEqual([[undefined], ['s', 't']]);
    await edge.apply(file('[]', '', open));
    expect(asked()).toEqual([undefined, 'default']);
    await changes.remove('alice', {});
    await edge.apply(file('[]'));
    expect(asked()).toEqual([undefined]);
  });

  it('leave no proxy open at a start with users in the store', async () => {
    const first = await start();
    await first.changes.put('alice', ALICE, {});
    first.edge.closeListeners();
    const { edge, asking, login } = await start(file('[]'), first.store);
    expect(edge.configuration.inbounds.map(({ service }) => service)).toEqual([undefined]);
    expect([asking, edge.services.find('default')]).toEqual([['s'], undefined]);
    expect(login('alice', 'one')).toBeDefined();
  });

  it('give `default` users as well, where nobody is let in without', async () => {
    const { changes, edge, login, rowOf } = await start(file('[]'));
    await changes.put('default', ALICE, {});
    expect(edge.configuration.inbounds.map(({ service }) => service)).toEqual([undefined]);
    expect(login('alice', 'one')?.row).toBe(rowOf('default'));
    await changes.remove('default', {});
    expect(edge.services.find('default')).toBeUndefined();
  });

  it('are kept apart by reloads: what the API owns and what it needs stays', async () => {
    const outbounds = 'outbounds: [{ type: direct }, { type: direct, tag: other }]';
    const { changes, edge, login } = await start(file(FILED, outbounds));
    await changes.put('alice', { ...ALICE, outbound: 'other' }, {});
    const row = login('alice', 'one');
    await edge.apply(file('[{ name: k, users: [{ username: k, password: k }] }]', outbounds));
    expect(login('alice', 'one')).toEqual(row);
    expect(edge.services.find('filed')).toBeUndefined();
    await expect(edge.apply(file())).rejects.toMatchObject({
      code: 'owner_conflict',
      message: expect.stringMatching(/outbound "other" is gone .* service "alice"/),
    });
    expect(edge.services.find('filed')).toBeUndefined();
    const doubled = file(
      '[{ name: alice }, { name: b, users: [{ username: alice, password: x }] }]',
      outbounds,
    );
    await expect(edge.apply(doubled)).rejects.toMatchObject({
      code: 'owner_conflict',
      facts: { mistakes: [{ path: 'services[0].name' }, { path: 'services[1].users[0].username' }] },
    });
    expect(login('alice', 'one')).toEqual(row);
    await edge.apply(file(FILED, outbounds));
    await edge.apply(file(FILED.replace('name: filed,', 'name: filed, enabled: false,'), outbounds));
    expect(edge.services.find('filed')?.revision).toBe(3);
  });

  it('are after a restart exactly what they were', async () => {
    const first = await start();
    await first.changes.put('alice', { ...ALICE, sources: ['10.0.0.0/8'], target: 'unix:./t.sock' }, {});
    await first.changes.patch('alice', { devices: { limit: 1, ipv6_prefix: 48 } }, {});
    const was = first.edge.services.find('alice');
    first.edge.closeListeners();
    const second = await start(file(), first.store);
    expect(second.edge.services.find('alice')).toEqual(was);
    const found = second.login('alice', 'one');
    expect(found).toMatchObject({ isEnabled: true, sources: 1, prefixBits6: 48 });
    expect(second.login('filed-user', 'p')?.row).not.toBe(found?.row);
    second.edge.closeListeners();
    await expect(start(file('[{ name: alice }]'), first.store)).rejects.toMatchObject({
      code: 'owner_conflict',
      message: expect.stringMatching(
        /^services\[0\].name: service "alice" is in the file.*out of the file, start, /,
      ),
    });
    first.store.kept.set('bad', { name: 'bad', revision: 1, definition: '{"name":"bad","rate":5}' });
    await expect(start(file(), first.store)).rejects.toMatchObject({ code: 'stored_services_invalid' });
  });
});
