// From a request in names to what workers carry out: which lists are walked, what else must match. All that is wrong with
// a request is answered at once. Of several lists the one with the fewest connections is walked, and the others filter.
// Control thread; reads shared counts only.

import type { RequestMistake } from '../config/mistakes.ts';
import { nearest } from '../config/nearest.ts';
import {
  LIST_INBOUND,
  LIST_OUTBOUND,
  LIST_RULE,
  LIST_SERVICE,
  LIST_SOURCE,
  LIST_USER,
} from '../layout/lists.ts';
import { EVERY_CONNECTION, EVERYTHING, EVICT_COUNT, EVICT_END } from '../layout/messages.ts';
import type { EvictionJob } from '../layout/messages.ts';
import { compileNetworks, networkMistake } from '../layout/network-set.ts';
import type { Tables } from '../layout/tables.ts';
import type { Directory, Names, ObjectReference } from './directory.ts';
import { SluiceError } from './errors.ts';
import type { EvictionRequest } from './eviction-record.ts';
import type { SourceEntries } from './source-entries.ts';

export type PlannedEviction = Omit<EvictionJob, 'id'>;

export interface EvictionLookups {
  readonly tables: Tables;
  readonly directory: Directory;
  readonly entries: SourceEntries;
}

const NAMED = [
  ['service', 'services'],
  ['user', 'users'],
  ['inbound', 'inbounds'],
  ['outbound', 'outbounds'],
  ['rule', 'rules'],
] as const;

const NOTHING: ObjectReference = { index: -1, generation: 0 };

type Found = Record<(typeof NAMED)[number][0], ObjectReference>;

/** @throws SluiceError eviction_invalid, with every mistake */
export function planEviction(request: EvictionRequest, lookups: EvictionLookups): PlannedEviction {
  const mistakes: RequestMistake[] = [];
  const found = findNames(request, lookups.directory, mistakes);
  const source = readSource(request.source, mistakes);
  findContradictions(request, found, lookups, mistakes);
  if (mistakes.length > 0) {
    const what = mistakes.length === 1 ? mistakes[0]?.message : `${mistakes.length} mistakes`;
    throw new SluiceError('eviction_invalid', `the eviction cannot be carried out: ${what}`, { mistakes });
  }
  const planned: PlannedEviction = {
    ...EVERYTHING,
    action: request.dryRun === true ? EVICT_COUNT : EVICT_END,
    orderly: request.orderly === true,
    ratePerSecond: request.ratePerSecond ?? 0,
    service: found.service.index,
    serviceGeneration: found.service.generation,
    credential: found.user.index,
    credentialGeneration: found.user.generation,
    inbound: found.inbound.index,
    inboundGeneration: found.inbound.generation,
    outbound: found.outbound.index,
    outboundGeneration: found.outbound.generation,
    rule: found.rule.index,
    source,
    slot: request.connection?.slot ?? -1,
    generation: request.connection?.generation ?? 0,
  };
  return { ...planned, ...shortestList(planned, lookups) };
}

function findNames(request: EvictionRequest, directory: Directory, mistakes: RequestMistake[]): Found {
  const found: Found = {
    service: NOTHING,
    user: NOTHING,
    inbound: NOTHING,
    outbound: NOTHING,
    rule: NOTHING,
  };
  for (const [field, kind] of NAMED) {
    const name = request[field];
    if (name === undefined) continue;
    const reference = directory[kind].find(name);
    if (reference === undefined) mistakes.push(unknownName(field, name, directory[kind]));
    else found[field] = reference;
  }
  return found;
}

function unknownName(field: string, name: string, names: Names): RequestMistake {
  const near = nearest(name, names.all());
  const message = `there is no ${field} "${name}"`;
  return {
    path: field,
    found: `"${name}"`,
    expected: `the name of a ${field}`,
    ...(near === undefined ? {} : { nearest: near }),
    message: near === undefined ? message : `${message}; did you mean "${near}"?`,
  };
}

