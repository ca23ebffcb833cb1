// Whether a change of services fits into the tables, asked before anything of it is taken. Part of identities.ts. Control
// thread; reads only.

import type { Service } from '../config/configuration.ts';
import type { TableLimits } from '../layout/tables.ts';
import { SluiceError } from './errors.ts';
import type { IdentityServerNames } from './identities-server-names.ts';
import type { IdentityUsers } from './identities-users.ts';
import type { Targets } from './targets.ts';

export interface Takers {
  /** By name of service. */
  readonly entries: { has(name: string): boolean };
  readonly rows: { readonly room: number };
  readonly users: Pick<IdentityUsers, 'needs' | 'room' | 'count'>;
  readonly serverNames: Pick<IdentityServerNames, 'needs' | 'count'>;
  readonly targets: Pick<Targets, 'has' | 'room'>;
  readonly limits: Pick<TableLimits, 'credentials' | 'serverNames'>;
}

/** @throws SluiceError table_full */
export function requireRoomFor(put: readonly Service[], takers: Takers): void {
  const { entries, users, serverNames, targets, limits } = takers;
  const needed = users.needs(put);
  const names = serverNames.needs(put);
  const newTargets = new Set<string>();
  let rows = 0;
  for (const { name, target } of put) {
    if (!entries.has(name)) rows++;
    if (target !== undefined && !targets.has(target)) newTargets.add(target.text);
  }
  requireRoom('services', rows, takers.rows.room);
  requireRoom('credentials', needed.credentials, users.room);
  // New ones are entered before old ones leave.
  requireRoom('user names', needed.names, limits.credentials - users.count);
  requireRoom('server names', names, limits.serverNames - serverNames.count);
  requireRoom('targets', newTargets.size, targets.room);
}

function requireRoom(table: string, wanted: number, room: number): void {
  if (wanted <= room) return;
  throw new SluiceError(
    'table_full',
    `the change needs room for ${wanted} ${table} where there is room for ${room}; ` +
      'the tables are sized when the daemon starts',
    { table, wanted, room },
  );
}
