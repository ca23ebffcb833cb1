// User names and server names lead to one service each, whoever owns it. What a change would give to two services is found
// here, at the price of the change. Control thread; reads only.

import type { Service } from '../config/configuration.ts';
import type { Path } from '../config/mistakes.ts';
import type { Identities, ServicesChange } from './identities.ts';

/** Nobody mends more in one go. */
const CONFLICTS_MAX = 1_000;

export interface Conflict {
  /** Of the service in `put`. */
  readonly place: number;
  /** Within that service. */
  readonly path: Path;
  readonly what: 'user name' | 'server name';
  readonly value: string;
  /** The service that has it. */
  readonly holder: string;
}

type Holders = Pick<Identities, 'holderOfUser' | 'holderOfServerName'>;

export function findConflicts({ put, remove }: ServicesChange, holders: Holders): Conflict[] {
  const conflicts: Conflict[] = [];
  /** Whose claims of before are void: they are put anew, or gone. */
  const changing = new Set(remove);
  for (const { name } of put) changing.add(name);

  function claim(
    what: Conflict['what'],
    valuesOf: (service: Service) => readonly string[],
    pathOf: (at: number) => Path,
    holderOf: (value: string) => string | undefined,
  ): void {
    const claimed = new Map<string, string>();
    for (const [place, service] of put.entries()) {
      for (const [at, value] of valuesOf(service).entries()) {
        const before = holderOf(value);
        const holder = before === undefined || changing.has(before) ? claimed.get(value) : before;
        if (holder === undefined) claimed.set(value, service.name);
        else if (conflicts.length < CONFLICTS_MAX)
          conflicts.push({ place, path: pathOf(at), what, value, holder });
      }
    }
  }

  claim(
    'user name',
    ({ users }) => users.map(({ username }) => username),
    (at) => ['users', at, 'username'],
    holders.holderOfUser,
  );
  claim(
    'server name',
    ({ serverNames }) => serverNames,
    (at) => ['server_names', at],
    holders.holderOfServerName,
  );
  return conflicts;
}
