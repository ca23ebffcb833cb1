// From services as configured to the shared tables: rows (what a service may do), credentials and server names (who leads to
// which row). A change names the services that it puts and those that it removes, and costs what these cost: nothing here
// looks at the others.
//
//   same service name                      → same row and generation; its policy words are written in place
//   same user name, password and service   → same credential and generation
//   changed password, or another service   → another credential; the connections of the old one are to end
//
//   prepare ──► enter ──► commit ──► (reconciled) ──► settle
//      └─────► abandon
//
// Order of writes. Whatever may be refused for want of room is taken in `prepare`, before anything leads there. New rows come
// first, by themselves: `enter`; the rest when workers have the plan that may name them: `commit`. Of each record: new: fill,
// make the generation odd, then enter the name that leads there. Gone: take the name out, then make the generation even.
// Indexes of what has gone are not used again before `settle` (index-pool.ts): by then no worker follows them, and no
// connection stands in their lists.
// Control thread only: it is the tables' single writer. One change at a time (edge.ts sees to it).

import type { Service } from '../config/configuration.ts';
import { LIST_SERVICE, LIST_USER } from '../layout/lists.ts';
import type { ObjectName } from '../layout/name-book.ts';
import { deriveNameKeys, hashText, RULE_SERVICE_KEY } from '../layout/name-hash.ts';
import type { Tables } from '../layout/tables.ts';
import { usageOfCredential, usageOfService } from '../layout/usage.ts';
import type { ScryptHash } from '../policy/scrypt-hash.ts';
import type { Contradiction } from './contradiction.ts';
import type { Names } from './directory.ts';
import { type PolicyReferences, policyDiffers, writePolicy } from './identities-policy.ts';
import { requireRoomFor } from './identities-room.ts';
import { createIdentityServerNames } from './identities-server-names.ts';
import type { RowOwner } from './hot-set.ts';
import { createIdentityUsers } from './identities-users.ts';
import type { RetiredUser } from './identities-users.ts';
import { createIndexPool } from './index-pool.ts';
import type { SourcesArena } from './sources-arena.ts';
import type { Targets } from './targets.ts';

/** Services to be there as given, and names of services to be there no longer. No name stands in both. */
export interface ServicesChange {
  readonly put: readonly Service[];
  readonly remove: readonly string[];
}

/** Names of what one change did, for the log and for whoever asked. */
export interface IdentityChanges {
  readonly servicesAdded: readonly string[];
  readonly servicesChanged: readonly string[];
  readonly servicesRemoved: readonly string[];
  readonly usersAdded: number;
  readonly usersChanged: number;
  readonly usersRemoved: number;
  readonly serverNamesAdded: number;
  readonly serverNamesRemoved: number;
}

/** A change for which there is room. To be committed, or abandoned. */
export interface PreparedChange {
  readonly change: ServicesChange;
  /** By place in `put`: where the block of its source networks begins. */
  readonly sources: readonly number[];
}

export interface Committed {
  readonly changes: IdentityChanges;
  /** Lists in which connections may stand that the change no longer allows. */
  readonly contradictions: readonly Contradiction[];
}

/** The outbound's index in the row of a service; -1: `final` decides. */
export type OutboundOf = (service: Service) => number;

export interface Identities {
  readonly servicesCount: number;
  /** By name; the objects are rows. */
  readonly services: Names;
  readonly users: Names;
  /** The service that a user name, or a server name, belongs to. */
  holderOfUser(username: string): string | undefined;
  holderOfServerName(serverName: string): string | undefined;
  /** @throws SluiceError table_full where it does not fit; nothing is taken then */
  prepare(change: ServicesChange): PreparedChange;
  abandon(prepared: PreparedChange): void;
  /** Writes the rows of services that are new. Nothing leads to them before `commit`. */
  enter(prepared: PreparedChange, outboundOf: OutboundOf): void;
  /** Writes the rest: the change is in force when it returns. */
  commit(prepared: PreparedChange, outboundOf: OutboundOf): Committed;
  /**
   * `final` becomes another outbound: until `settle`, when all workers know, its index stands in all rows where it decides.
   * At the price of all services.
   */
  moveFinal(outbound: number): void;
  /** The row of a service. @throws RangeError for one that was not entered */
  serviceRow(name: string): number;
  /** What a hashed credential is verified against; undefined for plain ones and for those that have gone. */
  hashOf(credential: number): ScryptHash | undefined;
  /**
   * What anything else is verified against, in vain, so that it takes as long; undefined where no credential is hashed.
   * @param choice where credentials differ in cost: the same one answers the same, while the configuration does
   */
  decoyOf(choice: number): ScryptHash | undefined;
  /**
   * All workers have applied the plan, and no connection belongs to what has gone.
   * @returns rows of counters (layout/usage.ts) that may go to somebody else from now on, and whose they were
   */
  settle(): readonly (readonly [row: number, owner: RowOwner])[];
}

interface Entry {
  readonly row: number;
  readonly definition: Service;
  readonly sources: number;
}

