// Which keywords occur in a name: all are looked for at once, in one pass over it (Aho and Corasick, 1975). The compiler builds
// the automaton (compile/build/keywords.ts); it is read in place. Any thread; allocates nothing.
//
// A state is what the name's last bytes have in common with the beginning of some keyword, the longest such. Where no
// keyword goes on with the next byte, the state's `fail` is the next shorter one. Words, from the automaton's beginning:
//
//   header · transitions: hash table of (state, byte) → state · states, STATE_WORDS each · lists of predicates: [n, n numbers]
//
// State 0 is the empty beginning; its transitions are a row by byte, since most bytes of most names meet it.

/** Predicates of one automaton: one a keyword or a group of them that mean the same. */
export const KEYWORD_PREDICATES_MAX = 32_768;

export const KEYWORDS_PREDICATES = 0;
/** Slots of the hash table less one; a slot is (state << 8 | byte, state that follows), and that is 0 in a free one. */
export const KEYWORDS_MASK = 1;
export const KEYWORDS_STATES_AT = 2;
/** By byte: the state that follows the empty beginning. */
export const KEYWORDS_ROOT_AT = 3;
export const KEYWORDS_TRANSITIONS_AT = KEYWORDS_ROOT_AT + 256;

/** State that is left for the next shorter one. */
export const STATE_FAIL = 0;
/** Offset of its list of predicates; 0: none. */
export const STATE_LIST = 1;
/** The longest shorter state that has a list; 0: none. */
export const STATE_LISTED = 2;
export const STATE_WORDS = 3;

/** States whose lists were marked in a scan, by their lower bits: (state, scan). Every thread has its own module, hence its own. */
const MARKED = 1_024;
const marked = new Int32Array(2 * MARKED);
const SCANS = 2 ** 30;
let scan = 0;

/** Where the search for a transition begins. */
export function transitionHash(key: number): number {
  const mixed = Math.imul(key, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

/**
 * Sets the bits of the predicates that have a keyword in `bytes[0 .. length)`, and clears all others.
 * @param at  where the automaton begins
 * @param out Int32Array[predicates / 32, rounded up], or longer
 * @returns whether any is set
 */
export function scanKeywords(
  arena: Int32Array,
  at: number,
  bytes: Uint8Array,
  length: number,
  out: Int32Array,
): boolean {
  const words = ((arena[at + KEYWORDS_PREDICATES] as number) + 31) >>> 5;
  for (let w = 0; w < words; w++) out[w] = 0;
  const mask = arena[at + KEYWORDS_MASK] as number;
  const statesAt = at + (arena[at + KEYWORDS_STATES_AT] as number);
  const transitionsAt = at + KEYWORDS_TRANSITIONS_AT;
  let state = 0;
  let isAny = false;
  scan = (scan + 1) % SCANS;
  if (scan === 0) marked.fill(-1);
  for (let i = 0; i < length; i++) {
    const byte = bytes[i] as number;
    let next = 0;
    // Each round leaves the state for a shorter one: over a name there are no more of them than bytes.
    while (state !== 0) {
      next = transition(arena, transitionsAt, mask, (state << 8) | byte);
      if (next !== 0) break;
      state = arena[statesAt + state * STATE_WORDS + STATE_FAIL] as number;
    }
    state = state === 0 ? (arena[at + KEYWORDS_ROOT_AT + byte] as number) : next;
    // Once a name, however often a keyword is in it: lists are as long as operators make them.
    for (let said = state; said !== 0; ) {
      const place = (said & (MARKED - 1)) << 1;
      if (marked[place] === said && marked[place + 1] === scan) break;
      marked[place] = said;
      marked[place + 1] = scan;
      const record = statesAt + said * STATE_WORDS;
      const list = arena[record + STATE_LIST] as number;
      if (list !== 0) {
        mark(arena, at + list, out);
        isAny = true;
      }
      said = arena[record + STATE_LISTED] as number;
    }
  }
  return isAny;
}

/** @returns the state that follows, or 0 */
function transition(arena: Int32Array, transitionsAt: number, mask: number, key: number): number {
  for (let slot = transitionHash(key) & mask; ; slot = (slot + 1) & mask) {
    const next = arena[transitionsAt + slot * 2 + 1] as number;
    if (next === 0 || arena[transitionsAt + slot * 2] === key) return next;
  }
}

function mark(arena: Int32Array, listAt: number, out: Int32Array): void {
  const end = listAt + (arena[listAt] as number);
  for (let entry = listAt + 1; entry <= end; entry++) {
    const predicate = arena[entry] as number;
    out[predicate >> 5] = (out[predicate >> 5] as number) | (1 << (predicate & 31));
  }
}
