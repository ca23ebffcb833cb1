// Ids of rules and the list keys behind them, in both directions, for filters, receipts and whoever looks at a connection.
// A rule that has gone keeps its key until no snapshot that holds it is read any more and no connection stands in its list;
// then the compiler is told, with the next job, and may give the key to another. Control thread.

import type { CompiledRule } from '../layout/compiler-messages.ts';
import { LIST_RULE } from '../layout/lists.ts';
import type { ObjectName } from '../layout/name-book.ts';
import { RULE_KEY_FINAL, RULE_NAME_FINAL } from '../layout/rules.ts';
import type { Tables } from '../layout/tables.ts';
import type { Names } from './directory.ts';

export interface RuleNames {
  readonly names: Names;
  /** Rules of a snapshot that is about to be read. */
  enter(rules: readonly CompiledRule[]): void;
  /** Rules of one that nobody reads any more. */
  leave(rules: readonly CompiledRule[]): void;
  /** Ids whose keys nobody refers to; they are forgotten here. */
  takeFreed(): string[];
  /** Keys that these rules do not have, and whose connections live. Also where an older snapshot still holds the rule. */
  lingering(rules: readonly CompiledRule[]): number[];
  connectionsOf(key: number): number;
  /** All that have one. */
  keys(): [id: string, key: number][];
}

interface Entry {
  readonly key: number;
  /** Snapshots that hold it and are not released. */
  snapshots: number;
}

export function createRuleNames(
  { lists }: Pick<Tables, 'lists'>,
  named: (names: readonly ObjectName[]) => void,
): RuleNames {
  const entries = new Map<string, Entry>();
  const idByKey = new Map<number, string>([[RULE_KEY_FINAL, RULE_NAME_FINAL]]);
  /** Ids that no snapshot holds. */
  const gone = new Set<string>();
  let isFinalNamed = false;

  function connectionsOf(key: number): number {
    let count = 0;
    for (const heads of lists) count += heads.count(LIST_RULE, key);
    return count;
  }

  return {
    names: {
      find(id) {
        const entry = entries.get(id);
        if (entry !== undefined) return { index: entry.key, generation: 0 };
        return id === RULE_NAME_FINAL ? { index: RULE_KEY_FINAL, generation: 0 } : undefined;
      },
      nameOf: (key) => idByKey.get(key),
      all: () => [...entries.keys(), RULE_NAME_FINAL],
    },
    enter(rules) {
      const names: ObjectName[] = [];
      if (!isFinalNamed) {
        names.push({ kind: 'rule', index: RULE_KEY_FINAL, generation: 0, name: RULE_NAME_FINAL });
        isFinalNamed = true;
      }
      for (const { id, key } of rules) {
        const entry = entries.get(id);
        gone.delete(id);
        if (entry !== undefined) {
          entry.snapshots++;
          continue;
        }
        entries.set(id, { key, snapshots: 1 });
        idByKey.set(key, id);
        names.push({ kind: 'rule', index: key, generation: 0, name: id });
      }
      if (names.length > 0) named(names);
    },
    leave(rules) {
      for (const { id } of rules) {
        const entry = entries.get(id);
        if (entry !== undefined && --entry.snapshots === 0) gone.add(id);
      }
    },
    takeFreed() {
      const freed: string[] = [];
      for (const id of gone) {
        const { key } = entries.get(id) as Entry;
        if (connectionsOf(key) > 0) continue;
        gone.delete(id);
        entries.delete(id);
        idByKey.delete(key);
        freed.push(id);
      }
      return freed;
    },
    lingering(rules) {
      const known = new Set(rules.map(({ key }) => key));
      return [...entries.values()]
        .map(({ key }) => key)
        .filter((key) => !known.has(key) && connectionsOf(key) > 0);
    },
    connectionsOf,
    keys: () => [...entries].map(([id, { key }]) => [id, key]),
  };
}
