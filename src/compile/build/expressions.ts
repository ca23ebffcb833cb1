// Expressions of a rule as nodes of its rest program: a machine is asked only where a text occurs that its expression wants
// (regex-literals.ts), which is known of a name after one pass over it. Where there are many, neighbours are asked together
// first, so that a name that holds none of their texts goes past them all. Compiler thread.

import type { Indexes } from './indexes.ts';
import { allOf, anyOf, type Node } from './program.ts';
import { literalsOf } from './regex-work.ts';

/** Expressions that are asked together. */
const TOGETHER = 64;

/** Predicates of keywords that expressions take beside one for each. */
export function sharedPredicates(expressions: number): number {
  return Math.ceil(expressions / TOGETHER);
}

/** Nodes of which one has to hold. */
export function expressionNodes(indexes: Indexes, expressions: readonly string[]): Node[] {
  const always: Node[] = [];
  const wanting: { readonly literals: readonly string[]; readonly node: Node }[] = [];
  for (const text of new Set(expressions)) {
    const literals = literalsOf(text);
    const machine: Node = { op: 'regex', number: indexes.regex(text) };
    if (literals.length === 0) always.push(machine);
    else wanting.push({ literals, node: allOf([keyword(indexes, literals), machine]) });
  }
  if (wanting.length <= TOGETHER) return [...wanting.map(({ node }) => node), ...always];
  const groups: Node[] = [];
  for (let from = 0; from < wanting.length; from += TOGETHER) {
    const some = wanting.slice(from, from + TOGETHER);
    const literals = new Set(some.flatMap((one) => one.literals));
    groups.push(allOf([keyword(indexes, [...literals]), anyOf(some.map(({ node }) => node))]));
  }
  return [...groups, ...always];
}

/** Whether no name matches any of them that holds none of their texts. */
export function allWantText(expressions: readonly string[]): boolean {
  return expressions.every((text) => literalsOf(text).length > 0);
}

function keyword(indexes: Indexes, texts: readonly string[]): Node {
  return { op: 'keyword', number: indexes.keywords(texts) };
}
