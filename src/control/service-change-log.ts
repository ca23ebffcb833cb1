// What the API changed of services, as one line of the log for each change: whoever reads it sees what came into force and
// when, and never a password. Control thread.

import type { IdentityChanges } from './identities.ts';
import type { Log } from './log.ts';

/** Names in one line; the counts are of all. */
const LOGGED_MAX = 20;

type ChangedNames = Readonly<Record<'added' | 'changed' | 'removed', readonly string[]>>;

/** Counts of all, and the names of the first. */
export function logServicesChanged(
  log: Log,
  names: ChangedNames,
  identities: IdentityChanges | undefined,
  measured: object,
): void {
  const facts: Record<string, unknown> = { event: 'services_changed', owner: 'api' };
  const said: string[] = [];
  for (const [what, list] of Object.entries(names) as [string, readonly string[]][]) {
    facts[what] = list.length;
    if (list.length > 0) {
      facts[`names_${what}`] = list.slice(0, LOGGED_MAX);
      said.push(`${list.length} ${what}`);
    }
  }
  const { usersAdded, usersChanged, usersRemoved } = identities ?? {};
  const users = { users_added: usersAdded, users_changed: usersChanged, users_removed: usersRemoved };
  log.info({ ...facts, ...users, ...measured }, `services of the API: ${said.join(', ')}`);
}
