// Whether a worker that has nothing to do looks again for a moment before it sleeps. A sleep costs CPU too (going, being
// woken, by an interrupt to an idle core at worst), and latency; but what comes during a sleep is served by one wake-up, and
// a look that finds nothing was for nothing. Which is cheaper depends on the machine and on the traffic, so it is measured:
// CPU of this thread an event, in windows of WINDOW_EVENTS events, of both ways. The cheaper one is used; the other one
// gets a window in WINDOWS_BETWEEN_TRIALS, so that a change is noticed. (Seen: a ping-pong on one connection costs less
// spinning, and its p50 falls to 0.4; 100 connections at half load cost half as much again, and sleep.)
// Owner worker only; allocates nothing after construction.

const WINDOW_EVENTS = 256;
const WINDOWS_BETWEEN_TRIALS = 16;
const SLEEPS = 0;
const SPINS = 1;

export class SpinPolicy {
  private mode = SLEEPS;
  private events = 0;
  private windowsUntilTrial = 1;
  private startedUs: number;
  /** CPU in microseconds an event, of the last window of each mode; 0 before the first. */
  private readonly costs = new Float64Array(2);

  /** @param cpuUs CPU that this thread has used */
  constructor(cpuUs: number) {
    this.startedUs = cpuUs;
  }

  /** Whether to look again before this sleep. */
  get spins(): boolean {
    return this.mode === SPINS;
  }

  /** Counts what a turn has served. @returns whether the window is full: `close` is due */
  count(events: number): boolean {
    this.events += events;
    return this.events >= WINDOW_EVENTS;
  }

  /** Ends a window and chooses the way of the next. @param cpuUs CPU that this thread has used */
  close(cpuUs: number): void {
    this.costs[this.mode] = (cpuUs - this.startedUs) / this.events;
    this.startedUs = cpuUs;
    this.events = 0;
    const cheaper = (this.costs[SPINS] as number) < (this.costs[SLEEPS] as number) ? SPINS : SLEEPS;
    this.windowsUntilTrial--;
    if (this.windowsUntilTrial > 0) {
      this.mode = cheaper;
    } else {
      this.windowsUntilTrial = WINDOWS_BETWEEN_TRIALS;
      this.mode = 1 - cheaper;
    }
  }
}
