// Deadlines of one worker: a hierarchical timing wheel of 1 ms ticks, one timer a slot, and a few more for the worker
// itself. Owner worker only.
//
// Two facts shape it. Almost every deadline is moved before it is due (each byte postpones an idle time-out), so moving
// one later is a single store: the timer stays in its bucket, and when the bucket comes up the wheel looks at the
// deadline and files the timer anew. And no deadline needs precision while it is far away: a timer lies in a bucket that
// comes up no later than its deadline, in ever finer levels, so that it fires at its very tick after at most LEVELS - 1
// refilings.
//
//   level 0   64 buckets of 1 ms          timers due within 64 ms
//   level 1   64 buckets of 8 ms          within 512 ms
//   level n   64 buckets of 8^n ms        within 64 * 8^n ms (level 7: 37 h)
//
// Each bucket is a ring through `next` and `previous`. Ticks are int32 and compared with wrap-around: they last for
// 24 days, and no deadline is further away than DELAY_MS_MAX.
// @source Varghese and Lauck, "Hashed and Hierarchical Timing Wheels"; the Linux kernel's non-cascading wheel (kernel/time/timer.c)

const LEVELS = 8;
const BUCKET_BITS = 6;
const BUCKETS = 1 << BUCKET_BITS;
const BUCKET_MASK = BUCKETS - 1;
/** Bits by which a level is coarser than the one below. */
const LEVEL_SHIFT = 3;
const NONE = -1;

/** The longest delay, in ms: about 37 hours. A longer one is cut to it. */
export const DELAY_MS_MAX = (BUCKETS - 1) << ((LEVELS - 1) * LEVEL_SHIFT);

/** Called with the timer's index when its deadline is reached; it may arm any timer, this one included. */
export type OnDue = (timer: number) => void;

export class TimerWheel {
  /** Where the wheel stands: every tick before it has been run. */
  private clock: number;
  private readonly due: Int32Array;
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  /** Bucket a timer lies in, or NONE; and the tick at which that bucket comes up. */
  private readonly bucket: Int32Array;
  private readonly comesUp: Int32Array;
  private readonly heads: Int32Array;
  private armedCount = 0;
  /** No bucket that holds a timer comes up before this tick; meaningless while `wakeKnown` is false. */
  private wake = 0;
  private wakeKnown = false;

  /** @param timersMax timers are [0, timersMax); @param nowTick the clock now */
  constructor(timersMax: number, nowTick: number) {
    this.clock = nowTick | 0;
    this.due = new Int32Array(timersMax);
    this.next = new Int32Array(timersMax);
    this.previous = new Int32Array(timersMax);
    this.bucket = new Int32Array(timersMax).fill(NONE);
    this.comesUp = new Int32Array(timersMax);
    this.heads = new Int32Array(LEVELS * BUCKETS).fill(NONE);
  }

  /** Timers that wait. */
  get armed(): number {
    return this.armedCount;
  }

  /** The deadline of an armed timer, in ticks. */
  deadline(timer: number): number {
    return this.due[timer] as number;
  }

  isArmed(timer: number): boolean {
    return this.bucket[timer] !== NONE;
  }

  /**
   * Sets the deadline, whether or not the timer is armed. Later than before: one store. A deadline that is not ahead
   * fires at the next tick.
   */
  arm(timer: number, dueTick: number): void {
    this.due[timer] = dueTick;
    if (this.bucket[timer] !== NONE) {
      if (((dueTick - (this.comesUp[timer] as number)) | 0) >= 0) return;
      this.unlink(timer);
    } else {
      this.armedCount++;
    }
    this.file(timer);
  }

  cancel(timer: number): void {
    if (this.bucket[timer] === NONE) return;
    this.unlink(timer);
    this.armedCount--;
  }

