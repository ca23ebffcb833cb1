// The matcher: which rule of a snapshot is the first that matches. Reads the arena in place, allocates nothing, waits for
// nothing: where a rule needs what is not known yet it says so, and goes on at that rule when it is asked again.
//
//   vectors of all groups ─AND─► candidates, in order ─► rest program, if the rule has one ─► the first that is true
//
// Rest programs have three values: what is not known yet is unknown, and stays so only where nothing known decides. So no
// metadata is asked for that could not change the answer.

import {
  BLOCK_HAS,
  BLOCK_IS_PLAIN,
  BLOCK_PROGRAMS,
  BLOCK_RULES,
  GROUP_DESTINATION,
  GROUP_PROCESS_NAME,
  GROUP_PROCESS_PATH,
  GROUPS_INDEXED,
  GROUPS_MERGED,
  INDEX_PROCESS_NAME,
  INDEX_PROCESS_PATH,
  INDEX_REGEXES,
  INDEX_USER_ID,
  NEED_EXTERNAL,
  NEED_PROCESS,
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
  RULE_SETS_MAX,
  SNAPSHOT_BLOCK_AT,
  SNAPSHOT_SETS_AT,
} from '../layout/rules.ts';
import { BlockState } from './block.ts';
import { classOfHash, classOfWord } from './intervals.ts';
import type { Query } from './query.ts';
import { RegexMemo } from './regex-memo.ts';

/** No rule matches. */
export const NO_RULE = -1;
/** `rule` needs metadata: `need`, and of judgements `external`. */
export const NEEDS = -2;

const FALSE = 0;
const TRUE = 1;
const UNKNOWN = 2;

/** Questions are counted from 0 again after so many: what is remembered of sets belongs to one question. */
const QUESTIONS = 2 ** 28;
/** Of the merged groups: those that an outer rule has, and those of them that it satisfies. */
const MERGED_BITS = 2 * GROUPS_MERGED;

export class Matcher {
  /** Of the last answer: the rule that needs something, what, and which judgement. */
  rule: number = NO_RULE;
  need: number = 0;
  external: number = -1;
  private readonly arena: Int32Array;
  private readonly main: BlockState;
  private readonly set: BlockState;
  private readonly memo = new RegexMemo();
  /** Of the set that is being looked at: merged groups that the outer rule has, and that it satisfies; as bits. */
  private present = 0;
  private satisfied = 0;
  private at = 0;
  private query!: Query;
  private question = 0;
  // By set, and by what the outer rule has and satisfies: what it came to, and in which question.
  private readonly setQuestion = new Int32Array(RULE_SETS_MAX << MERGED_BITS);
  private readonly setResult = new Uint8Array(RULE_SETS_MAX << MERGED_BITS);

  /**
   * @param arena  the arena of rules
   * @param seed   of domain tables (RULE_DOMAIN_SEED_KEY)
   */
  constructor(arena: Int32Array, seed: number) {
    this.arena = arena;
    const bytes = new Uint8Array(arena.buffer, arena.byteOffset, arena.byteLength);
    this.main = new BlockState(arena, bytes, seed);
    this.set = new BlockState(arena, bytes, seed);
  }

  /**
   * The first rule from `from` on that matches.
   * @param at where the snapshot begins
   * @returns its number (>= 0), NO_RULE or NEEDS
   */
  match(at: number, query: Query, from: number): number {
    this.at = at;
    this.query = query;
    this.need = 0;
    this.external = -1;
    this.question = (this.question + 1) % QUESTIONS;
    if (this.question === 0) {
      this.setQuestion.fill(-1);
      this.memo.forget();
    }
    this.present = 0;
    this.satisfied = 0;
    this.main.begin(this.arena[at + SNAPSHOT_BLOCK_AT] as number, query, 0);
    return this.first(this.main, from, true);
  }

