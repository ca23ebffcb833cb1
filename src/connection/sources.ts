// One worker's way to the shared source entries: which entry a connection belongs to, new entries, and those that nobody
// holds any more. Owner worker only; what is shared is layout/source-index.ts.
//
// New entries are those that the control thread has given to use again, else those that nobody has used yet. Released ones
// go into a ring, from which the control thread takes them out: that a source is gone costs a worker one word.

import { maskWord } from '../layout/network-set.ts';
import type { ServiceTable } from '../layout/service.ts';
import type { SlotTable } from '../layout/slot.ts';
import { NO_ENTRY, SourceIndex } from '../layout/source-index.ts';
import type { EntrySupply } from '../layout/source-index.ts';
import { addressBits } from '../layout/source.ts';
import type { Tables } from '../layout/tables.ts';
import type { MachineTable } from '../layout/worker.ts';
import type { Ring } from '../memory/ring.ts';

export class Sources implements EntrySupply {
  private readonly index: SourceIndex;
  private readonly services: ServiceTable;
  private readonly slots: SlotTable;
  private readonly machine: MachineTable;
  private readonly supply: Ring;
  private readonly released: Ring;
  private readonly entriesMax: number;
  /** Taken and not used, because another worker was faster. Two at most: an entry brings one for its address. */
  private spare = NO_ENTRY;
  private secondSpare = NO_ENTRY;

  constructor(tables: Tables, worker: number) {
    const slots = tables.slots[worker];
    const supply = tables.supplies[worker];
    const released = tables.released[worker];
    if (slots === undefined || supply === undefined || released === undefined) {
      throw new RangeError(`there is no worker ${worker}`);
    }
    this.index = new SourceIndex(tables.sources, tables.sourceBuckets, tables.shared.hashKey);
    this.services = tables.services;
    this.slots = slots;
    this.machine = tables.machine;
    this.supply = supply;
    this.released = released;
    this.entriesMax = tables.shared.limits.sources;
  }

  /** Holds the entry of a connection's service and source. @returns it, or NO_ENTRY where the table is full */
  hold(slot: number, service: number): number {
    const slots = this.slots;
    const a0 = slots.source(slot, 0);
    const a1 = slots.source(slot, 1);
    const a2 = slots.source(slot, 2);
    const a3 = slots.source(slot, 3);
    const bits = addressBits(this.services, service, a0, a1, a2);
    return this.index.hold(
      this,
      service,
      a0 & maskWord(bits),
      a1 & maskWord(bits - 32),
      a2 & maskWord(bits - 64),
      a3 & maskWord(bits - 96),
    );
  }

  release(entry: number): void {
    // Each entry is in one ring at most, and each ring has room for all.
    if (this.index.release(entry) && !this.released.push(entry))
      throw new Error('a ring of released entries is full');
  }

  take(): number {
    const spare = this.spare;
    if (spare !== NO_ENTRY) {
      this.spare = this.secondSpare;
      this.secondSpare = NO_ENTRY;
      return spare;
    }
    if (this.supply.count > 0) return this.supply.shift();
    let touched = this.machine.sourcesTouched(0);
    while (touched < this.entriesMax) {
      const was = this.machine.swapSourcesTouched(0, touched, touched + 1);
      if (was === touched) return touched;
      touched = was;
    }
    return NO_ENTRY;
  }

  keep(entry: number): void {
    this.secondSpare = this.spare;
    this.spare = entry;
  }
}
