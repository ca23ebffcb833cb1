// An edge without workers over a store in memory, for tests of services: what workers would find is read from the tables.

import { join } from 'node:path';
import { checkConfiguration } from '../config/check.ts';
import type { Configuration } from '../config/configuration.ts';
import type { StoredService } from '../layout/keeper-messages.ts';
import { deriveNameKeys, hashText, PASSWORD_KEY, USER_NAME_KEY } from '../layout/name-hash.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import { createLibc } from '../sys/libc/libc.ts';
import { SocketAddress } from '../sys/socket-address.ts';
import type { Contradiction } from './contradiction.ts';
import { createEdge } from './edge.ts';
import type { Edge } from './edge.ts';
import { createServiceChanges } from './service-changes.ts';
import type { ServiceStore } from './service-changes.ts';
import { readStoredServices } from './stored-services.ts';

const sys = createLibc();
const KEY = Int32Array.of(1, 2, 3, 4);
const KEYS = deriveNameKeys(KEY);

/** What the store would hold. */
export function createMemoryStore() {
  const kept = new Map<string, StoredService>();
  const store: ServiceStore & { kept: typeof kept; isFailing: boolean; revisionHighest: number } = {
    kept,
    revisionHighest: 0,
    isFailing: false,
    async changeServices(put, remove) {
      if (store.isFailing) throw new Error('the disk is full');
      for (const name of remove) kept.delete(name);
      for (const service of put) {
        kept.set(service.name, service);
        store.revisionHighest = Math.max(store.revisionHighest, service.revision);
      }
    },
  };
  return store;
}

/** @param directory where relative paths start */
export function configured(directory: string, text: string): Configuration {
  const { configuration, mistakes } = checkConfiguration(text, join(directory, 'edge.yaml'));
  if (configuration === undefined) throw new Error(JSON.stringify(mistakes));
  return configuration;
}

/** A daemon's part that knows services, as it starts with this file and this store. */
export async function startServices(configuration: Configuration, store = createMemoryStore()) {
  const limits = {
    workers: 1,
    slotsPerWorker: 1,
    pipesPerWorker: 1,
    services: 32,
    credentials: 64,
    serverNames: 32,
    targets: 32,
    sources: 1024,
    networkWords: 1024,
    ruleWords: 65_536,
    receipts: 64,
    isIndexed: true,
  };
  const tables = attachTables(createTables(limits, KEY));
  // Nobody is there who could be reading what a change retires.
  tables.workers.setOffline(0, 1);
  const contradictions: Contradiction[] = [];
  const asking: string[] = [];
  const edge: Edge = createEdge({
    sys,
    tables,
    address: new SocketAddress(sys),
    descriptorLimit: 10_000,
    distribute: async () => {},
    asks: (tag) => void asking.push(tag),
    async reconcile(list) {
      contradictions.push(...list);
      return { ended: list.length, durationUs: 1, workerUs: 1, lastGoneUs: 0 };
    },
  });
  const stored = readStoredServices([...store.kept.values()], configuration);
  edge.services.load(stored, store.revisionHighest);
  await edge.apply(configuration);
  store.revisionHighest = edge.services.revisionHighest;
  const logged: Readonly<Record<string, unknown>>[] = [];
  const note = (facts: object, message: string) => logged.push({ ...facts, message });
  const changes = createServiceChanges(edge, store, { info: note, warn: note, error: note });

  /** What a worker finds for a user name and a password; undefined: it lets nobody in. */
  function login(username: string, password: string) {
    const index = tables.userNames.get(hashText(KEYS, USER_NAME_KEY, username), 0);
    if (index < 0 || (tables.credentials.generation(index) & 1) === 0) return undefined;
    const proof = hashText(KEYS, PASSWORD_KEY, password);
    if (proof.some((word, k) => tables.credentials.proof(index, k) !== word)) return undefined;
    const row = tables.credentials.service(index);
    return (tables.services.generation(row) & 1) === 0 ? undefined : { row, ...policy(row) };
  }

  function policy(row: number) {
    const at = tables.services.sources(row);
    return {
      isEnabled: tables.services.flags(row) === 1,
      outbound: tables.services.outbound(row),
      sources: at === 0 ? 0 : (tables.networks[at] as number),
      prefixBits6: tables.services.prefixBits6(row),
    };
  }

  const rowOf = (name: string) => edge.identities.services.find(name)?.index ?? -1;
  return { edge, tables, changes, store, logged, contradictions, asking, login, policy, rowOf };
}
