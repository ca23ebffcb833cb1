// Users in the shared tables: a credential record for each (who somebody is, and which row that is), and its user name,
// which leads there. Part of identities.ts, which says in which order things are written.
//
//   same user name, password and service → same credential
//   anything else                        → another credential: the connections of the old one are to end
//
// Control thread only: it is the tables' single writer.

import type { Service, User } from '../config/configuration.ts';
import type { ObjectName } from '../layout/name-book.ts';
import { hashText, PASSWORD_KEY, RULE_USER_KEY, USER_NAME_KEY } from '../layout/name-hash.ts';
import { CREDENTIAL_HASHED, CREDENTIAL_PLAIN } from '../layout/service.ts';
import type { Tables } from '../layout/tables.ts';
import { parseScryptHash, SCRYPT_PREFIX } from '../policy/scrypt-hash.ts';
import type { ScryptHash } from '../policy/scrypt-hash.ts';
import { createDecoys } from './decoys.ts';
import type { Names } from './directory.ts';
import { createIndexPool } from './index-pool.ts';

/** What one change did to users. */
export interface UserChanges {
  added: number;
  changed: number;
  removed: number;
  /** Credentials that no longer hold, and whose they were. */
  readonly retired: RetiredUser[];
}

export interface RetiredUser {
  readonly index: number;
  readonly username: string;
  readonly service: string;
  readonly serviceRow: number;
}

export interface IdentityUsers {
  /** By user name; the objects are credentials. */
  readonly names: Names;
  /** How many credentials, and how many new user names, these services need. */
  needs(put: readonly Service[]): { readonly credentials: number; readonly names: number };
  readonly room: number;
  readonly count: number;
  /** The service that a user belongs to. */
  holderOf(username: string): string | undefined;
  /** Makes credentials of the users of a service that are new or changed; its row is there. */
  put(service: Service, row: number, changes: UserChanges): void;
  /** Takes out those users of a service as it was that are no longer its own. */
  drop(before: Service, after: Service | undefined, changes: UserChanges): void;
  hashOf(credential: number): ScryptHash | undefined;
  decoyOf(choice: number): ScryptHash | undefined;
  settle(): void;
}

interface Entry {
  readonly index: number;
  readonly password: string;
  readonly service: string;
}

/** @param keys `deriveNameKeys` */
export function createIdentityUsers(
  tables: Tables,
  keys: Int32Array,
  named: (name: ObjectName) => void,
): IdentityUsers {
  const { credentials, userNames } = tables;
  const pool = createIndexPool(tables.shared.limits.credentials);
  const entries = new Map<string, Entry>();
  const nameByIndex: (string | undefined)[] = [];
  const hashes = new Map<number, ScryptHash>();
  const decoys = createDecoys();

  function add(user: User, service: string, row: number): void {
    const index = pool.acquire();
    const stored = user.password.startsWith(SCRYPT_PREFIX) ? parseScryptHash(user.password) : undefined;
    if (typeof stored === 'string') throw new RangeError(`password of ${user.username}: ${stored}`);
    const proof = hashText(keys, PASSWORD_KEY, user.password);
    credentials.setService(index, row);
    credentials.setKind(index, stored === undefined ? CREDENTIAL_PLAIN : CREDENTIAL_HASHED);
    // Of a hashed one nothing is known yet; the first success will write the proof (verifier.ts).
    for (let k = 0; k < 4; k++)
      credentials.setProof(index, k, stored === undefined ? (proof[k] as number) : 0);
    credentials.setProven(index, stored === undefined ? 1 : 0);
    const nameHash = hashText(keys, RULE_USER_KEY, user.username);
    for (let k = 0; k < 2; k++) credentials.setNameHash(index, k, nameHash[k] as number);
    if (stored !== undefined) {
      hashes.set(index, stored);
      decoys.add(stored);
      tables.machine.addHashedCredentials(0, 1);
    }
    credentials.addGeneration(index, 1);
    named({ kind: 'user', index, generation: credentials.generation(index), name: user.username });
    if (!userNames.set(hashText(keys, USER_NAME_KEY, user.username), 0, index))
      throw new RangeError('more user names than `prepare` has seen');
    entries.set(user.username, { index, password: user.password, service });
    nameByIndex[index] = user.username;
  }

  /** The user name is left for the caller, who may be about to enter it again for another credential. */
  function retire(username: string, { index, service }: Entry, changes: UserChanges): void {
    credentials.addGeneration(index, 1);
    credentials.setProven(index, 0);
    const stored = hashes.get(index);
    if (stored !== undefined) {
      hashes.delete(index);
      decoys.remove(stored);
      tables.machine.addHashedCredentials(0, -1);
    }
    nameByIndex[index] = undefined;
    changes.retired.push({ index, username, service, serviceRow: credentials.service(index) });
    pool.release(index);
  }

  return {
    names: {
      find(name) {
        const entry = entries.get(name);
        if (entry === undefined) return undefined;
        return { index: entry.index, generation: credentials.generation(entry.index) };
      },
      nameOf: (index, generation) =>
        index >= 0 && credentials.generation(index) === generation ? nameByIndex[index] : undefined,
      all: () => entries.keys(),
    },
    get room() {
      return pool.room;
    },
    get count() {
      return entries.size;
    },
    holderOf: (username) => entries.get(username)?.service,
    hashOf: (credential) => hashes.get(credential),
    decoyOf: decoys.choose,

    needs(put) {
      let indexes = 0;
      let names = 0;
      for (const { name, users } of put) {
        for (const { username, password } of users) {
          const entry = entries.get(username);
          if (entry === undefined) names++;
          if (entry?.password !== password || entry.service !== name) indexes++;
        }
      }
      return { credentials: indexes, names };
    },

    put({ name, users }, row, changes) {
      for (const user of users) {
        const entry = entries.get(user.username);
        if (entry === undefined) {
          add(user, name, row);
          changes.added++;
        } else if (entry.password !== user.password || entry.service !== name) {
          // The new one first: its name must never lead nowhere.
          add(user, name, row);
          retire(user.username, entry, changes);
          changes.changed++;
        }
      }
    },

    drop(before, after, changes) {
      const kept = new Set(after?.users.map(({ username }) => username));
      for (const { username } of before.users) {
        const entry = entries.get(username);
        // Somebody else's by now: `put` has seen to it.
        if (entry === undefined || entry.service !== before.name || kept.has(username)) continue;
        userNames.delete(hashText(keys, USER_NAME_KEY, username), 0);
        entries.delete(username);
        retire(username, entry, changes);
        changes.removed++;
      }
    },

    settle: () => pool.settle(),
  };
}
