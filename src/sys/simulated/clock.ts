// Virtual time, in microseconds, and what will happen at which moment: a binary heap ordered by time, then by the order
// of scheduling. Time moves only when somebody waits, and never backwards.

interface Happening {
  readonly atUs: number;
  readonly order: number;
  readonly run: () => void;
}

export class VirtualClock {
  nowUs: number;
  /** True while a happening runs: whoever is called from it must not wait. */
  running = false;
  private readonly heap: Happening[] = [];
  private scheduledCount = 0;

  constructor(startUs: number) {
    this.nowUs = startUs;
  }

  /** When the next thing happens; Infinity where nothing will. */
  get nextUs(): number {
    const first = this.heap[0];
    return first === undefined ? Infinity : first.atUs;
  }

  /** Runs `run` at `atUs`, or as soon as time moves where that has passed. */
  at(atUs: number, run: () => void): void {
    const heap = this.heap;
    const happening: Happening = { atUs: Math.max(atUs, this.nowUs), order: this.scheduledCount++, run };
    let index = heap.length;
    heap.push(happening);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Happening;
      if (!before(happening, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = happening;
  }

  /** Lets time pass up to `untilUs`, running what happens on the way. */
  runUntil(untilUs: number): void {
    if (this.running) throw new Error('a happening of the simulation tried to wait');
    this.running = true;
    try {
      while (this.nextUs <= untilUs) {
        const happening = this.takeFirst();
        this.nowUs = happening.atUs;
        happening.run();
      }
    } finally {
      this.running = false;
    }
    if (untilUs > this.nowUs) this.nowUs = untilUs;
  }

  private takeFirst(): Happening {
    const heap = this.heap;
    const first = heap[0] as Happening;
    const last = heap.pop() as Happening;
    const count = heap.length;
    if (count === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= count) break;
      if (child + 1 < count && before(heap[child + 1] as Happening, heap[child] as Happening)) child++;
      if (!before(heap[child] as Happening, last)) break;
      heap[index] = heap[child] as Happening;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function before(left: Happening, right: Happening): boolean {
  return left.atUs < right.atUs || (left.atUs === right.atUs && left.order < right.order);
}
