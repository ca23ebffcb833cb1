// Inbounds or outbounds under indexes that stay the same while an object of that tag and type lives (plan.ts says what that
// means for its connections). Control thread only.

import { isDeepStrictEqual } from 'node:util';
import type { Inbound, Outbound } from '../config/configuration.ts';
import type { BoundObject } from '../layout/compiler-messages.ts';
import type { ObjectName } from '../layout/name-book.ts';
import { PLAN_OBJECTS_MAX } from '../layout/tables.ts';
import type { Names } from './directory.ts';
import { createIndexPool } from './index-pool.ts';

/** What of one kind of object a new configuration changed. */
export interface TagChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

type Tagged = Inbound | Outbound;

/** What a tag stands for, as long as it stands for something of the same type. */
export interface TagEntry<T> {
  readonly index: number;
  readonly generation: number;
  readonly definition: T;
}

/**
 * Stable indexes for tagged objects. A generation belongs to an index and never repeats on it.
 * @param named hears of each object that is given an index
 */
export function createTagIndex<T extends Tagged>(named: (name: Omit<ObjectName, 'kind'>) => void) {
  const pool = createIndexPool(PLAN_OBJECTS_MAX);
  const entries = new Map<string, TagEntry<T>>();
  const generations = new Int32Array(PLAN_OBJECTS_MAX);
  /** By index; those of objects that have gone are told by their generation. */
  const tags: string[] = [];
  /** Removed, with indexes that nobody else has yet. */
  let leaving: TagEntry<T>[] = [];

  function nextGeneration(index: number): number {
    generations[index] = (generations[index] as number) + 1;
    return generations[index] as number;
  }

  function lives(object: T): boolean {
    return entries.get(object.tag)?.definition.type === object.type;
  }

  const names: Names = {
    find: (tag) => entries.get(tag),
    nameOf(index, generation) {
      const tag = tags[index];
      const entry = tag === undefined ? undefined : entries.get(tag);
      return entry?.index === index && entry.generation === generation ? tag : undefined;
    },
    all: () => entries.keys(),
  };

  return {
    names,
    get room() {
      return pool.room;
    },
    missing: (objects: readonly T[]) => objects.filter((object) => !lives(object)).length,
    entry(tag: string): TagEntry<T> {
      const entry = entries.get(tag);
      if (entry === undefined) throw new RangeError(`nothing has the tag ${tag}`);
      return entry;
    },
    /** What `assign` would make of these, where nothing is given back before. */
    foresee(objects: readonly T[]): BoundObject[] {
      const fresh = pool.foresee(objects.filter((object) => !lives(object)).length);
      return objects.map((object) => {
        const { tag } = object;
        const entry = lives(object) ? entries.get(tag) : undefined;
        if (entry !== undefined) return { tag, index: entry.index, generation: entry.generation };
        const index = fresh.shift() as number;
        return { tag, index, generation: (generations[index] as number) + 1 };
      });
    },
    assign(objects: readonly T[]): TagChanges {
      const added: string[] = [];
      const changed: string[] = [];
      const removed: string[] = [];
      const types = new Map(objects.map((object) => [object.tag, object.type]));
      for (const [tag, entry] of entries) {
        if (types.get(tag) === entry.definition.type) continue;
        entries.delete(tag);
        pool.release(entry.index);
        leaving.push(entry);
        removed.push(tag);
      }
      for (const definition of objects) {
        const { tag } = definition;
        const entry = entries.get(tag);
        if (entry === undefined) {
          const index = pool.acquire();
          const generation = nextGeneration(index);
          entries.set(tag, { index, generation, definition });
          tags[index] = tag;
          named({ index, generation, name: tag });
          added.push(tag);
        } else if (!isDeepStrictEqual(entry.definition, definition)) {
          entries.set(tag, { ...entry, definition });
          changed.push(tag);
        }
      }
      return { added, changed, removed };
    },
    get leaving(): readonly TagEntry<T>[] {
      return leaving;
    },
    dropLeaving() {
      leaving = [];
    },
    settle: () => pool.settle(),
  };
}
