// The pipes of a worker, for directions that are spliced. A pipe is two descriptors of the shared budget; it is made
// when a direction has proved to be bulk, kept for the next one up to IDLE_PIPES_MAX, and listed in shared memory, so that the
// control thread can close what a dead worker held. No pipe to be had is not an error: the direction is copied.
// Owner worker only.

import type { PipeTable, WorkerTable } from '../../layout/worker.ts';
import type { DescriptorBudget } from '../../reactor/descriptor-budget.ts';
import { F_SETPIPE_SZ } from '../../sys/constants.ts';
import type { Sys } from '../../sys/sys.ts';

/** Asked of the kernel; it may give less to users without CAP_SYS_RESOURCE, and that is fine. */
export const PIPE_BYTES = 1024 * 1024;
const IDLE_PIPES_MAX = 16;
const NONE = -1;

export class Pipes {
  private readonly sys: Sys;
  private readonly table: PipeTable;
  private readonly budget: DescriptorBudget;
  private readonly workers: WorkerTable;
  private readonly worker: number;
  private readonly ends: Int32Array;
  private readonly endsAddress: number;
  private idle = NONE;
  private idleCount = 0;
  /** Records without descriptors. */
  private blank = NONE;

  constructor(sys: Sys, table: PipeTable, budget: DescriptorBudget, workers: WorkerTable, worker: number) {
    this.sys = sys;
    this.table = table;
    this.budget = budget;
    this.workers = workers;
    this.worker = worker;
    this.ends = new Int32Array(new ArrayBuffer(8));
    this.endsAddress = sys.addressOf(new Uint8Array(this.ends.buffer));
    for (let pipe = table.count - 1; pipe >= 0; pipe--) {
      table.setReadFd(pipe, NONE);
      table.setWriteFd(pipe, NONE);
      table.setNext(pipe, this.blank);
      this.blank = pipe;
    }
  }

  readFd(pipe: number): number {
    return this.table.readFd(pipe);
  }

  writeFd(pipe: number): number {
    return this.table.writeFd(pipe);
  }

  /** @returns an empty pipe, or -1 where the table, the budget or the kernel has none */
  take(): number {
    const table = this.table;
    const idle = this.idle;
    if (idle !== NONE) {
      this.idle = table.next(idle);
      this.idleCount--;
      return idle;
    }
    const pipe = this.blank;
    if (pipe === NONE || !this.budget.take(2)) return NONE;
    if (this.sys.pipe(this.endsAddress) < 0) {
      this.budget.give(2);
      return NONE;
    }
    this.blank = table.next(pipe);
    table.setReadFd(pipe, this.ends[0] as number);
    table.setWriteFd(pipe, this.ends[1] as number);
    this.sys.fcntl(this.ends[1] as number, F_SETPIPE_SZ, PIPE_BYTES);
    this.workers.addPipesOpen(this.worker, 1);
    return pipe;
  }

  /** Gives a pipe back. One that still holds bytes is closed: they were for a connection that is over. */
  release(pipe: number, isEmpty: boolean): void {
    const table = this.table;
    if (isEmpty && this.idleCount < IDLE_PIPES_MAX) {
      table.setNext(pipe, this.idle);
      this.idle = pipe;
      this.idleCount++;
      return;
    }
    this.sys.close(table.readFd(pipe));
    this.sys.close(table.writeFd(pipe));
    table.setReadFd(pipe, NONE);
    table.setWriteFd(pipe, NONE);
    table.setNext(pipe, this.blank);
    this.blank = pipe;
    this.budget.give(2);
    this.workers.addPipesOpen(this.worker, -1);
  }

  /** Closes the idle ones, at the worker's end. */
  closeIdle(): void {
    while (this.idle !== NONE) {
      const pipe = this.idle;
      this.idle = this.table.next(pipe);
      this.idleCount = IDLE_PIPES_MAX;
      this.release(pipe, false);
    }
    this.idleCount = 0;
  }
}
