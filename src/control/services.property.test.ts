// Random changes by file and API against a plain model: which user name and password lead where, and what holds there. What a
// worker would find in the shared tables must be that, after every change, refused ones among them, and after a restart.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { configured, createMemoryStore, startServices } from './services.fixture.ts';

const NAMES = ['a', 'b', 'c', 'd'];
const USERS = ['u', 'v', 'w'];
const PASSWORDS = ['one', 'two'];
const SOURCES = [[], ['10.0.0.0/8'], ['10.0.0.0/8', '2001:db8::/32']];

interface ModelService {
  readonly enabled: boolean;
  readonly sources: readonly string[];
  readonly users: readonly { readonly username: string; readonly password: string }[];
}
type Model = Map<string, ModelService & { readonly owner: 'file' | 'api' }>;

const service: fc.Arbitrary<ModelService> = fc.record({
  enabled: fc.boolean(),
  sources: fc.constantFrom(...SOURCES),
  users: fc.uniqueArray(
    fc.record({ username: fc.constantFrom(...USERS), password: fc.constantFrom(...PASSWORDS) }),
    { maxLength: 2, selector: ({ username }) => username },
  ),
});
const name = fc.constantFrom(...NAMES);
const some = fc.uniqueArray(fc.tuple(name, service), { maxLength: 3, selector: ([one]) => one });

type Step =
  | { readonly kind: 'put' | 'patch'; readonly name: string; readonly service: ModelService }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'putAll' | 'replaceAll' | 'reload'; readonly some: [string, ModelService][] }
  | { readonly kind: 'restart' | 'storeFails' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('put' as const, 'patch' as const), name, service }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), name }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('putAll' as const, 'replaceAll' as const, 'reload' as const),
      some,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('restart' as const, 'storeFails' as const) }),
  },
);

/** The model after the step; undefined: it must be refused. */
function after(model: Model, { kind, ...rest }: Step, isFailing: boolean): Model | undefined {
  const next: Model = new Map(model);
  if (kind === 'restart' || kind === 'storeFails') return next;
  if (kind === 'reload') {
    const { some } = rest as { some: [string, ModelService][] };
    for (const [one, { owner }] of model) if (owner === 'file') next.delete(one);
    for (const [one, definition] of some) {
      if (next.get(one)?.owner === 'api') return undefined;
      next.set(one, { ...definition, owner: 'file' });
    }
    return isUnique(next) ? next : undefined;
  }
  const { name: one } = rest as { name: string };
  const { service: given, some } = rest as { service: ModelService; some: [string, ModelService][] };
  const before = model.get(one);
  if (kind === 'put') next.set(one, { ...given, owner: 'api' });
  else if (kind === 'patch') {
    if (before === undefined) return undefined;
    next.set(one, { ...before, enabled: given.enabled, sources: given.sources });
  } else if (kind === 'remove') {
    if (before === undefined) return undefined;
    next.delete(one);
  } else {
    if (kind === 'replaceAll') for (const [old, { owner }] of model) if (owner === 'api') next.delete(old);
    for (const [added, definition] of some) next.set(added, { ...definition, owner: 'api' });
  }
  for (const [old, { owner }] of model)
    if (owner === 'file' && next.get(old) !== model.get(old)) return undefined;
  if (!isUnique(next)) return undefined;
  return isFailing && !isSame(model, next) ? undefined : next;
}

function isUnique(model: Model): boolean {
  const users = [...model.values()].flatMap(({ users: own }) => own.map(({ username }) => username));
  return new Set(users).size === users.length;
}

function isSame(a: Model, b: Model): boolean {
  const text = (model: Model) => JSON.stringify([...model].sort(([x], [y]) => (x < y ? -1 : 1)));
  return text(a) === text(b);
}

describe('services of file and API', () => {
  it('are in the tables what they are in a plain model', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-model-'));
    const fileOf = (model: Model) => {
      const services = [...model].flatMap(([one, { owner, ...written }]) =>
        owner === 'file' ? { name: one, ...written } : [],
      );
      // The keeper of the inbound has a user, so that there is no implicit service.
      const keeper = { name: 'keeper', users: [{ username: 'keeper', password: 'k' }] };
      const inbounds = [{ tag: 's', type: 'socks5', listen: 'unix:./s.sock' }];
      return configured(directory, JSON.stringify({ inbounds, services: [keeper, ...services] }));
    };
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
          const store = createMemoryStore();
          let model: Model = new Map();
          let started = await startServices(fileOf(model), store);
          try {
            for (const one of steps) {
              if (one.kind === 'storeFails') store.isFailing = !store.isFailing;
              const wanted = after(model, one, store.isFailing);
              if (one.kind === 'restart') {
                started.edge.closeListeners();
                started = await startServices(fileOf(model), store);
              } else {
                const isDone = await carriedOut(started, one, fileOf);
                expect(isDone, JSON.stringify(one)).toBe(wanted !== undefined);
              }
              model = wanted ?? model;
              compare(started, model);
            }
          } finally {
            started.edge.closeListeners();
          }
        }),
        { numRuns: 150 },
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

type Started = Awaited<ReturnType<typeof startServices>>;

async function carriedOut(
  { edge, changes }: Started,
  one: Step,
  fileOf: (model: Model) => ReturnType<typeof configured>,
) {
  const list = 'some' in one ? one.some.map(([name, written]) => ({ name, ...written })) : [];
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    put: async () => 'service' in one && changes.put(one.name, { ...one.service }, {}),
    patch: async () => {
      if (!('service' in one)) return;
      const { enabled, sources } = one.service;
      await changes.patch(one.name, { enabled, sources: [...sources] }, {});
    },
    remove: async () => 'name' in one && changes.remove(one.name, {}),
    putAll: () => changes.putAll({ services: list }),
    replaceAll: () => changes.replaceAll({ services: list }),
    reload: async () => {
      const written = 'some' in one ? one.some : [];
      let configuration: ReturnType<typeof configured>;
      try {
        configuration = fileOf(
          new Map(written.map(([name, given]) => [name, { ...given, owner: 'file' as const }])),
        );
      } catch {
        throw Object.assign(new Error('the file has mistakes'), { code: 'configuration_invalid' });
      }
      await edge.apply(configuration);
    },
    storeFails: async () => {},
  };
  try {
    await calls[one.kind]?.();
    return true;
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw error;
    return false;
  }
}

function compare({ login, rowOf, edge, store, policy, tables }: Started, model: Model): void {
  expect(edge.services.names()).toEqual([...model.keys(), 'keeper'].sort());
  for (const username of USERS) {
    for (const password of PASSWORDS) {
      const holder = [...model].find(([, { users }]) =>
        users.some((user) => user.username === username && user.password === password),
      );
      const found = login(username, password);
      expect(found?.row, `${username} ${password}`).toBe(holder === undefined ? undefined : rowOf(holder[0]));
    }
  }
  const rows = new Set<number>();
  for (const [name, { enabled, sources, owner }] of model) {
    const row = rowOf(name);
    rows.add(row);
    expect(policy(row), name).toMatchObject({ isEnabled: enabled, sources: sources.length });
    expect(edge.services.find(name)?.owner).toBe(owner);
    expect(store.kept.has(name)).toBe(owner === 'api');
  }
  expect(rows.size).toBe(model.size);
  let live = 0;
  for (let row = 0; row < 32; row++) live += tables.services.generation(row) & 1;
  expect(live).toBe(model.size + 1);
}