function readSource(text: string | undefined, mistakes: RequestMistake[]): Int32Array | null {
  if (text === undefined) return null;
  const wrong = networkMistake(text);
  if (wrong === undefined) return compileNetworks([text]);
  const expected = 'an address or a prefix: 192.0.2.1, 10.0.0.0/8, 2001:db8::/32';
  mistakes.push({ path: 'source', found: `"${text}"`, expected, message: wrong });
  return null;
}

function findContradictions(
  request: EvictionRequest,
  found: Found,
  { tables }: EvictionLookups,
  mistakes: RequestMistake[],
): void {
  const filters = [...NAMED.map(([field]) => field), 'source' as const].filter(
    (field) => request[field] !== undefined,
  );
  if (request.connection !== undefined) return;
  if (filters.length === 0 && request.all !== true) {
    const message = 'there is no filter; to evict every connection, say so with "all": true';
    mistakes.push({ path: '', found: 'no filter', expected: 'a filter, or all: true', message });
  }
  if (filters.length > 0 && request.all === true) {
    const message = `"all" contradicts ${filters.map((field) => `"${field}"`).join(', ')}`;
    mistakes.push({ path: 'all', found: 'true', expected: 'no other filter beside it', message });
  }
  const { service, user } = found;
  if (service.index >= 0 && user.index >= 0 && tables.credentials.service(user.index) !== service.index) {
    const message = `user "${request.user}" does not belong to service "${request.service}"`;
    mistakes.push({ path: 'user', found: `"${request.user}"`, expected: 'a user of that service', message });
  }
  const rate = request.ratePerSecond;
  if (rate !== undefined && !(rate > 0 && Number.isFinite(rate))) {
    const message = `the rate is ${rate}, and must be above 0`;
    mistakes.push({ path: 'rate', found: String(rate), expected: 'a rate above 0', message });
  }
}

type ListChoice = Pick<PlannedEviction, 'list' | 'keys'>;
const NO_LIST: ListChoice = { list: EVERY_CONNECTION, keys: new Int32Array(0) };

function shortestList(planned: PlannedEviction, { tables, entries }: EvictionLookups): ListChoice {
  if (planned.slot >= 0) return NO_LIST;
  const { service, credential, inbound, outbound, rule, source } = planned;
  const lists: [list: number, key: number][] = [
    [LIST_SERVICE, service],
    [LIST_USER, credential],
    [LIST_INBOUND, inbound],
    [LIST_OUTBOUND, outbound],
    [LIST_RULE, rule],
  ];
  const choices: ListChoice[] = lists
    .filter(([, key]) => key >= 0)
    .map(([list, key]) => ({ list, keys: Int32Array.of(key) }));
  // A prefix that is wider than an address is looked for among all sources: only where nothing else leads anywhere.
  const ofSource = source === null ? undefined : entries.find(source, service, choices.length === 0);
  if (ofSource !== undefined) choices.push({ list: LIST_SOURCE, keys: ofSource });
  let best = NO_LIST;
  let least = Number.POSITIVE_INFINITY;
  for (const choice of choices) {
    const count = connectionsIn(tables, choice.list, choice.keys);
    if (count >= least) continue;
    best = choice;
    least = count;
  }
  return best;
}

function connectionsIn(tables: Tables, list: number, keys: Int32Array): number {
  let count = 0;
  for (const heads of tables.lists) for (const key of keys) count += heads.count(list, key);
  return count;
}

/** Connections in the lists that would be walked now: no more can match. */
export function connectionsToWalk(tables: Tables, { slot, list, keys }: PlannedEviction): number {
  if (slot >= 0) return 1;
  if (list !== EVERY_CONNECTION) return connectionsIn(tables, list, keys);
  let count = 0;
  for (let worker = 0; worker < tables.workers.count; worker++) count += tables.workers.connections(worker);
  return count;
}

/** Whether a worker has anything to walk. */
export function concerns(tables: Tables, worker: number, planned: PlannedEviction): boolean {
  const heads = tables.lists[worker];
  if (heads === undefined || planned.list === EVERY_CONNECTION) return heads !== undefined;
  return planned.keys.some((key) => heads.count(planned.list, key) > 0);
}
