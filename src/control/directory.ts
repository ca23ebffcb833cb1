// Names and indexes of what connections refer to, in both directions: whoever filters knows names, whoever reads a slot
// finds an index and a generation. A name is answered only for the generation that is in force: what has gone has none.
// Control thread.

import type { Edge } from './edge.ts';

/** An object as slots and rows know it. */
export interface ObjectReference {
  readonly index: number;
  readonly generation: number;
}

/** Objects of one kind. */
export interface Names {
  find(name: string): ObjectReference | undefined;
  /** undefined for an object that has gone, or none (-1). */
  nameOf(index: number, generation: number): string | undefined;
  /** All names, for whoever looks for the nearest. */
  all(): Iterable<string>;
}

export interface Directory {
  readonly services: Names;
  /** User names; the objects are credentials. */
  readonly users: Names;
  readonly inbounds: Names;
  readonly outbounds: Names;
  /** Rules have no generation of their own: it is 0. */
  readonly rules: Names;
}

export function createDirectory(
  { identities, objects }: Pick<Edge, 'identities' | 'objects'>,
  rules: Names,
): Directory {
  const { services, users } = identities;
  const { inbounds, outbounds } = objects;
  return { services, users, inbounds, outbounds, rules };
}
