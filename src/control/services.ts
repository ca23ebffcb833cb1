// The services in force and who owns each: the configuration file or the API. Rules, no input and no output:
//
//   a name has one owner; the API changes only what is its own
//   an implicit service (named by an inbound, or `default`) may be overlaid by one of the API: it keeps its row, and comes
//   back when that one is deleted
//   a reload changes what the file owns; what the API owns outlasts it, and keeps what it refers to
//
// Each has a revision that grows with every change, and never repeats under one name: the store has the highest. A plan is
// made first and holds nothing; `commit` makes it what is in force. Control thread; one change at a time (edge.ts).

import { isDeepStrictEqual } from 'node:util';
import type { Configuration, Service } from '../config/configuration.ts';
import { pathText, quoted, type RequestMistake } from '../config/mistakes.ts';
import { nearest } from '../config/nearest.ts';
import { SluiceError } from './errors.ts';
import type { Identities, ServicesChange } from './identities.ts';
import { brokenReferences, findConflicts } from './service-conflicts.ts';

export type Owner = 'file' | 'api';

export interface ServiceEntry {
  readonly owner: Owner;
  readonly revision: number;
  readonly definition: Service;
  /** Of the API: what it was given, passwords included, in the words of the configuration. */
  readonly written: Readonly<Record<string, unknown>> | undefined;
}

/** A service that the API owns, or is to. */
export type ApiService = ServiceEntry & { readonly owner: 'api' };

export interface ServicesPlan {
  readonly change: ServicesChange;
  /** Services that the API will own, with their revisions; and those that it will own no longer. */
  readonly stored: readonly ApiService[];
  readonly forgotten: readonly string[];
  commit(): void;
}

export interface ServiceRegistry {
  readonly count: number;
  /** Of all services that there ever were. */
  readonly revisionHighest: number;
  find(name: string): ServiceEntry | undefined;
  /** @throws SluiceError service_unknown, with the nearest name */
  require(name: string): ServiceEntry;
  hasApiUsers(): boolean;
  /** Sorted. */
  names(): readonly string[];
  /** What the store held when the daemon started. Before the first configuration, and once. */
  load(services: readonly ApiService[], revisionHighest: number): void;
  /** @throws SluiceError owner_conflict, with all of them */
  planFile(configuration: Configuration, holders: Holders): ServicesPlan;
  /** `put` and `remove` are of the API or of nobody, `remove` exists; conflicts have been looked for. */
  planApi(put: readonly Omit<ApiService, 'revision'>[], remove: readonly string[]): ServicesPlan;
}

type Holders = Pick<Identities, 'holderOfUser' | 'holderOfServerName'>;

/** There is no daemon that could be asked to delete anything then. */
const AT_START =
  '; the store has it: take what conflicts out of the file, start, change or delete the service of the API, put it back, reload';
/** Nobody mends more in one go. */
const MISTAKES_MAX = 1_000;
/** Among more names nobody looks for the nearest: it would hold up the control thread. */
const COMPARED_MAX = 20_000;
/** Beyond so many new or lost names the sorted list is made anew. */
const INSERTED_MAX = 64;

