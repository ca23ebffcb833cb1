// Builds the automaton of match/keywords.ts: a trie of all keywords, then, shortest states first, where each goes on when it
// fails. Any thread.

import {
  KEYWORD_PREDICATES_MAX,
  KEYWORDS_MASK,
  KEYWORDS_PREDICATES,
  KEYWORDS_ROOT_AT,
  KEYWORDS_STATES_AT,
  KEYWORDS_TRANSITIONS_AT,
  STATE_FAIL,
  STATE_LIST,
  STATE_LISTED,
  STATE_WORDS,
  transitionHash,
} from '../../match/keywords.ts';

/** States that a transition's key has room for. */
const STATES_MAX = 2 ** 23;

export interface Keyword {
  /** Lower case, not empty. */
  readonly text: string;
  readonly predicate: number;
}

/** By state. `children`: by byte, made where there are any. */
interface Trie {
  readonly children: (Map<number, number> | undefined)[];
  readonly predicates: (Set<number> | undefined)[];
}

/**
 * Words that work wherever they lie.
 * @param predicates how many there are; above all numbers of the patterns
 */
export function buildKeywords(patterns: readonly Keyword[], predicates: number): Int32Array {
  if (predicates > KEYWORD_PREDICATES_MAX) {
    throw new RangeError(`${predicates} keyword predicates, of at most ${KEYWORD_PREDICATES_MAX}`);
  }
  const trie = buildTrie(patterns);
  const count = trie.children.length;
  const fails = new Int32Array(count);
  const listed = new Int32Array(count);
  linkFailures(trie, fails, listed);
  const slots = 2 ** Math.ceil(Math.log2(2 * count));
  const statesAt = KEYWORDS_TRANSITIONS_AT + slots * 2;
  const listsAt = statesAt + count * STATE_WORDS;
  const listWords = trie.predicates.reduce((sum, set) => sum + (set === undefined ? 0 : set.size + 1), 0);
  const words = new Int32Array(listsAt + listWords);
  words[KEYWORDS_PREDICATES] = predicates;
  words[KEYWORDS_MASK] = slots - 1;
  words[KEYWORDS_STATES_AT] = statesAt;
  let list = listsAt;
  for (let state = 0; state < count; state++) {
    const record = statesAt + state * STATE_WORDS;
    words[record + STATE_FAIL] = fails[state] as number;
    words[record + STATE_LISTED] = listed[state] as number;
    const set = trie.predicates[state];
    if (set !== undefined) {
      words[record + STATE_LIST] = list;
      words.set([set.size, ...set], list);
      list += set.size + 1;
    }
    for (const [byte, next] of trie.children[state] ?? []) {
      if (state === 0) words[KEYWORDS_ROOT_AT + byte] = next;
      else writeTransition(words, slots - 1, (state << 8) | byte, next);
    }
  }
  return words;
}

/**
 * What the keywords weigh that end with one byte of a name: by each state at which any does, the sum over the predicates of
 * it and of the shorter states that it implies. No name has more such sums than bytes.
 */
export function weighEnds(patterns: readonly Keyword[], weightOf: (predicate: number) => number): number[] {
  const trie = buildTrie(patterns);
  const count = trie.children.length;
  const listed = new Int32Array(count);
  const order = linkFailures(trie, new Int32Array(count), listed);
  const weights = new Float64Array(count);
  const ends: number[] = [];
  for (const state of order) {
    const set = trie.predicates[state];
    if (set === undefined) continue;
    let weight = weights[listed[state] as number] as number;
    for (const predicate of set) weight += weightOf(predicate);
    weights[state] = weight;
    ends.push(weight);
  }
  return ends;
}

function buildTrie(patterns: readonly Keyword[]): Trie {
  const trie: Trie = { children: [undefined], predicates: [undefined] };
  for (const { text, predicate } of patterns) {
    if (text === '') throw new RangeError('an empty keyword, which every name holds');
    let state = 0;
    for (const byte of Buffer.from(text, 'utf8')) {
      const children = (trie.children[state] ??= new Map());
      let next = children.get(byte);
      if (next === undefined) {
        next = trie.children.push(undefined) - 1;
        trie.predicates.push(undefined);
        children.set(byte, next);
      }
      state = next;
    }
    (trie.predicates[state] ??= new Set()).add(predicate);
  }
  if (trie.children.length > STATES_MAX) throw new RangeError(`keywords of more than ${STATES_MAX} states`);
  return trie;
}

/** By breadth: what a state fails to is shorter, so it is linked already. @returns the states in this order, but for the first */
function linkFailures({ children, predicates }: Trie, fails: Int32Array, listed: Int32Array): Int32Array {
  const queue = new Int32Array(children.length);
  let end = 0;
  for (const next of children[0]?.values() ?? []) queue[end++] = next;
  for (let at = 0; at < end; at++) {
    const state = queue[at] as number;
    for (const [byte, next] of children[state] ?? []) {
      let fail = fails[state] as number;
      while (fail !== 0 && children[fail]?.has(byte) !== true) fail = fails[fail] as number;
      const shorter = children[fail]?.get(byte) ?? 0;
      fails[next] = shorter;
      listed[next] = predicates[shorter] === undefined ? (listed[shorter] as number) : shorter;
      queue[end++] = next;
    }
  }
  return queue.subarray(0, end);
}

function writeTransition(words: Int32Array, mask: number, key: number, next: number): void {
  let slot = transitionHash(key) & mask;
  while (words[KEYWORDS_TRANSITIONS_AT + slot * 2 + 1] !== 0) slot = (slot + 1) & mask;
  words[KEYWORDS_TRANSITIONS_AT + slot * 2] = key;
  words[KEYWORDS_TRANSITIONS_AT + slot * 2 + 1] = next;
}
