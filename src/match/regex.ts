// Whether a name holds what a regular expression describes: a machine that the compiler built (compile/build/regex-*.ts),
// read in place. Workers call it for names that clients choose, so no name costs more than its length times a bound:
//
//   table      one look-up a byte. What nearly every expression becomes.
//   positions  all positions of the expression at once, a bit each, where the table would have too many states.
//
// That is one machine. What all machines of the rules in force may take together for a name is bounded when the rules are
// compiled (compile/build/regex-work.ts), and a machine runs once for it (regex-memo.ts).
//
// Any thread; allocates nothing. A machine is words that say nothing of where they lie: [KIND, ...] as below.

/** The expression matches every name: it may be empty. */
export const REGEX_ALWAYS = 1;
export const REGEX_TABLE = 2;
export const REGEX_POSITIONS = 3;

// Words of both kinds.
export const REGEX_KIND = 0;
/** Whether the empty name matches. */
export const REGEX_IS_EMPTY_ENOUGH = 1;
/** Classes of bytes that the expression does not tell apart. */
export const REGEX_CLASSES = 2;
/** Of a table: columns of a state, one a class and one that says whether the name may end there. Else words of a set. */
export const REGEX_WIDTH = 3;
/** By byte: its class, four in a word. */
export const REGEX_CLASS_AT = 4;
/** The table, or the sets. */
export const REGEX_BODY_AT = REGEX_CLASS_AT + 64;

// Of tables: two entries a word, states from 0 (the first byte's) on.
export const REGEX_MATCHED = 0xffff;
export const REGEX_DEAD = 0xfffe;

// Of positions: sets of REGEX_WIDTH words each.
/** Positions that may take the first byte; any other byte, because a match may begin there. */
export const REGEX_FIRST = 0;
export const REGEX_LATER = 1;
/** Positions that end a match wherever they are; that end one where the name ends, which are more. */
export const REGEX_FINAL = 2;
export const REGEX_FINAL_AT_END = 3;
/** By class: positions that take its bytes. Behind those: by four positions and each choice among them, who may follow. */
export const REGEX_TAKERS = 4;

/** Words of the largest set of positions. */
export const REGEX_SET_WORDS_MAX = 16;

/** Positions that may take the next byte, and the one behind it. Every thread has its own module, hence its own. */
const sets = new Int32Array(2 * REGEX_SET_WORDS_MAX);

/**
 * Whether the expression occurs in `bytes[0 .. length)`, which is in lower case.
 * @param at where the machine begins
 * @source positions: Glushkov 1961; four at a time: Navarro and Raffinot, "Compact DFA representation", 2001
 */
export function matchesRegex(arena: Int32Array, at: number, bytes: Uint8Array, length: number): boolean {
  const kind = arena[at + REGEX_KIND] as number;
  if (kind === REGEX_ALWAYS) return true;
  if (length === 0) return arena[at + REGEX_IS_EMPTY_ENOUGH] === 1;
  return kind === REGEX_TABLE
    ? runTable(arena, at, bytes, length)
    : runPositions(arena, at, bytes, length, arena[at + REGEX_WIDTH] as number);
}

function runTable(arena: Int32Array, at: number, bytes: Uint8Array, length: number): boolean {
  const width = arena[at + REGEX_WIDTH] as number;
  const classAt = at + REGEX_CLASS_AT;
  const tableAt = at + REGEX_BODY_AT;
  let state = 0;
  for (let i = 0; i < length; i++) {
    const byte = bytes[i] as number;
    const column = ((arena[classAt + (byte >> 2)] as number) >>> ((byte & 3) << 3)) & 0xff;
    const entry = state * width + column;
    state = ((arena[tableAt + (entry >> 1)] as number) >>> ((entry & 1) << 4)) & 0xffff;
    if (state >= REGEX_DEAD) return state === REGEX_MATCHED;
  }
  const entry = state * width + width - 1;
  return (((arena[tableAt + (entry >> 1)] as number) >>> ((entry & 1) << 4)) & 0xffff) === REGEX_MATCHED;
}

function runPositions(
  arena: Int32Array,
  at: number,
  bytes: Uint8Array,
  length: number,
  width: number,
): boolean {
  const bodyAt = at + REGEX_BODY_AT;
  const laterAt = bodyAt + REGEX_LATER * width;
  const finalAt = bodyAt + REGEX_FINAL * width;
  const finalAtEndAt = bodyAt + REGEX_FINAL_AT_END * width;
  const takersAt = bodyAt + REGEX_TAKERS * width;
  const followersAt = takersAt + (arena[at + REGEX_CLASSES] as number) * width;
  let now = 0;
  for (let w = 0; w < width; w++) sets[w] = arena[bodyAt + w] as number;
  for (let i = 0; i < length; i++) {
    const byte = bytes[i] as number;
    const column = ((arena[at + REGEX_CLASS_AT + (byte >> 2)] as number) >>> ((byte & 3) << 3)) & 0xff;
    const next = REGEX_SET_WORDS_MAX - now;
    const endsAt = i === length - 1 ? finalAtEndAt : finalAt;
    for (let w = 0; w < width; w++) sets[next + w] = arena[laterAt + w] as number;
    for (let w = 0; w < width; w++) {
      const took = (sets[now + w] as number) & (arena[takersAt + column * width + w] as number);
      if ((took & (arena[endsAt + w] as number)) !== 0) return true;
      for (let rest = took, quad = w << 3; rest !== 0; rest >>>= 4, quad++) {
        const choice = rest & 15;
        if (choice === 0) continue;
        const row = followersAt + ((quad << 4) + choice) * width;
        for (let k = 0; k < width; k++) {
          sets[next + k] = (sets[next + k] as number) | (arena[row + k] as number);
        }
      }
    }
    now = next;
  }
  return false;
}
