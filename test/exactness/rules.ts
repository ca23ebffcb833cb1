// Rules for edges that tests turn by hand: built as the compiler builds them, placed in the edge's arena, and put in force.

import { buildSnapshot } from '../../src/compile/build/snapshot.ts';
import { NO_ITEMS } from '../../src/compile/rule.ts';
import type { Action, Items, Network, Rule } from '../../src/compile/rule.ts';
import { parseIp } from '../../src/layout/ip-address.ts';
import { ON_TIMEOUT_SKIP } from '../../src/layout/rules.ts';
import type { Edge } from './simulated-edge.ts';

/** What a test says of a rule; without conditions it always matches. */
export interface RuleInit {
  readonly when?: Partial<Items>;
  readonly action: Action;
  readonly onTimeout?: number;
  readonly timeoutMs?: number;
  /** List key; else its place among the rules, from 1. */
  readonly key?: number;
}

export interface RulesInForce {
  readonly row: number;
  readonly id: number;
}

export const TIMEOUT_MS = 300;
/** An outbound's index in plans of tests, by the name that rules give it; all have generation 1. */
const OUTBOUNDS = new Map([
  ['direct', { tag: 'direct', index: 0, generation: 1 }],
  ['other', { tag: 'other', index: 1, generation: 1 }],
  ['gone', { tag: 'gone', index: 1, generation: 7 }],
]);
const FIRST_WORD = 64;
const ID_FIRST = 100;

const placed = new WeakMap<Edge, { rows: number; words: number }>();

export function route(outbound?: string, changes: Partial<Extract<Action, { kind: 'route' }>> = {}): Action {
  return { kind: 'route', outbound, overrideAddress: undefined, overridePort: undefined, ...changes };
}

/** An address as a network of its own. */
export function network(address: string, bits = 128): Network {
  const [word0 = 0, word1 = 0, word2 = 0, word3 = 0] = parseIp(address) ?? [];
  return { words: [word0, word1, word2, word3], bits };
}

/** Builds a snapshot into the next row, without putting it in force. */
export function buildRow(edge: Edge, rules: readonly RuleInit[]): RulesInForce {
  const place = placed.get(edge) ?? { rows: 0, words: FIRST_WORD };
  placed.set(edge, place);
  const row = place.rows++;
  const id = ID_FIRST + row;
  const built = buildSnapshot({
    id,
    rules: rules.map((rule, index): Rule => written(rule, rule.key ?? index + 1)),
    keyOf: (text) => Number(text.slice(1)),
    outbounds: OUTBOUNDS,
    sets: new Map(),
    context: { keys: edge.w.nameKeys, country: () => [], system: () => [] },
  });
  built.write(edge.tables.rules, place.words);
  edge.tables.snapshots.setId(row, id);
  edge.tables.snapshots.setAt(row, place.words);
  place.words += built.words;
  if (place.words > edge.tables.rules.length) throw new RangeError('the arena of the test is full');
  return { row, id };
}

/** Of the snapshot with this id. */
export function rowOf(id: number): number {
  return id - ID_FIRST;
}

export function putInForce(edge: Edge, rules: readonly RuleInit[]): RulesInForce {
  const built = buildRow(edge, rules);
  edge.tables.machine.setSnapshot(0, built.row + 1);
  return built;
}

/** Connections that pin any snapshot. */
export function pins(edge: Edge): number {
  let sum = 0;
  for (let row = 0; row < (placed.get(edge)?.rows ?? 0); row++) sum += edge.tables.snapshots.pins(row);
  return sum;
}

function written(rule: RuleInit, key: number): Rule {
  return {
    id: `r${key}`,
    owner: 'file',
    path: `rules[${key}]`,
    condition: { ...NO_ITEMS, ...rule.when },
    action: rule.action,
    onTimeout: rule.onTimeout ?? ON_TIMEOUT_SKIP,
    timeoutMs: rule.timeoutMs ?? TIMEOUT_MS,
  };
}
