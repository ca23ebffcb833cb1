// From the services of a configuration to the shared tables: rows (what a service may do), credentials and server names
// (who leads to which row). A configuration that is applied again writes only what differs, at the price of that:
//
//   same service name             → same row and generation; its policy words are written in place
//   same user name and password   → same credential and generation, also where it moves to another service
//   changed password              → another credential; the connections of the old one end as those of a removed one
//
// Order of writes. New services first, by themselves, where nothing leads to them: `addServices`; the rest when workers have
// the plan that may name them: `apply`. Of each record: new: fill, make the generation odd, then enter the name that leads there. Gone: take the name out,
// then make the generation even. Indexes of what has gone are not used again before `settle` (index-pool.ts).
// Control thread only: it is the tables' single writer.

import type { Configuration, Service, User } from '../config/configuration.ts';
import {
  deriveNameKeys,
  hashText,
  PASSWORD_KEY,
  SERVER_NAME_KEY,
  USER_NAME_KEY,
  WILDCARD_NAME_KEY,
} from '../layout/name-hash.ts';
import { CREDENTIAL_HASHED, CREDENTIAL_PLAIN, SERVICE_ENABLED } from '../layout/service.ts';
import type { Tables } from '../layout/tables.ts';
import { parseScryptHash, SCRYPT_PREFIX } from '../policy/scrypt-hash.ts';
import type { ScryptHash } from '../policy/scrypt-hash.ts';
import { createDecoys } from './decoys.ts';
import { SluiceError } from './errors.ts';
import { createIndexPool } from './index-pool.ts';
import type { Targets } from './targets.ts';

/** Names of what one `apply` changed, for the log and for whoever asked. */
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

export interface Identities {
  readonly servicesCount: number;
  /** @throws SluiceError table_full where the configuration does not fit; nothing is written */
  check(configuration: Configuration): void;
  /** Writes the rows of services that are new. `check` was asked, targets exist. Nothing leads to them before `apply`. */
  addServices(configuration: Configuration, outboundIndex: (tag: string) => number): void;
  /**
   * Writes the rest of the difference. Where `final` is to decide, its index is in the row until `settle`: only then do all
   * workers know which one that is.
   * @param outboundIndex of a tag that exists
   */
  apply(configuration: Configuration, outboundIndex: (tag: string) => number): IdentityChanges;
  /** The row of a service. @throws RangeError for one that was not applied */
  serviceRow(name: string): number;
  /** What a hashed credential is verified against; undefined for plain ones and for those that have gone. */
  hashOf(credential: number): ScryptHash | undefined;
  /**
   * What anything else is verified against, in vain, so that it takes as long; undefined where no credential is hashed.
   * @param choice where credentials differ in cost: the same one answers the same, while the configuration does
   */
  decoyOf(choice: number): ScryptHash | undefined;
  /** All workers have applied the plan. */
  settle(): void;
}

interface ServiceEntry {
  readonly row: number;
  readonly definition: Service;
}

interface CredentialEntry {
  readonly index: number;
  readonly password: string;
  readonly service: string;
}