  /** The first rule of a block, from `from` on, that matches, or needs something; `ordered`: and no later one before it. */
  private first(state: BlockState, from: number, ordered: boolean): number {
    const arena = this.arena;
    const rules = arena[state.at + BLOCK_RULES] as number;
    const programs = state.at + (arena[state.at + BLOCK_PROGRAMS] as number);
    let needy = NO_RULE;
    const words = (rules + 31) >>> 5;
    for (let k = state.next(from >>> 5, words); k < words; k = state.next(k + 1, words)) {
      let candidates = this.candidates(state, k);
      if (k === from >>> 5) candidates &= -1 << (from & 31);
      if (rules - (k << 5) < 32) candidates &= (1 << (rules & 31)) - 1;
      while (candidates !== 0) {
        const rule = (k << 5) + 31 - Math.clz32(candidates & -candidates);
        candidates &= candidates - 1;
        const program = arena[programs + rule] as number;
        const result = program === 0 ? TRUE : this.evaluate(state, state.at + program);
        if (result === TRUE) return rule;
        if (result === FALSE) continue;
        if (ordered) {
          this.rule = rule;
          return NEEDS;
        }
        needy = NEEDS;
      }
    }
    return needy;
  }

  /** Rules of word `k`, at which `state` stands, that no group refuses. */
  private candidates(state: BlockState, k: number): number {
    const { active, activeCount } = state;
    let found = state.found;
    for (let i = 0; i < activeCount && found !== 0; i++) {
      const group = active[i] as number;
      if (((this.satisfied >>> group) & 1) === 0) found &= state.word(group, k);
    }
    let bits = found | state.always;
    const lacking = this.present & ~this.satisfied;
    // What the outer rule has conditions in and does not satisfy itself, a rule of the set must have and satisfy.
    for (let group = 0; lacking !== 0 && group < GROUPS_MERGED; group++) {
      if (((lacking >>> group) & 1) === 0) continue;
      const has = this.arena[state.at + BLOCK_HAS + group] as number;
      bits &= has === 0 ? 0 : (this.arena[state.at + has + k] as number);
    }
    return bits;
  }

  /** A node of a rest program. @returns FALSE, TRUE, or UNKNOWN and `need` says why */
  private evaluate(state: BlockState, node: number): number {
    const arena = this.arena;
    const head = arena[node] as number;
    switch (head & 0xff) {
      case OP_AND:
        return this.all(state, node, node + (head >>> 8), FALSE);
      case OP_OR:
        return this.all(state, node, node + (head >>> 8), TRUE);
      case OP_NOT: {
        const result = this.evaluate(state, node + 1);
        return result === UNKNOWN ? UNKNOWN : TRUE - result;
      }
      case OP_BIT:
        return this.bit(state, arena[node + 1] as number, arena[node + 2] as number);
      case OP_KEYWORD:
        return state.hasKeyword(arena[node + 1] as number) ? TRUE : FALSE;
      case OP_REGEX:
        return this.regex(state, arena[node + 1] as number) ? TRUE : FALSE;
      case OP_EXTERNAL:
        return this.judgement(arena[node + 1] as number);
      case OP_MERGED:
        return this.merged(state, node);
      case OP_GROUP:
        return ((this.satisfied >>> (arena[node + 1] as number)) & 1) === 1
          ? TRUE
          : this.evaluate(state, node + 2);
      case OP_FALSE:
        return FALSE;
      default:
        return TRUE;
    }
  }

  /** Children until one of them decides. */
  private all(state: BlockState, node: number, end: number, decisive: number): number {
    const needBefore = this.need;
    const externalBefore = this.external;
    let result = TRUE - decisive;
    for (let child = node + 1; child < end; child += (this.arena[child] as number) >>> 8) {
      const one = this.evaluate(state, child);
      if (one === UNKNOWN) {
        result = UNKNOWN;
      } else if (one === decisive) {
        // What was missing before it is not missed.
        this.need = needBefore;
        this.external = externalBefore;
        return decisive;
      }
    }
    return result;
  }