/** @param named hears of each row and credential that comes into force */
export function createIdentities(
  tables: Tables,
  targets: Targets,
  arena: SourcesArena,
  named: (name: ObjectName) => void = () => {},
): Identities {
  const { services } = tables;
  const { limits } = tables.shared;
  const keys = deriveNameKeys(tables.shared.hashKey);
  const pool = createIndexPool(limits.services);
  const entries = new Map<string, Entry>();
  const nameByRow: (string | undefined)[] = [];
  const users = createIdentityUsers(tables, keys, named);
  const serverNames = createIdentityServerNames(tables, keys);
  let entered: string[] = [];
  let isFinalMoving = false;
  let leaving: [row: number, owner: RowOwner][] = [];

  function serviceRow(name: string): number {
    const entry = entries.get(name);
    if (entry === undefined) throw new RangeError(`no row of service ${name}`);
    return entry.row;
  }

  function wordsOf(service: Service, outbound: number, sources: number): PolicyReferences {
    return { outbound, sources, target: targets.indexOf(service.target) };
  }

  /** @returns whether connections that stand may be allowed no longer */
  function rewrite(service: Service, entry: Entry, outbound: number, sources: number): boolean {
    writePolicy(services, entry.row, service, wordsOf(service, outbound, sources));
    entries.set(service.name, { row: entry.row, definition: service, sources });
    targets.release(entry.definition.target);
    arena.release(entry.sources);
    const isNarrowed = sources !== 0 && sources !== entry.sources;
    return isNarrowed || (entry.definition.enabled && !service.enabled);
  }

  return {
    get servicesCount() {
      return entries.size;
    },
    services: {
      find(name) {
        const row = entries.get(name)?.row;
        return row === undefined ? undefined : { index: row, generation: services.generation(row) };
      },
      nameOf: (row, generation) =>
        row >= 0 && services.generation(row) === generation ? nameByRow[row] : undefined,
      all: () => entries.keys(),
    },
    users: users.names,
    holderOfUser: users.holderOf,
    holderOfServerName: serverNames.holderOf,
    serviceRow,
    hashOf: users.hashOf,
    decoyOf: users.decoyOf,

    prepare(change) {
      requireRoomFor(change.put, { entries, rows: pool, users, serverNames, targets, limits });
      const sources: number[] = [];
      try {
        for (const service of change.put) sources.push(arena.hold(service.sources));
      } catch (error) {
        for (const start of sources) arena.release(start);
        throw error;
      }
      for (const service of change.put) targets.hold(service.target);
      return { change, sources };
    },

    abandon({ change, sources }) {
      for (const start of sources) arena.release(start);
      for (const service of change.put) targets.release(service.target);
    },

    enter({ change, sources }, outboundOf) {
      entered = [];
      for (const [place, service] of change.put.entries()) {
        if (entries.has(service.name)) continue;
        const row = pool.acquire();
        const start = sources[place] as number;
        writePolicy(services, row, service, wordsOf(service, outboundOf(service), start));
        const nameHash = hashText(keys, RULE_SERVICE_KEY, service.name);
        for (let k = 0; k < 2; k++) services.setNameHash(row, k, nameHash[k] as number);
        services.addGeneration(row, 1);
        named({ kind: 'service', index: row, generation: services.generation(row), name: service.name });
        entries.set(service.name, { row, definition: service, sources: start });
        nameByRow[row] = service.name;
        entered.push(service.name);
      }
    },

    commit({ change, sources }, outboundOf) {
      const contradictions: Contradiction[] = [];
      const servicesChanged: string[] = [];
      const userChanges = { added: 0, changed: 0, removed: 0, retired: [] as RetiredUser[] };
      const nameChanges = { added: 0, removed: 0 };
      const before = new Map<Service, Service>();
      let nextEntered = 0;
      for (const [place, service] of change.put.entries()) {
        const entry = entries.get(service.name);
        if (entry === undefined) throw new RangeError(`service ${service.name} was not entered`);
        if (entered[nextEntered] === service.name) {
          // Its row is written, and holds what it refers to.
          nextEntered++;
          users.put(service, entry.row, userChanges);
          serverNames.put(service, entry.row, nameChanges);
          continue;
        }
        before.set(service, entry.definition);
        if (policyDiffers(entry.definition, service)) servicesChanged.push(service.name);
        if (rewrite(service, entry, outboundOf(service), sources[place] as number))
          contradictions.push({ list: LIST_SERVICE, key: entry.row });
        users.put(service, entry.row, userChanges);
        serverNames.put(service, entry.row, nameChanges);
      }
      // After all are there: what moved from one service to another is not to be missing in between.
      for (const [service, was] of before) {
        if (was === service) continue;
        users.drop(was, service, userChanges);
        serverNames.drop(was, service, nameChanges);
      }
      for (const name of change.remove) {
        const entry = entries.get(name);
        if (entry === undefined) continue;
        users.drop(entry.definition, undefined, userChanges);
        serverNames.drop(entry.definition, undefined, nameChanges);
        services.addGeneration(entry.row, 1);
        entries.delete(name);
        nameByRow[entry.row] = undefined;
        targets.release(entry.definition.target);
        arena.release(entry.sources);
        pool.release(entry.row);
        leaving.push([usageOfService(entry.row), { service: name, serviceRow: entry.row, username: '' }]);
        contradictions.push({ list: LIST_SERVICE, key: entry.row });
      }
      for (const { index, ...owner } of userChanges.retired) {
        contradictions.push({ list: LIST_USER, key: index });
        leaving.push([usageOfCredential(limits.services, index), owner]);
      }
      const servicesAdded = entered;
      entered = [];
      const changes = {
        servicesAdded,
        servicesChanged,
        servicesRemoved: change.remove,
        usersAdded: userChanges.added,
        usersChanged: userChanges.changed,
        usersRemoved: userChanges.removed,
        serverNamesAdded: nameChanges.added,
        serverNamesRemoved: nameChanges.removed,
      };
      return { changes, contradictions };
    },

    moveFinal(outbound) {
      isFinalMoving = true;
      for (const { row, definition } of entries.values()) {
        if (definition.outbound === undefined) services.setOutbound(row, outbound);
      }
    },

    settle() {
      if (isFinalMoving) {
        for (const { row, definition } of entries.values()) {
          if (definition.outbound === undefined) services.setOutbound(row, -1);
        }
        isFinalMoving = false;
      }
      pool.settle();
      users.settle();
      const left = leaving;
      leaving = [];
      return left;
    },
  };
}
