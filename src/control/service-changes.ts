// Changes of services by the API: checked in the words of the configuration, stored, and only then in force. One after the
// other, and after reloads (edge.ts), so that what was checked is still so when it comes into force.
//
//   owner and revision ─► checks of the file ─► names of others ─► room ─► store ─► rows ─► reconciled
//                     nothing has changed up to here ───────────────────┘
//
// Control thread only.

import { setImmediate as turn } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Service } from '../config/configuration.ts';
import { pathText, quoted, type RequestMistake } from '../config/mistakes.ts';
import type { StoredService } from '../layout/keeper-messages.ts';
import { NOTHING_RECONCILED } from './contradiction.ts';
import type { Reconciled } from './contradiction.ts';
import type { Edge } from './edge.ts';
import { SluiceError } from './errors.ts';
import type { Log } from './log.ts';
import { logServicesChanged } from './service-change-log.ts';
import { createServiceChecks, type WrittenService } from './service-checks.ts';
import {
  isMapping,
  mergedPatch,
  patchMistakes,
  refuse,
  requireList,
  requireMapping,
  withPasswords,
} from './service-writing.ts';
import type { WrittenMapping } from './service-writing.ts';
import type { ServiceEntry, ServicesPlan } from './services.ts';

/** What must hold of the service as it is; else nothing changes. */
export interface Conditions {
  /** One of these revisions; `any`: it is there. */
  readonly ifMatch?: readonly number[] | 'any' | undefined;
  /** It is not there. */
  readonly ifAbsent?: boolean | undefined;
}

interface Effect {
  /** Microseconds from the call until the change was in force, on all workers at once. */
  readonly effectiveUs: number;
  readonly reconciled: Reconciled;
  readonly warnings: readonly RequestMistake[];
}

export interface ServiceChanged extends Effect {
  /** As it is now; undefined: gone. */
  readonly entry: ServiceEntry | undefined;
  readonly isNew: boolean;
}

export interface ServicesChanged extends Effect {
  readonly added: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly removed: number;
}

/** All throw SluiceError, and have changed nothing then, but for `reconcile_late`. */
export interface ServiceChanges {
  /** Creates or replaces. A user without a password keeps the one that this service knows. */
  put(name: string, body: unknown, conditions: Conditions): Promise<ServiceChanged>;
  /** RFC 7396, of policy only. */
  patch(name: string, patch: unknown, conditions: Conditions): Promise<ServiceChanged>;
  remove(name: string, conditions: Conditions): Promise<ServiceChanged>;
  /** Adds or changes all of them, as one. @param body a mapping with the list `services` */
  putAll(body: unknown): Promise<ServicesChanged>;
  /** Makes the services of the API exactly these, as one. */
  replaceAll(body: unknown): Promise<ServicesChanged>;
}

export interface ServiceStore {
  /** As one change, in the store when it resolves; `remove` first. @throws SluiceError store_failed: nothing changed */
  changeServices(put: readonly StoredService[], remove: readonly string[]): Promise<void>;
}

