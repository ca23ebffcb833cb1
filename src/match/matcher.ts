// The matcher: which rule of a snapshot is the first that matches. Reads the arena in place, allocates nothing, waits for
// nothing: where a rule needs what is not known yet it says so, and goes on at that rule when it is asked again.

import type { Query } from './query.ts';

/** No rule matches. */
export const NO_RULE = -1;
/** `rule` needs metadata: `need`, and of judgements `external`. */
export const NEEDS = -2;

export class Matcher {
  /** Of the last answer. */
  rule = NO_RULE;
  need = 0;
  external = -1;
  readonly arena: Int32Array;
  readonly seed: number;

  /**
   * @param arena  the arena of rules
   * @param seed   of domain tables (RULE_DOMAIN_SEED_KEY)
   */
  constructor(arena: Int32Array, seed: number) {
    this.arena = arena;
    this.seed = seed;
  }

  /**
   * The first rule from `from` on that matches.
   * @param at where the snapshot begins
   * @returns its number (>= 0), NO_RULE or NEEDS
   */
  match(at: number, query: Query, from: number): number {
    throw new Error(`not built yet: ${at} ${query.port} ${from} ${this.arena.length}`);
  }
}
