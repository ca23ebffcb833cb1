// Builds a block (layout/rules.ts): conditions entered into indexes and vectors, rest programs beside them, all laid out in
// one piece whose offsets begin at its start, so that it can be placed anywhere and shared. Compiler thread.

import {
  BLOCK_ALWAYS,
  BLOCK_CLASSES,
  BLOCK_GROUPS,
  BLOCK_HAS,
  BLOCK_HEADER_WORDS,
  BLOCK_INDEXES,
  BLOCK_KEYWORDED,
  BLOCK_IS_PLAIN,
  BLOCK_NEEDS,
  BLOCK_PROGRAMS,
  BLOCK_RULES,
  BLOCK_VECTOR_WORDS,
  BLOCK_WORDS,
  GROUP_DESTINATION,
  GROUP_PROCESS_NAME,
  GROUPS_COUNT,
  GROUPS_INDEXED,
  INDEX_REGEXES,
  NEED_EXTERNAL,
  NEED_PROCESS,
} from '../../layout/rules.ts';
import type { Condition, Items, RuleSetRules } from '../rule.ts';
import { NO_ITEMS } from '../rule.ts';
import { Conditions, hasGroup } from './condition.ts';
import type { BuildContext, References } from './context.ts';
import { Indexes } from './indexes.ts';
import { emit } from './program.ts';
import type { Node } from './program.ts';

export interface BuiltBlock {
  readonly words: Int32Array;
  readonly rules: number;
  /** Names and networks in its indexes. */
  readonly domains: number;
  readonly networks: number;
  /** NEED_* bits. */
  readonly needs: number;
  /** Merged groups that any of its rules has conditions in, as bits. */
  readonly groups: number;
}

/** Refers to nothing: sets have neither sets nor judgements. */
const NO_REFERENCES: References = {
  groupsOf: () => 0,
  setOf: (tag) => {
    throw new RangeError(`a rule set refers to the rule set ${tag}`);
  },
  externalOf: (url) => {
    throw new RangeError(`a rule set asks ${url}`);
  },
};

/** A rule set. Rules that name destinations only are one: any of them matches, or none does. */
export function buildSet(set: RuleSetRules, context: BuildContext): BuiltBlock {
  return buildBlock(together(set.rules), context, NO_REFERENCES, true);
}

/** The rules of a snapshot. */
export function buildRules(
  conditions: readonly Condition[],
  context: BuildContext,
  references: References,
): BuiltBlock {
  return buildBlock(conditions, context, references, false);
}

function buildBlock(
  rules: readonly Condition[],
  context: BuildContext,
  references: References,
  isSet: boolean,
): BuiltBlock {
  const indexes = new Indexes(rules.length, context);
  const conditions = new Conditions(indexes, references, isSet);
  const programs: (Int32Array | undefined)[] = [];
  let needs = 0;
  for (const [rule, condition] of rules.entries()) {
    const left = conditions.add(rule, condition);
    needs |= needsOf(left);
    programs.push(left.op === 'true' ? undefined : programOf(left));
  }
  const words = layOut(rules.length, indexes, programs, needs);
  const groups = indexes
    .marks()
    .reduce((bits, vector, group) => (vector === undefined ? bits : bits | (1 << group)), 0);
  return {
    words,
    rules: rules.length,
    domains: indexes.domainsCount,
    networks: indexes.networks,
    needs,
    groups,
  };
}

function programOf(node: Node): Int32Array {
  const words: number[] = [];
  emit(node, words);
  return Int32Array.from(words);
}

/** NEED_* bits that a program may ask for; those of sets are the sets'. */
function needsOf(node: Node): number {
  switch (node.op) {
    case 'bit':
      return node.group >= GROUP_PROCESS_NAME ? NEED_PROCESS : 0;
    case 'external':
      return NEED_EXTERNAL;
    case 'and':
    case 'or':
      return node.children.reduce((needs, child) => needs | needsOf(child), 0);
    case 'not':
    case 'group':
      return needsOf(node.child);
    default:
      return 0;
  }
}

