// From the tree of an expression to its positions: the places in it that take a byte. An expression matches where a walk
// from position to position ends well; who may follow whom is all that a machine has to know (Glushkov).
//
//   tree ──nodes──► bytes, forks and anchors, linked            repetitions written out
//        ──reach──► sets of positions                           forks and anchors gone
//
// Anchors need no machinery of their own: `^` is passed before the first byte only, `$` behind the last one only, so that
// there are two sets for the beginning, and two for the end. Any thread.

import type { ByteSet } from './regex-bytes.ts';
import type { RegexTree } from './regex-parse.ts';

/** Nodes of an expression whose repetitions are written out: where "too large" begins. */
const NODES_MAX = 8_192;

/** A set of positions: a bit each. */
export type PositionSet = Int32Array;

export interface Automaton {
  /** Words of a set of positions. */
  readonly width: number;
  /** By position: the bytes that it takes. */
  readonly bytes: readonly ByteSet[];
  /** By position: who may take the byte behind. */
  readonly followers: readonly PositionSet[];
  /** Who may take the first byte of a name; any other byte, a match beginning there. */
  readonly first: PositionSet;
  readonly later: PositionSet;
  /** Who ends a match anywhere; at the end of the name. */
  readonly final: PositionSet;
  readonly finalAtEnd: PositionSet;
  /** Whether every name matches, since nothing has to be in it; whether the empty name does. */
  readonly isAlways: boolean;
  readonly isEmptyEnough: boolean;
}

const BYTES = 0;
const FORK = 1;
const START = 2;
const END = 3;
const MATCH = 4;

/** By node. Of FORK both links count, of the others the first. */
interface Nodes {
  readonly kinds: number[];
  readonly links: number[];
  readonly others: number[];
  /** Of BYTES: number of the position. */
  readonly positions: number[];
  readonly bytes: ByteSet[];
}

/** @returns undefined: too large */
export function buildAutomaton(tree: RegexTree): Automaton | undefined {
  if (sizeOf(tree) > NODES_MAX) return undefined;
  const nodes: Nodes = { kinds: [], links: [], others: [], positions: [], bytes: [] };
  const match = addNode(nodes, MATCH, -1);
  const start = write(nodes, tree, match);
  const width = Math.max(1, Math.ceil(nodes.bytes.length / 32));
  const final = new Int32Array(width);
  const finalAtEnd = new Int32Array(width);
  const walk = new Walk(nodes, width);
  const followers: PositionSet[] = [];
  const hasEnd = nodes.kinds.includes(END);
  for (const [node, kind] of nodes.kinds.entries()) {
    if (kind !== BYTES) continue;
    const position = nodes.positions[node] as number;
    const next = nodes.links[node] as number;
    followers[position] = walk.from(next, false, false);
    if (walk.matched) include(final, position);
    if (hasEnd) walk.from(next, false, true);
    if (walk.matched) include(finalAtEnd, position);
  }
  const first = walk.from(start, true, false);
  const isAlwaysByStart = walk.matched;
  const later = walk.from(start, false, false);
  walk.from(start, false, true);
  const isAlways = isAlwaysByStart || walk.matched;
  walk.from(start, true, true);
  return {
    width,
    bytes: nodes.bytes,
    followers,
    first,
    later,
    final,
    finalAtEnd,
    isAlways,
    isEmptyEnough: walk.matched,
  };
}

export function include(set: PositionSet, position: number): void {
  set[position >> 5] = (set[position >> 5] as number) | (1 << (position & 31));
}

/** Nodes that `write` would make, so far as that matters: beyond the bound any number will do. */
function sizeOf(tree: RegexTree): number {
  switch (tree.kind) {
    case 'sequence':
    case 'choice':
      return tree.parts.reduce((sum, part) => Math.min(NODES_MAX + 1, sum + sizeOf(part)), 1);
    case 'repeat': {
      const times = tree.max === Infinity ? tree.min + 1 : tree.max;
      return 1 + (sizeOf(tree.part) + 1) * times;
    }
    default:
      return 1;
  }
}

function addNode(nodes: Nodes, kind: number, link: number, other = -1): number {
  nodes.positions.push(-1);
  nodes.links.push(link);
  nodes.others.push(other);
  return nodes.kinds.push(kind) - 1;
}

/** Writes the nodes of `tree` in front of `next`. @returns the first of them */
function write(nodes: Nodes, tree: RegexTree, next: number): number {
  switch (tree.kind) {
    case 'empty':
      return next;
    case 'bytes': {
      const node = addNode(nodes, BYTES, next);
      nodes.positions[node] = nodes.bytes.push(tree.bytes) - 1;
      return node;
    }
    case 'start':
      return addNode(nodes, START, next);
    case 'end':
      return addNode(nodes, END, next);
    case 'sequence':
      return tree.parts.reduceRight((behind, part) => write(nodes, part, behind), next);
    case 'choice':
      return tree.parts
        .map((part) => write(nodes, part, next))
        .reduceRight((rest, part) => addNode(nodes, FORK, part, rest));
    case 'repeat':
      return writeRepeat(nodes, tree, next);
  }
}

/** `a{2,4}` is `aa(a(a)?)?`; `a{2,}` is `aaa*`. */
function writeRepeat(
  nodes: Nodes,
  { part, min, max }: Extract<RegexTree, { kind: 'repeat' }>,
  next: number,
): number {
  let first = next;
  if (max === Infinity) {
    first = addNode(nodes, FORK, -1, next);
    nodes.links[first] = write(nodes, part, first);
  } else {
    for (let i = min; i < max; i++) first = addNode(nodes, FORK, write(nodes, part, first), next);
  }
  for (let i = 0; i < min; i++) first = write(nodes, part, first);
  return first;
}

/** Follows forks and anchors up to the nodes that take bytes. */
class Walk {
  /** Whether the last walk came to the end of the expression. */
  matched = false;
  private readonly nodes: Nodes;
  private readonly width: number;
  /** By node: the walk that was there last. */
  private readonly seen: Int32Array;
  private readonly stack: number[] = [];
  private round = 0;

  constructor(nodes: Nodes, width: number) {
    this.nodes = nodes;
    this.width = width;
    this.seen = new Int32Array(nodes.kinds.length);
  }

  /** Positions that come next, in a place where the name begins (`atStart`) or ends (`atEnd`). */
  from(node: number, atStart: boolean, atEnd: boolean): PositionSet {
    const { kinds, links, others, positions } = this.nodes;
    const reached = new Int32Array(this.width);
    this.matched = false;
    this.round++;
    this.stack.push(node);
    for (let at = this.stack.pop(); at !== undefined; at = this.stack.pop()) {
      if (this.seen[at] === this.round) continue;
      this.seen[at] = this.round;
      const kind = kinds[at] as number;
      if (kind === BYTES) include(reached, positions[at] as number);
      else if (kind === MATCH) this.matched = true;
      else if (kind === FORK) this.stack.push(others[at] as number, links[at] as number);
      else if (kind === START ? atStart : atEnd) this.stack.push(links[at] as number);
    }
    return reached;
  }
}