  private bit(state: BlockState, group: number, bit: number): number {
    if (group < GROUPS_INDEXED) return state.has(group, bit) ? TRUE : FALSE;
    const query = this.query;
    if ((query.known & NEED_PROCESS) === 0) return this.miss(NEED_PROCESS, -1);
    let found = -1;
    if (group === GROUP_PROCESS_NAME) {
      found = this.hashed(state, INDEX_PROCESS_NAME, query.processName);
    } else if (group === GROUP_PROCESS_PATH) {
      found = this.hashed(state, INDEX_PROCESS_PATH, query.processPath);
    } else if (query.hasUserId) {
      const at = state.indexAt(INDEX_USER_ID);
      if (at !== 0) found = classOfWord(this.arena, at, query.userId);
    }
    return state.classHas(found, bit) ? TRUE : FALSE;
  }

  private hashed(state: BlockState, index: number, hash: Int32Array): number {
    const at = state.indexAt(index);
    return at === 0 ? -1 : classOfHash(this.arena, at, hash[0] as number, hash[1] as number);
  }

  private regex(state: BlockState, machine: number): boolean {
    const machines = state.indexAt(INDEX_REGEXES);
    const at = state.at + (this.arena[machines + 1 + machine] as number);
    const { name, nameBytes } = this.query;
    return nameBytes > 0 && this.memo.matches(this.arena, at, name, nameBytes, this.question);
  }

  private judgement(external: number): number {
    const query = this.query;
    if (((query.externalsKnown >>> external) & 1) === 0) return this.miss(NEED_EXTERNAL, external);
    return (query.externalsTrue >>> external) & 1;
  }

  /** The first that is missed is what is asked for. */
  private miss(need: number, external: number): number {
    if (this.need === 0) {
      this.need = need;
      this.external = external;
    }
    return UNKNOWN;
  }

  /** The four merged groups of the outer rule, then the sets. */
  private merged(state: BlockState, node: number): number {
    const arena = this.arena;
    const sets = arena[node + 1] as number;
    const groups = node + 2 + sets;
    let present = 0;
    let satisfied = 0;
    for (let group = 0; group < GROUPS_MERGED; group++) {
      const offset = arena[groups + group] as number;
      if (offset === 0) continue;
      present |= 1 << group;
      // Nothing in these groups has to be looked up.
      if (this.evaluate(state, node + offset) === TRUE) satisfied |= 1 << group;
    }
    const needBefore = this.need;
    const externalBefore = this.external;
    let result = FALSE;
    for (let i = 0; i < sets; i++) {
      const one = this.matchesSet(arena[node + 2 + i] as number, present, satisfied);
      if (one === TRUE) {
        this.need = needBefore;
        this.external = externalBefore;
        return TRUE;
      }
      if (one === UNKNOWN) result = UNKNOWN;
    }
    return result;
  }

  /** Whether no rule of the set has conditions in one of these groups, as bits: then none of its rules can satisfy it. */
  private isLacking(at: number, groups: number): boolean {
    for (let group = 0; groups >>> group !== 0; group++) {
      if (((groups >>> group) & 1) === 1 && this.arena[at + BLOCK_HAS + group] === 0) return true;
    }
    return false;
  }

  private matchesSet(set: number, present: number, satisfied: number): number {
    const asked = (set << MERGED_BITS) | (present << GROUPS_MERGED) | satisfied;
    if (this.setQuestion[asked] === this.question) return this.setResult[asked] as number;
    const at = this.arena[this.at + SNAPSHOT_SETS_AT + set] as number;
    if (this.isLacking(at, present & ~satisfied)) return FALSE;
    if (this.arena[at + BLOCK_IS_PLAIN] === 1) {
      const isMet = ((satisfied >>> GROUP_DESTINATION) & 1) === 1 || this.set.isDestination(at, this.query);
      this.setQuestion[asked] = this.question;
      this.setResult[asked] = isMet ? TRUE : FALSE;
      return isMet ? TRUE : FALSE;
    }
    this.set.begin(at, this.query, satisfied);
    this.present = present;
    this.satisfied = satisfied;
    const needBefore = this.need;
    const externalBefore = this.external;
    const rule = this.first(this.set, 0, false);
    this.present = 0;
    this.satisfied = 0;
    if (rule === NEEDS) return UNKNOWN;
    this.need = needBefore;
    this.external = externalBefore;
    const result = rule === NO_RULE ? FALSE : TRUE;
    this.setQuestion[asked] = this.question;
    this.setResult[asked] = result;
    return result;
  }
}
