// What a rule is called and whether it changed. A rule without an id is named after its words, so that it keeps its name,
// its list of connections and its place in receipts when others come before it.

import { createHash } from 'node:crypto';
import type { Rule } from '../rule.ts';

const ID_DIGITS = 8;
const VERSION_DIGITS = 16;

/** `r` and eight hex digits: of all that was written but the id. */
export function idOf(written: object): string {
  const { id: _, ...words } = written as { id?: unknown };
  return `r${hashOf(canonical(words), ID_DIGITS)}`;
}

/** Of all that a rule does: two with the same one judge alike. Its id and its place are not in it. */
export function ruleVersion({ condition, action, onTimeout, timeoutMs }: Rule): string {
  return hashOf(JSON.stringify([condition, action, onTimeout, timeoutMs]), VERSION_DIGITS);
}

function hashOf(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits);
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => {
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return one;
    const keys = Object.keys(one).toSorted();
    return Object.fromEntries(keys.map((key) => [key, (one as Record<string, unknown>)[key]]));
  });
}
