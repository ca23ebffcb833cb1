// List keys of rules, by id. A rule keeps its key while it lives, or has connections: the control thread tells which ids are
// free. A key is given again as late as possible, because receipts that name it may still be on their way. Compiler thread.

import { RULE_KEY_FINAL } from '../layout/rules.ts';

export interface RuleKeys {
  has(id: string): boolean;
  /** The key of each id. @returns undefined where there are not enough; nothing is taken then */
  take(ids: readonly string[]): number[] | undefined;
  /** Nobody refers to the keys of these ids any more. */
  free(ids: readonly string[]): void;
  readonly count: number;
}

/**
 * @param keysMax keys there are, that of `final` among them
 * @param taken   ids that have keys already
 */
export function createRuleKeys(
  keysMax: number,
  taken: readonly (readonly [id: string, key: number])[],
): RuleKeys {
  const keys = new Map(taken);
  let next = taken.reduce((highest, [, key]) => Math.max(highest, key), RULE_KEY_FINAL) + 1;
  const used = new Set(keys.values());
  /** Oldest first. */
  let freed: number[] = [];
  for (let key = RULE_KEY_FINAL + 1; key < next; key++) if (!used.has(key)) freed.push(key);

  return {
    has: (id) => keys.has(id),
    take(ids) {
      const missing = ids.filter((id) => !keys.has(id));
      const fresh = Math.min(missing.length, keysMax - next);
      if (missing.length - fresh > freed.length) return undefined;
      for (const [place, id] of missing.entries()) {
        keys.set(id, place < fresh ? next + place : (freed[place - fresh] as number));
      }
      next += fresh;
      freed = freed.slice(missing.length - fresh);
      return ids.map((id) => keys.get(id) as number);
    },
    free(ids) {
      for (const id of ids) {
        const key = keys.get(id);
        if (key === undefined) continue;
        keys.delete(id);
        freed.push(key);
      }
    },
    get count() {
      return keys.size;
    },
  };
}
