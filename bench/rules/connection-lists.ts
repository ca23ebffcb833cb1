// What `rules-connection` looks up on both sides: the names of the reference set, each with what is below it, and its networks
// as those of clients, none of which are there. And who comes: hosts of which one in ten is listed, as themselves or below. They are
// more than a run has connections: HAProxy remembers what its list came to for 10,000 names, and nothing here is asked twice.

import { hostName } from './names.ts';
import { createRandom } from './random.ts';
import { type ReferenceSize, referenceSet } from './reference-set.ts';

const SEED = 2;
const COMERS = 20_000;
const LISTED_THOUSANDTHS = 100;

export interface ConnectionLists {
  readonly names: readonly string[];
  readonly networks: readonly string[];
}

export interface Comers {
  readonly names: readonly string[];
  /** By name: '1', it is listed. */
  readonly listed: string;
}

export function connectionLists(size: ReferenceSize): ConnectionLists {
  const { names, networks } = referenceSet({ ...size, rules: 0 }, SEED);
  return { names, networks };
}

export function comersTo({ names }: ConnectionLists): Comers {
  const random = createRandom(SEED);
  const all = new Set(names);
  const comers = Array.from({ length: COMERS }, () => {
    if (!random.isIn(LISTED_THOUSANDTHS)) return hostName(random);
    return (random.isIn(500) ? '' : 'www.') + random.pick(names);
  });
  return { names: comers, listed: comers.map((name) => (isListed(name, all) ? '1' : '0')).join('') };
}

/** Whether the name or an end of it is in the list. */
export function isListed(name: string, names: ReadonlySet<string>): boolean {
  const labels = name.split('.');
  return labels.some((_, from) => names.has(labels.slice(from).join('.')));
}
