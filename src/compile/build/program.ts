// Rest programs (OP_* of layout/rules.ts) while they are built: trees that become words in prefix notation. What is always
// true or false is folded away. Compiler thread.

import {
  OP_AND,
  OP_BIT,
  OP_EXTERNAL,
  OP_FALSE,
  OP_GROUP,
  OP_KEYWORD,
  OP_MERGED,
  OP_NOT,
  OP_OR,
  OP_REGEX,
  OP_TRUE,
} from '../../layout/rules.ts';

export type Node =
  | { readonly op: 'true' | 'false' }
  | { readonly op: 'and' | 'or'; readonly children: readonly Node[] }
  | { readonly op: 'not'; readonly child: Node }
  | { readonly op: 'bit'; readonly group: number; readonly bit: number }
  | { readonly op: 'keyword' | 'regex' | 'external'; readonly number: number }
  | { readonly op: 'group'; readonly group: number; readonly child: Node }
  /** By merged group: the outer rule's condition, or none. */
  | {
      readonly op: 'merged';
      readonly sets: readonly number[];
      readonly groups: readonly (Node | undefined)[];
    };

const ALWAYS: Node = { op: 'true' };

/** What can be asked cheaply first, so that nothing dear is asked for in vain. */
export function allOf(children: readonly Node[]): Node {
  const kept = children.filter(({ op }) => op !== 'true');
  if (kept.length === 0) return ALWAYS;
  if (kept.some(({ op }) => op === 'false')) return { op: 'false' };
  return kept.length === 1 ? (kept[0] as Node) : { op: 'and', children: kept };
}

export function anyOf(children: readonly Node[]): Node {
  const kept = children.filter(({ op }) => op !== 'false');
  if (kept.length === 0) return { op: 'false' };
  if (kept.some(({ op }) => op === 'true')) return ALWAYS;
  return kept.length === 1 ? (kept[0] as Node) : { op: 'or', children: kept };
}

export function not(child: Node): Node {
  if (child.op === 'true') return { op: 'false' };
  return child.op === 'false' ? ALWAYS : { op: 'not', child };
}

/** Appends the node's words. */
export function emit(node: Node, words: number[]): void {
  const at = words.length;
  words.push(0);
  words[at] = opOf(node, words, at) | ((words.length - at) << 8);
}

function opOf(node: Node, words: number[], at: number): number {
  switch (node.op) {
    case 'true':
      return OP_TRUE;
    case 'false':
      return OP_FALSE;
    case 'and':
    case 'or':
      for (const child of node.children) emit(child, words);
      return node.op === 'and' ? OP_AND : OP_OR;
    case 'not':
      emit(node.child, words);
      return OP_NOT;
    case 'bit':
      words.push(node.group, node.bit);
      return OP_BIT;
    case 'keyword':
      words.push(node.number);
      return OP_KEYWORD;
    case 'regex':
      words.push(node.number);
      return OP_REGEX;
    case 'external':
      words.push(node.number);
      return OP_EXTERNAL;
    case 'group':
      words.push(node.group);
      emit(node.child, words);
      return OP_GROUP;
    case 'merged': {
      words.push(node.sets.length, ...node.sets);
      const groups = words.length;
      words.push(...node.groups.map(() => 0));
      for (const [group, child] of node.groups.entries()) {
        if (child === undefined) continue;
        words[groups + group] = words.length - at;
        emit(child, words);
      }
      return OP_MERGED;
    }
  }
}
