// What file and API can claim against each other. User names and server names lead to one service each, whoever owns it:
// what a change would give to two is found at the price of the change. And the file may not take away what services of the
// API rely on. Control thread; reads only.

import type { Configuration, Service } from '../config/configuration.ts';
import { type Path, pathText, quoted, type RequestMistake } from '../config/mistakes.ts';
import type { Identities, ServicesChange } from './identities.ts';
import type { ServiceEntry } from './services.ts';

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

/** What services of the API refer to, or rely on, and the file no longer grants. */
export function brokenReferences(
  configuration: Configuration,
  entries: ReadonlyMap<string, ServiceEntry>,
): RequestMistake[] {
  const mistakes: RequestMistake[] = [];
  const tags = new Set(configuration.outbounds.map(({ tag }) => tag));
  for (const [name, { owner, definition }] of entries) {
    if (owner !== 'api' || definition.outbound === undefined || tags.has(definition.outbound)) continue;
    if (mistakes.length === CONFLICTS_MAX) break;
    const message =
      `outbound ${quoted(definition.outbound)} is gone from the file, but service ${quoted(name)} of the API uses it; ` +
      'keep the outbound, or change the service first';
    mistakes.push({ path: 'outbounds', found: 'nothing', expected: quoted(definition.outbound), message });
  }
  for (const [place, inbound] of configuration.inbounds.entries()) {
    const entry = entries.get(inbound.service ?? '');
    if (entry?.owner !== 'api' || entry.definition.users.length === 0 || inbound.type === 'forward') continue;
    mistakes.push({
      path: pathText(['inbounds', place, 'service']),
      found: quoted(inbound.service as string),
      expected: 'a service without users, or no key `service`',
      message: asksNobody(inbound.service as string),
    });
  }
  return mistakes;
}

/** What is wrong with users of a service that an inbound gives to all its clients. */
export function asksNobody(service: string): string {
  return (
    `service ${quoted(service)} has users, but an inbound gives it to all its clients and asks nobody who they are; ` +
    'leave `service` out there and users are asked'
  );
}
