// Names and indexes of what connections refer to, in both directions: whoever filters knows names, whoever reads a slot
// finds an index and a generation. A name is answered only for the generation that is in force: what has gone has none.
// Control thread.

import type { Configuration } from '../config/configuration.ts';
import type { Edge } from './edge.ts';
import { plannedInbounds } from './plan.ts';

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

/** Of kinds that this build has none of. */
const NOTHING: Names = { find: () => undefined, nameOf: () => undefined, all: () => [] };

export function createDirectory(
  edge: Pick<Edge, 'planFor' | 'configuration' | 'version' | 'identities'>,
): Directory {
  let tags: PlanTags | undefined;
  /** Of the plan in force; made anew for another one. */
  function planTags(): PlanTags {
    const { version, configuration } = edge;
    if (tags?.version !== version || tags.configuration !== configuration) tags = readTags(edge);
    return tags;
  }
  const ofPlan = (kind: 'inbounds' | 'outbounds'): Names => ({
    find: (name) => planTags()[kind].byName.get(name),
    nameOf(index, generation) {
      const name = planTags()[kind].byIndex.get(index);
      return name !== undefined && planTags()[kind].byName.get(name)?.generation === generation
        ? name
        : undefined;
    },
    all: () => planTags()[kind].byName.keys(),
  });
  return {
    services: edge.identities.services,
    users: edge.identities.users,
    inbounds: ofPlan('inbounds'),
    outbounds: ofPlan('outbounds'),
    rules: NOTHING,
  };
}

interface PlanTags {
  readonly version: number;
  readonly configuration: Configuration;
  readonly inbounds: Tags;
  readonly outbounds: Tags;
}

interface Tags {
  readonly byName: ReadonlyMap<string, ObjectReference>;
  readonly byIndex: ReadonlyMap<number, string>;
}

/** A plan has its inbounds and outbounds in the order of the configuration, those that leave behind them. */
function readTags({ planFor, configuration, version }: Pick<Edge, 'planFor' | 'configuration' | 'version'>) {
  const plan = planFor(0);
  const tagsOf = (objects: readonly { tag: string }[], definitions: readonly ObjectReference[]): Tags => {
    const named = objects.map(({ tag }, at) => [tag, definitions[at] as ObjectReference] as const);
    return { byName: new Map(named), byIndex: new Map(named.map(([tag, { index }]) => [index, tag])) };
  };
  return {
    version,
    configuration,
    inbounds: tagsOf(plannedInbounds(configuration), plan.inbounds),
    outbounds: tagsOf(configuration.outbounds, plan.outbounds),
  };
}