export function createServiceChanges(
  edge: Pick<Edge, 'exclusively' | 'applyServices' | 'services' | 'identities' | 'configuration'>,
  store: ServiceStore,
  log: Log,
): ServiceChanges {
  const registry = edge.services;
  const { check, plan } = createServiceChecks(edge);

  /** @throws SluiceError service_unknown, owned_by_file, revision_conflict */
  function requireChangeable(
    name: string,
    isNeeded: boolean,
    conditions: Conditions,
  ): ServiceEntry | undefined {
    const entry = isNeeded ? registry.require(name) : registry.find(name);
    if (entry?.owner === 'file' && !entry.definition.implicit) {
      const message = `service ${quoted(name)} belongs to the configuration file; change it there and reload`;
      throw new SluiceError('owned_by_file', message, { service: name });
    }
    const { ifMatch, ifAbsent } = conditions;
    const isMatched =
      ifMatch === undefined ||
      (entry !== undefined && (ifMatch === 'any' || ifMatch.includes(entry.revision)));
    if (isMatched && !(ifAbsent === true && entry !== undefined)) return entry;
    const revision = entry?.revision ?? null;
    const is = revision === null ? 'is not there' : `is at revision ${revision}`;
    throw new SluiceError('revision_conflict', `service ${quoted(name)} ${is}`, { service: name, revision });
  }

  /** @throws SluiceError request_invalid with all mistakes */
  async function apply(planned: ServicesPlan, beganMs: number) {
    let effectiveUs = 0;
    const put = planned.stored.map(({ definition, revision, written }) => {
      return { name: definition.name, revision, definition: JSON.stringify(written) };
    });
    const isNew = ({ definition }: ServiceEntry) => registry.find(definition.name) === undefined;
    const added = planned.stored.filter(isNew).map(nameOf);
    const changed = planned.stored.filter((entry) => !isNew(entry)).map(nameOf);
    let applied: Awaited<ReturnType<Edge['applyServices']>> | undefined;
    try {
      applied = await edge.applyServices(
        planned,
        () => store.changeServices(put, planned.forgotten),
        () => {
          effectiveUs = microsecondsSince(beganMs);
        },
      );
      return { effectiveUs, reconciled: applied.reconciled };
    } finally {
      // Also where those that it contradicts did not end in time: it is in force all the same.
      if (effectiveUs > 0) {
        logServicesChanged(log, { added, changed, removed: planned.forgotten }, applied?.identities, {
          effective_us: effectiveUs,
          ended: applied?.reconciled.ended,
          duration_us: microsecondsSince(beganMs),
        });
      }
    }
  }

  async function putOne(
    name: string,
    written: WrittenMapping,
    entry: ServiceEntry | undefined,
    beganMs: number,
  ) {
    const { put, warnings } = check([written], () => []);
    const isNew = entry === undefined;
    if (entry?.owner === 'api' && isDeepStrictEqual(entry.written, put[0]?.written))
      return {
        entry,
        isNew,
        warnings,
        effectiveUs: microsecondsSince(beganMs),
        reconciled: NOTHING_RECONCILED,
      };
    const effect = await apply(
      plan(put, [], () => []),
      beganMs,
    );
    return { entry: registry.find(name), isNew, warnings, ...effect };
  }

  /** With passwords that are known. @throws SluiceError request_invalid */
  function listOf(body: unknown): WrittenMapping[] {
    return requireList(body).map((one) => {
      const { name } = isMapping(one) ? one : {};
      const entry = typeof name === 'string' ? registry.find(name) : undefined;
      return withPasswords(one, entry) as WrittenMapping;
    });
  }

  /** Names of the API's services that are not among these. */
  function ownedBeside(put: readonly WrittenService[]): string[] {
    const wanted = new Set(put.map(({ definition }) => definition.name));
    return registry.names().filter((name) => !wanted.has(name) && registry.find(name)?.owner === 'api');
  }

  async function putMany(body: unknown, isExact: boolean, beganMs: number): Promise<ServicesChanged> {
    const list = listOf(body);
    await turn();
    const { put, warnings } = check(list);
    await turn();
    const foreign = put.flatMap(({ definition: { name } }, place): RequestMistake[] => {
      const entry = registry.find(name);
      if (entry?.owner !== 'file' || entry.definition.implicit) return [];
      const message = `service ${quoted(name)} belongs to the configuration file; change it there and reload`;
      const path = pathText(['services', place, 'name']);
      return [{ path, found: quoted(name), expected: 'a name that the file does not own', message }];
    });
    refuse(foreign);
    const different = put.filter(({ definition, written }) => {
      const entry = registry.find(definition.name);
      return entry?.owner !== 'api' || !isDeepStrictEqual(entry.written, written);
    });
    const added = different.filter(({ definition }) => registry.find(definition.name) === undefined).length;
    const remove = isExact ? ownedBeside(put) : [];
    const counts = {
      added,
      changed: different.length - added,
      unchanged: put.length - different.length,
      removed: remove.length,
      warnings,
    };
    if (different.length + remove.length === 0) {
      return { ...counts, effectiveUs: microsecondsSince(beganMs), reconciled: NOTHING_RECONCILED };
    }
    let places: Map<Service, number> | undefined;
    const planned = plan(different, remove, (place) => {
      // Hardly ever asked for: only where there are mistakes.
      places ??= new Map(put.map(({ definition }, at) => [definition, at]));
      return ['services', places.get(different[place]?.definition as Service) as number];
    });
    await turn();
    const effect = await apply(planned, beganMs);
    return { ...counts, ...effect };
  }

  return {
    put(name, body, conditions) {
      const beganMs = performance.now();
      return edge.exclusively(async () => {
        const entry = requireChangeable(name, false, conditions);
        const mistakes: RequestMistake[] = [];
        const { name: written } = isMapping(body) ? body : {};
        if (written !== undefined && written !== name) {
          const found = typeof written === 'string' ? quoted(written) : 'something else';
          const message = `the body names another service than the path; expected ${quoted(name)}, or no "name"`;
          mistakes.push({ path: 'name', found, expected: quoted(name), message });
        }
        refuse([...requireMapping(body), ...mistakes]);
        const whole = { name, ...(withPasswords(body, entry) as WrittenMapping) };
        return putOne(name, whole, entry, beganMs);
      });
    },

    patch(name, patch, conditions) {
      const beganMs = performance.now();
      return edge.exclusively(async () => {
        const entry = requireChangeable(name, true, conditions);
        refuse(requireMapping(patch));
        refuse(patchMistakes(patch as WrittenMapping));
        const merged = mergedPatch(entry?.written ?? { name }, patch) as WrittenMapping;
        return putOne(name, merged, entry, beganMs);
      });
    },

    remove(name, conditions) {
      const beganMs = performance.now();
      return edge.exclusively(async () => {
        const entry = requireChangeable(name, true, conditions);
        if (entry?.owner === 'file') {
          const message = `service ${quoted(name)} is there because an inbound of the configuration file needs it`;
          throw new SluiceError('owned_by_file', message, { service: name });
        }
        const effect = await apply(registry.planApi([], [name]), beganMs);
        return { entry: registry.find(name), isNew: false, warnings: [], ...effect };
      });
    },

    putAll(body) {
      const beganMs = performance.now();
      return edge.exclusively(() => putMany(body, false, beganMs));
    },
    replaceAll(body) {
      const beganMs = performance.now();
      return edge.exclusively(() => putMany(body, true, beganMs));
    },
  };
}

function microsecondsSince(beganMs: number): number {
  return Math.round((performance.now() - beganMs) * 1000);
}

function nameOf({ definition }: ServiceEntry): string {
  return definition.name;
}
