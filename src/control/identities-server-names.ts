// TLS server names in the shared tables: each leads to the row of its service; `*.` and what follows it are hashed with a
// key of their own. Part of identities.ts. Control thread only.

import type { Service } from '../config/configuration.ts';
import { hashText, SERVER_NAME_KEY, WILDCARD_NAME_KEY } from '../layout/name-hash.ts';
import type { Tables } from '../layout/tables.ts';

export interface ServerNameChanges {
  added: number;
  removed: number;
}

export interface IdentityServerNames {
  readonly count: number;
  /** How many names these services bring that are new. */
  needs(put: readonly Service[]): number;
  /** The service that a name belongs to. */
  holderOf(serverName: string): string | undefined;
  /** Enters what is new or moves here from another service; its row is there. */
  put(service: Service, row: number, changes: ServerNameChanges): void;
  /** Takes out those of a service as it was that are no longer its own. */
  drop(before: Service, after: Service | undefined, changes: ServerNameChanges): void;
}

/** @param keys `deriveNameKeys` */
export function createIdentityServerNames({ serverNames }: Tables, keys: Int32Array): IdentityServerNames {
  /** Name → service. */
  const holders = new Map<string, string>();

  function keyOf(serverName: string): Int32Array {
    return serverName.startsWith('*.')
      ? hashText(keys, WILDCARD_NAME_KEY, serverName.slice(2))
      : hashText(keys, SERVER_NAME_KEY, serverName);
  }

  return {
    get count() {
      return holders.size;
    },
    holderOf: (serverName) => holders.get(serverName),
    needs(put) {
      let names = 0;
      for (const service of put) for (const name of service.serverNames) if (!holders.has(name)) names++;
      return names;
    },
    put(service, row, changes) {
      for (const serverName of service.serverNames) {
        const holder = holders.get(serverName);
        if (holder === service.name) continue;
        if (holder === undefined) changes.added++;
        if (!serverNames.set(keyOf(serverName), 0, row))
          throw new RangeError('more server names than `prepare` has seen');
        holders.set(serverName, service.name);
      }
    },
    drop(before, after, changes) {
      const kept = new Set(after?.serverNames);
      for (const serverName of before.serverNames) {
        if (holders.get(serverName) !== before.name || kept.has(serverName)) continue;
        serverNames.delete(keyOf(serverName), 0);
        holders.delete(serverName);
        changes.removed++;
      }
    },
  };
}
