// The load generator's clock. Microseconds are too coarse for one connection's ping-pong (some 20 us), so times are
// ticks of 10 ns: 31 bits of them hold 21 s, more than any latency that a benchmark would quote.

export const TICKS_PER_MS = 100_000;
export const TICKS_PER_US = 100;

/** Monotonic, in ticks with a fraction. */
export function nowTicks(): number {
  return performance.now() * TICKS_PER_MS;
}
