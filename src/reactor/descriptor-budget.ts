// The descriptors that workers may hold, as one number for all of them: a connection reserves what it may need before
// it is accepted, so that the process never runs into the kernel's limit in the middle of a connection. One
// atomic addition an admission. What a worker has taken is kept in its row, and given back by the control thread if it dies.

import type { MachineTable, WorkerTable } from '../layout/worker.ts';

export class DescriptorBudget {
  private readonly machine: MachineTable;
  private readonly workers: WorkerTable;
  private readonly worker: number;

  constructor(machine: MachineTable, workers: WorkerTable, worker: number) {
    this.machine = machine;
    this.workers = workers;
    this.worker = worker;
  }

  /** Reserves `count` descriptors. @returns false at the bound; nothing is reserved then */
  take(count: number): boolean {
    if (this.machine.addDescriptors(0, count) + count > this.machine.descriptorsMax(0)) {
      this.machine.addDescriptors(0, -count);
      return false;
    }
    this.workers.addDescriptors(this.worker, count);
    return true;
  }

  give(count: number): void {
    this.workers.addDescriptors(this.worker, -count);
    this.machine.addDescriptors(0, -count);
  }
}
