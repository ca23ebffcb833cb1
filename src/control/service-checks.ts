// Services as the API is sent them, checked before anything is stored: in the words of the configuration, and against
// the services and inbounds in force. Paths lead into what was sent. Control thread; reads only.

import { dirname } from 'node:path';
import { checkServices } from '../config/check-service.ts';
import type { Configuration, Service } from '../config/configuration.ts';
import { type Path, pathText, quoted, type RequestMistake } from '../config/mistakes.ts';
import type { Edge } from './edge.ts';
import { asksNobody, findConflicts } from './service-conflicts.ts';
import { refuse } from './service-writing.ts';
import type { WrittenMapping } from './service-writing.ts';
import type { ApiService, ServicesPlan } from './services.ts';

export type WrittenService = Omit<ApiService, 'revision'>;

interface CheckedPut {
  readonly put: readonly WrittenService[];
  readonly warnings: readonly RequestMistake[];
}

export interface ServiceChecks {
  /** What the list itself tells. @throws SluiceError request_invalid with all mistakes */
  check(list: readonly WrittenMapping[], pathOf?: (place: number) => Path): CheckedPut;
  /** What only the services in force can tell. @throws SluiceError request_invalid */
  plan(
    put: readonly WrittenService[],
    remove: readonly string[],
    pathOf: (place: number) => Path,
  ): ServicesPlan;
}

export function createServiceChecks(
  edge: Pick<Edge, 'services' | 'identities' | 'configuration'>,
): ServiceChecks {
  // The checks are compiled now, so that the first change is as quick as the others.
  checkServices([], { baseDirectory: '/', outbounds: [] });

  function isGivenToAll(name: string): boolean {
    return edge.configuration.inbounds.some(
      ({ type, service, asksOnceThereAreUsers }) =>
        type !== 'forward' && service === name && !asksOnceThereAreUsers,
    );
  }

  return {
    check(list, pathOf = (place) => ['services', place]) {
      const { fileName, outbounds } = edge.configuration;
      const context = { baseDirectory: dirname(fileName), outbounds: outbounds.map(({ tag }) => tag) };
      const { services, mistakes, warnings } = checkServices(list, context, pathOf);
      refuse(mistakes);
      const put = services.map((definition, place): WrittenService => {
        const { target } = definition;
        // A path that was relative is not to depend on where the file lies when it is read again.
        const written = target?.kind === 'unix' ? { ...list[place], target: target.text } : list[place];
        return { owner: 'api', definition, written };
      });
      return { put, warnings: [...warnings, ...unaskedUsers(edge.configuration, services, pathOf)] };
    },

    plan(put, remove, pathOf) {
      const mistakes: RequestMistake[] = [];
      for (const [place, { definition }] of put.entries()) {
        if (definition.users.length === 0 || !isGivenToAll(definition.name)) continue;
        mistakes.push({
          path: pathText([...pathOf(place), 'users']),
          found: 'a list',
          expected: 'no users',
          message: asksNobody(definition.name),
        });
      }
      const planned = edge.services.planApi(put, remove);
      for (const { place, path, what, value, holder } of findConflicts(planned.change, edge.identities)) {
        const owner = edge.services.find(holder)?.owner === 'file' ? ' of the configuration file' : '';
        mistakes.push({
          path: pathText([...pathOf(place), ...path]),
          found: quoted(value),
          expected: 'one that is not used yet',
          message: `${what} ${quoted(value)} belongs to service ${quoted(holder)}${owner}`,
        });
      }
      refuse(mistakes);
      return planned;
    },
  };
}

/** Users whom nobody will ask for their names; said once, of the first. */
export function unaskedUsers(
  { inbounds }: Configuration,
  services: readonly Service[],
  pathOf: (place: number) => Path,
): RequestMistake[] {
  const isAsking = inbounds.some(
    ({ type, service, asksOnceThereAreUsers }) =>
      asksOnceThereAreUsers || ((type === 'socks5' || type === 'http') && service === undefined),
  );
  const place = isAsking ? -1 : services.findIndex(({ users }) => users.length > 0);
  if (place < 0) return [];
  const path = pathText([...pathOf(place), 'users']);
  const expected = 'an inbound with `ask_users: true`';
  const message =
    'no inbound of the configuration file asks its clients who they are; `ask_users: true` makes one';
  return [{ path, found: 'users', expected, message }];
}
