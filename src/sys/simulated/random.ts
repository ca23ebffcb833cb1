// The simulation's only source of chance: a small seeded generator (mulberry32), so that a seed repeats a run exactly.
// @source Tommy Ettinger, mulberry32 (public domain)

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** A whole number in [0, bound). */
  below(bound: number): number;
  /** True with this probability; draws nothing for 0, so that runs without faults cost nothing. */
  chance(probability: number): boolean;
}

export function createRandom(seed: number): Random {
  let state = seed | 0;

  function next(): number {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  return {
    next,
    below: (bound) => Math.floor(next() * bound),
    chance: (probability) => probability > 0 && next() < probability,
  };
}