function layOut(
  rules: number,
  indexes: Indexes,
  programs: readonly (Int32Array | undefined)[],
  needs: number,
): Int32Array {
  const header = new Int32Array(BLOCK_HEADER_WORDS);
  const pieces: Int32Array[] = [header];
  let words = BLOCK_HEADER_WORDS;
  const place = (piece: Int32Array): number => {
    const at = words;
    pieces.push(piece);
    words += piece.length;
    return at;
  };
  header[BLOCK_RULES] = rules;
  header[BLOCK_VECTOR_WORDS] = indexes.vectorWords;
  header[BLOCK_NEEDS] = needs;
  const primaries = indexes.primaries(rules);
  header[BLOCK_ALWAYS] = place(primaries[GROUPS_INDEXED] as Int32Array);
  const groups = indexes.defaults(rules).flatMap((vector, group) => {
    const primary = primaries[group];
    if (vector === undefined) return [];
    return [[group, place(vector), primary === undefined ? 0 : place(primary)]];
  });
  // Those in which rules are looked for come first.
  groups.sort((a, b) => Math.sign(b[2] as number) - Math.sign(a[2] as number));
  const [only] = groups;
  const isPlain = rules === 1 && programs[0] === undefined && groups.length === 1 && only?.[2] !== 0;
  header[BLOCK_IS_PLAIN] = isPlain && only?.[0] === GROUP_DESTINATION ? 1 : 0;
  header[BLOCK_GROUPS] = place(Int32Array.of(groups.length, ...groups.flat()));
  const keyworded = indexes.keyworded();
  if (keyworded !== undefined) header[BLOCK_KEYWORDED] = place(keyworded);
  for (const [group, vector] of indexes.marks().entries()) {
    if (vector !== undefined) header[BLOCK_HAS + group] = place(vector);
  }
  for (const [index, piece] of indexes.words()) header[BLOCK_INDEXES + index] = place(piece);
  if (indexes.regexes.length > 0) {
    const machines = Int32Array.of(indexes.regexes.length, ...indexes.regexes.map(place));
    header[BLOCK_INDEXES + INDEX_REGEXES] = place(machines);
  }
  const { classes } = indexes;
  const classAt = new Int32Array(classes.count);
  for (let number = 0; number < classes.count; number++) {
    classAt[number] = place(classes.words(number, indexes.vectorWords));
  }
  header[BLOCK_CLASSES] = place(classAt);
  header[BLOCK_PROGRAMS] = place(
    Int32Array.from(programs, (program) => (program === undefined ? 0 : place(program))),
  );
  header[BLOCK_WORDS] = words;
  const block = new Int32Array(words);
  let at = 0;
  for (const piece of pieces) {
    block.set(piece, at);
    at += piece.length;
  }
  return block;
}

/** Puts rules that say nothing but destinations together. */
function together(rules: readonly Condition[]): Condition[] {
  const apart: Condition[] = [];
  const destinations: Items[] = [];
  for (const rule of rules) {
    if (rule.kind === 'items' && isDestinationOnly(rule)) destinations.push(rule);
    else apart.push(rule);
  }
  if (destinations.length < 2) return [...rules];
  const all = <Item>(of: (items: Items) => readonly Item[]): Item[] => destinations.flatMap(of);
  return [
    {
      ...NO_ITEMS,
      domain: all(({ domain }) => domain),
      domainSuffix: all(({ domainSuffix }) => domainSuffix),
      domainKeyword: all(({ domainKeyword }) => domainKeyword),
      domainRegex: all(({ domainRegex }) => domainRegex),
      ipCidr: all(({ ipCidr }) => ipCidr),
      ipIsPrivate: destinations.some(({ ipIsPrivate }) => ipIsPrivate),
      geoip: all(({ geoip }) => geoip),
      asn: all(({ asn }) => asn),
    },
    ...apart,
  ];
}

/** Whether it says nothing but destinations. */
export function isDestinationOnly(items: Items): boolean {
  if (items.invert || items.external !== undefined || items.ruleSet.length > 0) return false;
  for (let group = 0; group < GROUPS_COUNT; group++) {
    if (hasGroup(items, group) !== (group === GROUP_DESTINATION)) return false;
  }
  return true;
}