export function createServiceRegistry(): ServiceRegistry {
  const entries = new Map<string, ServiceEntry>();
  /** Implicit services behind those of the API. */
  let overlaid = new Map<string, Service>();
  /** Loaded, and no row has been made for it. */
  let loaded: readonly ApiService[] = [];
  /** No revision of a service that has gone, or was there before a restart, is above. */
  let revisionGone = 0;
  let revisionHighest = 0;
  let sorted: string[] | undefined = [];

  function nextRevision(name: string): number {
    return (entries.get(name)?.revision ?? revisionGone) + 1;
  }

  function set(name: string, entry: ServiceEntry): void {
    if (!entries.has(name)) sorted?.splice(placeOf(sorted, name), 0, name);
    entries.set(name, entry);
    revisionHighest = Math.max(revisionHighest, entry.revision);
  }

  function remove(name: string): void {
    const entry = entries.get(name);
    if (entry === undefined) return;
    revisionGone = Math.max(revisionGone, entry.revision);
    entries.delete(name);
    sorted?.splice(placeOf(sorted, name), 1);
  }

  function forgetOrder(changed: number): void {
    if (changed > INSERTED_MAX) sorted = undefined;
  }

  return {
    get count() {
      return entries.size;
    },
    get revisionHighest() {
      return revisionHighest;
    },
    find: (name) => entries.get(name),
    require(name) {
      const entry = entries.get(name);
      if (entry !== undefined) return entry;
      const near = entries.size > COMPARED_MAX ? undefined : nearest(name, entries.keys());
      const hint = near === undefined ? '' : `; did you mean ${quoted(near)}?`;
      const message = `there is no service ${quoted(name)}${hint}`;
      throw new SluiceError('service_unknown', message, { service: name, nearest: near });
    },
    hasApiUsers() {
      for (const { owner, definition } of entries.values()) {
        if (owner === 'api' && definition.users.length > 0) return true;
      }
      return false;
    },
    names() {
      sorted ??= [...entries.keys()].sort(compareText);
      return sorted;
    },

    load(services, highest) {
      revisionGone = highest;
      revisionHighest = highest;
      forgetOrder(services.length);
      for (const service of services) set(service.definition.name, service);
      loaded = services;
    },

    planFile(configuration, holders) {
      const mistakes: RequestMistake[] = [];
      const put: Service[] = [];
      /** By place in `put`: place in the file. */
      const places: number[] = [];
      const behind = new Map<string, Service>();
      const wanted = new Set<string>();
      for (const [place, service] of configuration.services.entries()) {
        wanted.add(service.name);
        const entry = entries.get(service.name);
        if (entry?.owner === 'api') {
          behind.set(service.name, service);
          if (!service.implicit) mistakes.push(doublyOwned(service.name, place));
        } else if (entry === undefined || !isSameService(entry.definition, service)) {
          put.push(service);
          places.push(place);
        }
      }
      const gone: string[] = [];
      for (const [name, { owner }] of entries) if (owner === 'file' && !wanted.has(name)) gone.push(name);
      mistakes.push(...brokenReferences(configuration, entries));
      const change = { put: [...put, ...loaded.map(({ definition }) => definition)], remove: gone };
      for (const { place, path, what, value, holder } of findConflicts(change, holders)) {
        const name = change.put[place]?.name as string;
        const at = pathText(['services', places[place] ?? name, ...path]);
        const message = `${what} ${quoted(value)} of service ${quoted(name)} belongs to service ${quoted(holder)}`;
        mistakes.push({ path: at, found: quoted(value), expected: 'one that is not used yet', message });
      }
      if (mistakes.length > 0) {
        const count = mistakes.length === 1 ? '' : ` (and ${mistakes.length - 1} more)`;
        const wayOut = loaded.length === 0 ? '' : AT_START;
        const message = `${mistakes[0]?.path}: ${mistakes[0]?.message}${count}${wayOut}`;
        throw new SluiceError('owner_conflict', message, { mistakes: mistakes.slice(0, MISTAKES_MAX) });
      }
      return {
        change,
        stored: [],
        forgotten: [],
        commit() {
          forgetOrder(put.length + gone.length);
          for (const definition of put) {
            const revision = nextRevision(definition.name);
            set(definition.name, { owner: 'file', revision, definition, written: undefined });
          }
          for (const name of gone) remove(name);
          overlaid = behind;
          loaded = [];
        },
      };
    },

    planApi(services, removed) {
      const stored = services.map((service) => ({
        ...service,
        revision: nextRevision(service.definition.name),
      }));
      const back = removed.flatMap((name) => overlaid.get(name) ?? []);
      const put = [...stored.map(({ definition }) => definition), ...back];
      const gone = removed.filter((name) => !overlaid.has(name));
      return {
        change: { put, remove: gone },
        stored,
        forgotten: removed,
        commit() {
          forgetOrder(stored.length + gone.length);
          for (const entry of stored) {
            const { name } = entry.definition;
            const before = entries.get(name);
            if (before?.owner === 'file') overlaid.set(name, before.definition);
            set(name, entry);
          }
          for (const definition of back) {
            const revision = nextRevision(definition.name);
            set(definition.name, { owner: 'file', revision, definition, written: undefined });
            overlaid.delete(definition.name);
          }
          for (const name of gone) remove(name);
        },
      };
    },
  };
}

function doublyOwned(name: string, place: number): RequestMistake {
  return {
    path: pathText(['services', place, 'name']),
    found: quoted(name),
    expected: 'a name that the API does not own',
    message:
      `service ${quoted(name)} is in the file, and the API owns one of that name; ` +
      'take it out of the file, or delete the one of the API (sluice services delete)',
  };
}

/** Whether nothing has to be written. Cheap where they are the same, as most are at a reload. */
function isSameService(before: Service, after: Service): boolean {
  return (
    before === after ||
    (before.enabled === after.enabled &&
      before.implicit === after.implicit &&
      before.outbound === after.outbound &&
      before.target?.text === after.target?.text &&
      before.rate.upBytesPerSecond === after.rate.upBytesPerSecond &&
      before.rate.downBytesPerSecond === after.rate.downBytesPerSecond &&
      isDeepStrictEqual(before.gate, after.gate) &&
      isDeepStrictEqual(before.devices, after.devices) &&
      isSameList(before.sources, after.sources) &&
      isSameList(before.serverNames, after.serverNames) &&
      before.users.length === after.users.length &&
      before.users.every(({ username, password }, at) => {
        const user = after.users[at];
        return user?.username === username && user.password === password;
      }))
  );
}

function isSameList(before: readonly string[], after: readonly string[]): boolean {
  return before.length === after.length && before.every((text, at) => text === after[at]);
}

/** Where the first name behind `name` stands. */
export function nameAfter(names: readonly string[], name: string): number {
  const place = placeOf(names, name);
  return names[place] === name ? place + 1 : place;
}

/** Where a name stands, or belongs, in a sorted list. */
function placeOf(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareText(names[middle] as string, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