  /**
   * Runs everything that is due at `nowTick`, `firesMax` deadlines at most; the rest follows at the next call.
   * @returns number of deadlines that were reached
   */
  advance(nowTick: number, onDue: OnDue, firesMax: number): number {
    let fired = 0;
    if (this.armedCount === 0 || (this.wakeKnown && ((this.wake - nowTick) | 0) > 0)) {
      if (((nowTick - this.clock) | 0) >= 0) this.clock = (nowTick + 1) | 0;
      return 0;
    }
    this.wakeKnown = false;
    while (((nowTick - this.clock) | 0) >= 0) {
      const clock = this.clock;
      // A level's bucket comes up when the clock is a multiple of the level's step. The coarse levels go first: what
      // they refile, or what a deadline arms for this very tick, lies in a finer level that is still to come.
      let level = LEVELS - 1;
      while (level > 0 && (clock & ((1 << (level * LEVEL_SHIFT)) - 1)) !== 0) level--;
      for (; level >= 0; level--) {
        const shift = level * LEVEL_SHIFT;
        const head = level * BUCKETS + ((clock >>> shift) & BUCKET_MASK);
        let timer = this.heads[head] as number;
        while (timer !== NONE) {
          if (fired >= firesMax) return fired;
          this.unlink(timer);
          if ((((this.due[timer] as number) - clock) | 0) > 0) {
            this.file(timer);
          } else {
            this.armedCount--;
            fired++;
            onDue(timer);
          }
          timer = this.heads[head] as number;
        }
      }
      this.clock = this.armedCount === 0 ? (nowTick + 1) | 0 : (clock + 1) | 0;
    }
    return fired;
  }

  /**
   * Milliseconds until the next bucket that holds a timer, at most `capMs`: how long the loop may sleep. Never too
   * long; it may be too short by what a timer was moved later or cancelled.
   */
  sleepMs(nowTick: number, capMs: number): number {
    if (this.armedCount === 0) return capMs;
    if (!this.wakeKnown) {
      this.wake = this.nextBucketTick();
      this.wakeKnown = true;
    }
    const delay = (this.wake - nowTick) | 0;
    return delay <= 0 ? 0 : delay < capMs ? delay : capMs;
  }

  private nextBucketTick(): number {
    let nearest = DELAY_MS_MAX;
    for (let level = 0; level < LEVELS; level++) {
      const shift = level * LEVEL_SHIFT;
      const step = 1 << shift;
      // The first tick >= clock at which a bucket of this level comes up.
      const first = (this.clock + step - 1) & ~(step - 1);
      const untilFirst = (first - this.clock) | 0;
      if (untilFirst >= nearest) break;
      for (let index = 0; index < BUCKETS; index++) {
        const delay = untilFirst + index * step;
        if (delay >= nearest) break;
        if (this.heads[level * BUCKETS + (((first >>> shift) + index) & BUCKET_MASK)] !== NONE) {
          nearest = delay;
          break;
        }
      }
    }
    return (this.clock + nearest) | 0;
  }

  private file(timer: number): void {
    const clock = this.clock;
    let delay = ((this.due[timer] as number) - clock) | 0;
    if (delay < 0) delay = 0;
    if (delay > DELAY_MS_MAX) delay = DELAY_MS_MAX;
    const due = (clock + delay) | 0;
    let level = 0;
    let shift = 0;
    while (level < LEVELS - 1 && delay >= BUCKETS << shift) {
      level++;
      shift += LEVEL_SHIFT;
    }
    // Rounded down: the bucket comes up at or before the deadline. A bucket whose tick lies behind would wait for a
    // whole turn of the level, so such a timer goes one level down, where its tick lies ahead.
    let comesUp = due & ~((1 << shift) - 1);
    while (((comesUp - clock) | 0) < 0) {
      level--;
      shift -= LEVEL_SHIFT;
      comesUp = due & ~((1 << shift) - 1);
    }
    const head = level * BUCKETS + ((comesUp >>> shift) & BUCKET_MASK);
    this.bucket[timer] = head;
    this.comesUp[timer] = comesUp;
    if (this.wakeKnown && ((comesUp - this.wake) | 0) < 0) this.wake = comesUp;
    const first = this.heads[head] as number;
    this.next[timer] = first;
    this.previous[timer] = NONE;
    if (first !== NONE) this.previous[first] = timer;
    this.heads[head] = timer;
  }

  private unlink(timer: number): void {
    const next = this.next[timer] as number;
    const previous = this.previous[timer] as number;
    if (previous === NONE) this.heads[this.bucket[timer] as number] = next;
    else this.next[previous] = next;
    if (next !== NONE) this.previous[next] = previous;
    this.bucket[timer] = NONE;
  }
}