export function createIdentities(tables: Tables, targets: Targets): Identities {
  const { services, credentials, userNames, serverNames } = tables;
  const { limits } = tables.shared;
  const keys = deriveNameKeys(tables.shared.hashKey);
  const rowPool = createIndexPool(limits.services);
  const credentialPool = createIndexPool(limits.credentials);
  const serviceEntries = new Map<string, ServiceEntry>();
  const credentialEntries = new Map<string, CredentialEntry>();
  const nameEntries = new Map<string, number>();
  const hashes = new Map<number, ScryptHash>();
  let servicesAdded: string[] = [];
  const decoys = createDecoys();

  function serviceRow(name: string): number {
    const entry = serviceEntries.get(name);
    if (entry === undefined) throw new RangeError(`no row of service ${name}`);
    return entry.row;
  }

  /** Policy words of a row, whether it is new or in use: each word stands for itself. */
  function writePolicy(row: number, service: Service, outbound: number): void {
    services.setFlags(row, service.enabled ? SERVICE_ENABLED : 0);
    services.setOutbound(row, outbound);
    services.setTarget(row, targets.indexOf(service.target));
  }

  function addCredential(user: User, service: string): void {
    const index = credentialPool.acquire();
    const stored = user.password.startsWith(SCRYPT_PREFIX) ? parseScryptHash(user.password) : undefined;
    if (typeof stored === 'string') throw new RangeError(`password of ${user.username}: ${stored}`);
    const proof = hashText(keys, PASSWORD_KEY, user.password);
    credentials.setService(index, serviceRow(service));
    credentials.setKind(index, stored === undefined ? CREDENTIAL_PLAIN : CREDENTIAL_HASHED);
    // Of a hashed one nothing is known yet; the first success will write the proof (verifier.ts).
    for (let k = 0; k < 4; k++)
      credentials.setProof(index, k, stored === undefined ? (proof[k] as number) : 0);
    credentials.setProven(index, stored === undefined ? 1 : 0);
    if (stored !== undefined) {
      hashes.set(index, stored);
      decoys.add(stored);
      tables.machine.addHashedCredentials(0, 1);
    }
    credentials.addGeneration(index, 1);
    userNames.set(hashText(keys, USER_NAME_KEY, user.username), 0, index);
    credentialEntries.set(user.username, { index, password: user.password, service });
  }

  /** The user name is left for the caller, who may be about to enter it again for another credential. */
  function retireCredential(entry: CredentialEntry): void {
    credentials.addGeneration(entry.index, 1);
    credentials.setProven(entry.index, 0);
    const stored = hashes.get(entry.index);
    if (stored !== undefined) {
      hashes.delete(entry.index);
      decoys.remove(stored);
      tables.machine.addHashedCredentials(0, -1);
    }
    credentialPool.release(entry.index);
  }

  function applyUsers(configuration: Configuration) {
    let usersAdded = 0;
    let usersChanged = 0;
    let usersRemoved = 0;
    const wanted = new Set<string>();
    for (const service of configuration.services) {
      for (const user of service.users) {
        wanted.add(user.username);
        const entry = credentialEntries.get(user.username);
        if (entry === undefined) {
          addCredential(user, service.name);
          usersAdded++;
        } else if (entry.password !== user.password) {
          retireCredential(entry);
          addCredential(user, service.name);
          usersChanged++;
        } else if (entry.service !== service.name) {
          credentials.setService(entry.index, serviceRow(service.name));
          credentialEntries.set(user.username, { ...entry, service: service.name });
          usersChanged++;
        }
      }
    }
    for (const [username, entry] of credentialEntries) {
      if (wanted.has(username)) continue;
      userNames.delete(hashText(keys, USER_NAME_KEY, username), 0);
      retireCredential(entry);
      credentialEntries.delete(username);
      usersRemoved++;
    }
    return { usersAdded, usersChanged, usersRemoved };
  }

  function nameKey(serverName: string): Int32Array {
    return serverName.startsWith('*.')
      ? hashText(keys, WILDCARD_NAME_KEY, serverName.slice(2))
      : hashText(keys, SERVER_NAME_KEY, serverName);
  }

  function applyServerNames(configuration: Configuration) {
    let serverNamesAdded = 0;
    let serverNamesRemoved = 0;
    const wanted = new Set<string>();
    for (const service of configuration.services) {
      const row = serviceRow(service.name);
      for (const serverName of service.serverNames) {
        wanted.add(serverName);
        if (nameEntries.get(serverName) === row) continue;
        if (!nameEntries.has(serverName)) serverNamesAdded++;
        serverNames.set(nameKey(serverName), 0, row);
        nameEntries.set(serverName, row);
      }
    }
    for (const serverName of nameEntries.keys()) {
      if (wanted.has(serverName)) continue;
      serverNames.delete(nameKey(serverName), 0);
      nameEntries.delete(serverName);
      serverNamesRemoved++;
    }
    return { serverNamesAdded, serverNamesRemoved };
  }

  return {
    get servicesCount() {
      return serviceEntries.size;
    },
    serviceRow,
    hashOf: (credential) => hashes.get(credential),
    decoyOf: decoys.choose,

    check(configuration) {
      let rows = 0;
      let users = 0;
      let names = 0;
      let namesNew = 0;
      for (const service of configuration.services) {
        if (!serviceEntries.has(service.name)) rows++;
        for (const user of service.users) {
          if (credentialEntries.get(user.username)?.password !== user.password) users++;
        }
        names += service.serverNames.length;
        namesNew += service.serverNames.filter((name) => !nameEntries.has(name)).length;
      }
      requireRoom('services', rows, rowPool.room);
      requireRoom('credentials', users, credentialPool.room);
      // New users are entered before the names of old ones leave.
      requireRoom('user names', credentialEntries.size + users, limits.credentials);
      requireRoom('server names', Math.max(names, nameEntries.size + namesNew), limits.serverNames);
    },

    addServices(configuration, outboundIndex) {
      for (const service of configuration.services) {
        if (serviceEntries.has(service.name)) continue;
        const row = rowPool.acquire();
        writePolicy(row, service, outboundIndex(service.outbound ?? configuration.final));
        services.addGeneration(row, 1);
        serviceEntries.set(service.name, { row, definition: service });
        servicesAdded.push(service.name);
      }
    },

    apply(configuration, outboundIndex) {
      const servicesChanged: string[] = [];
      const servicesRemoved: string[] = [];
      const wanted = new Set(configuration.services.map((service) => service.name));
      for (const service of configuration.services) {
        const entry = serviceEntries.get(service.name);
        if (entry === undefined) throw new RangeError(`service ${service.name} was not added`);
        if (policyDiffers(entry.definition, service)) servicesChanged.push(service.name);
        writePolicy(entry.row, service, outboundIndex(service.outbound ?? configuration.final));
        serviceEntries.set(service.name, { row: entry.row, definition: service });
      }
      const userChanges = applyUsers(configuration);
      const nameChanges = applyServerNames(configuration);
      for (const [name, entry] of serviceEntries) {
        if (wanted.has(name)) continue;
        services.addGeneration(entry.row, 1);
        serviceEntries.delete(name);
        rowPool.release(entry.row);
        servicesRemoved.push(name);
      }
      const added = servicesAdded;
      servicesAdded = [];
      return { servicesAdded: added, servicesChanged, servicesRemoved, ...userChanges, ...nameChanges };
    },

    settle() {
      for (const { row, definition } of serviceEntries.values()) {
        if (definition.outbound === undefined) services.setOutbound(row, -1);
      }
      rowPool.settle();
      credentialPool.settle();
    },
  };
}

/** Whether an operator would say that the service's policy changed: all but who belongs to it. */
function policyDiffers(before: Service, after: Service): boolean {
  const policy = ({ users: _users, serverNames: _serverNames, ...rest }: Service) => JSON.stringify(rest);
  return policy(before) !== policy(after);
}

function requireRoom(table: string, wanted: number, room: number): void {
  if (wanted <= room) return;
  throw new SluiceError(
    'table_full',
    `the configuration needs room for ${wanted} ${table} where there is room for ${room}; ` +
      'the tables are sized when the daemon starts',
    { table, wanted, room },
  );
}
