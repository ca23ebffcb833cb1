// When a load measures: after a warm-up (compilers settle, windows open), for a fixed time, and not beyond. At both ends
// the CPU time of the processes under test is read by the generator itself, so that the CPU belongs to exactly the
// operations that were counted.

import { ProcessorTime } from '../process/processor-time.ts';
import { nowTicks, TICKS_PER_MS } from './clock.ts';

export const WARMING = 0;
export const MEASURING = 1;
export const OVER = 2;

/** A load's end is looked at this often, or it would never end where nothing answers. */
export const WAIT_MS_MAX = 20;

export interface WindowTimes {
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Processes whose CPU time is read. */
  readonly pids: readonly number[];
}

export class Window {
  private readonly processor: ProcessorTime;
  private readonly warmTicks: number;
  private readonly measureTicks: number;
  private phase = WARMING;
  private startTicks = 0;
  private endTicks = 0;
  cpuNs = 0;

  constructor(times: WindowTimes) {
    this.processor = new ProcessorTime(times.pids);
    this.warmTicks = nowTicks() + times.warmupMs * TICKS_PER_MS;
    this.measureTicks = times.measureMs * TICKS_PER_MS;
  }

  /** To be asked once a turn. The caller starts its counts anew when the answer becomes MEASURING. */
  phaseAt(ticks: number): number {
    if (this.phase === WARMING && ticks >= this.warmTicks) this.begin();
    else if (this.phase === MEASURING && ticks >= this.startTicks + this.measureTicks) this.finish();
    return this.phase;
  }

  /** For loads that are bounded by a number of operations. */
  begin(): void {
    this.phase = MEASURING;
    this.processor.start();
    this.startTicks = nowTicks();
  }

  finish(): void {
    this.endTicks = nowTicks();
    this.cpuNs = this.processor.stop();
    this.phase = OVER;
  }

  get seconds(): number {
    return (this.endTicks - this.startTicks) / TICKS_PER_MS / 1000;
  }
}
