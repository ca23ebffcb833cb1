// What a change of the rules concerns: of two lists of compiled rules, which were added, changed, taken out or moved, and
// in which lists of connections somebody may stand whom the new rules treat otherwise. Pure. Control thread.
//
// A connection that rule k decided matched none of those before k. While these are the same, and k is, so is the answer.

import type { CompiledRule } from '../layout/compiler-messages.ts';
import { RULE_KEY_FINAL } from '../layout/rules.ts';

export interface RuleDifference {
  /** Ids. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly moved: readonly string[];
  /** List keys of the connections to be judged again. */
  readonly keys: readonly number[];
}

const FINAL_ACTIONS: ReadonlySet<string> = new Set(['route', 'reject']);

export function ruleDifference(
  before: readonly CompiledRule[],
  after: readonly CompiledRule[],
): RuleDifference {
  const { first, last, lastAfter } = unlike(before, after);
  const began = before.slice(first, last);
  const became = after.slice(first, lastAfter);
  const old = new Map(began.map((rule) => [rule.id, rule]));
  const now = new Map(became.map((rule) => [rule.id, rule]));
  const added = became.filter(({ id }) => !old.has(id));
  const removed = began.filter(({ id }) => !now.has(id));
  const changed = became.filter(({ id, version }) => (old.get(id)?.version ?? version) !== version);
  const moved = movedIds(
    began.filter(({ id }) => now.has(id)),
    became.filter(({ id }) => old.has(id)),
  );
  const idsOf = (rules: readonly CompiledRule[]) => rules.map(({ id }) => id);
  return {
    added: idsOf(added),
    changed: idsOf(changed),
    removed: idsOf(removed),
    moved,
    keys: concernedKeys(
      before,
      first,
      added.length + changed.length + moved.length === 0 ? removed : undefined,
    ),
  };
}

/** Without the rules that both begin with and both end with: of tens of thousands a change mostly concerns a few. */
function unlike(before: readonly CompiledRule[], after: readonly CompiledRule[]) {
  const isSame = (one: CompiledRule | undefined, other: CompiledRule | undefined) =>
    one?.id === other?.id && one?.version === other?.version;
  let first = 0;
  let last = before.length;
  let lastAfter = after.length;
  while (first < last && first < lastAfter && isSame(before[first], after[first])) first++;
  while (last > first && lastAfter > first && isSame(before[last - 1], after[lastAfter - 1])) {
    last--;
    lastAfter--;
  }
  return { first, last, lastAfter };
}

/**
 * @param same so many of the first are what they were
 * @param onlyRemoved those that went, where nothing else happened
 */
function concernedKeys(
  before: readonly CompiledRule[],
  same: number,
  onlyRemoved: readonly CompiledRule[] | undefined,
): number[] {
  // Whoever matched another rule than these did not match these, and a final one has no effect beyond its match.
  if (onlyRemoved?.every(({ action }) => FINAL_ACTIONS.has(action)) === true) {
    return onlyRemoved.map(({ key }) => key);
  }
  return [...before.slice(same).map(({ key }) => key), RULE_KEY_FINAL];
}

/** Of the same ids in two orders: those that do not stand where they stood. */
function movedIds(before: readonly CompiledRule[], after: readonly CompiledRule[]): string[] {
  return after.flatMap(({ id }, place) => (before[place]?.id === id ? [] : id));
}
