// Repeatable randomness for what the works of rules are made of.

export interface Random {
  /** A whole number in [0, below). */
  below(below: number): number;
  /** True with this probability, in thousandths. */
  isIn(thousandths: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
}

/** @source Marsaglia, Xorshift RNGs (2003) */
export function createRandom(seed: number): Random {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  const below = (bound: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
  return {
    below,
    isIn: (thousandths) => below(1000) < thousandths,
    pick: (items) => items[below(items.length)] as (typeof items)[number],
  };
}
