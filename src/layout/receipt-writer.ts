// Writes receipts: what is kept of a connection that ended, one record into its worker's ring, from which the keeper thread
// takes it. A full ring drops the record and counts it. Used by the worker, and for a dead one by the control thread.

import type { ReceiptTable } from './receipt.ts';
import { DOWN, UP } from './slot.ts';
import type { SlotTable } from './slot.ts';
import type { Tables } from './tables.ts';
import { RECEIPTS_WHOLE } from './worker.ts';
import type { MachineTable, WorkerTable } from './worker.ts';
import type { Ring } from '../memory/ring.ts';

export class ReceiptWriter {
  private readonly machine: MachineTable;
  private readonly workers: WorkerTable;
  private readonly worker: number;
  private readonly slots: SlotTable;
  private readonly table: ReceiptTable;
  private readonly ring: Ring;
  /** What the ends since the last one that was written down add up to, of RECEIPTS_WHOLE. */
  private due = 0;

  constructor(tables: Tables, worker: number) {
    const slots = tables.slots[worker];
    const table = tables.receipts[worker];
    const ring = tables.receiptRings[worker];
    if (slots === undefined || table === undefined || ring === undefined) {
      throw new RangeError(`there is no worker ${worker}`);
    }
    this.machine = tables.machine;
    this.workers = tables.workers;
    this.worker = worker;
    this.slots = slots;
    this.table = table;
    this.ring = ring;
  }

  /** Writes the receipt of `slot`, all of whose words are still there, if receipts are wanted. */
  write(slot: number, nowMs: number, reason: number, eviction: number): void {
    if (this.machine.receipts(0) === 0) return;
    this.due += this.machine.receiptsShare(0);
    if (this.due < RECEIPTS_WHOLE) return;
    this.due -= RECEIPTS_WHOLE;
    const record = this.ring.claim();
    if (record < 0) {
      this.workers.addReceiptsDropped(this.worker, 1);
      return;
    }
    this.fill(record, slot, nowMs, reason, eviction);
    this.ring.publish();
  }

  private fill(record: number, slot: number, nowMs: number, reason: number, eviction: number): void {
    const { slots, table } = this;
    table.setStartedMs(record, slots.startedMs(slot));
    table.setTotalMs(record, nowMs - slots.startedMs(slot));
    table.setUpBytes(record, slots.bytes(slot, UP));
    table.setDownBytes(record, slots.bytes(slot, DOWN));
    table.setSlot(record, slot);
    table.setGeneration(record, slots.generation(slot));
    table.setInbound(record, slots.inbound(slot));
    table.setInboundGeneration(record, slots.inboundGeneration(slot));
    table.setService(record, slots.service(slot));
    table.setServiceGeneration(record, slots.serviceGeneration(slot));
    table.setCredential(record, slots.credential(slot));
    table.setCredentialGeneration(record, slots.credentialGeneration(slot));
    table.setOutbound(record, slots.outbound(slot));
    table.setOutboundGeneration(record, slots.outboundGeneration(slot));
    table.setRule(record, slots.rule(slot));
    table.setSnapshot(record, slots.snapshot(slot));
    for (let word = 0; word < 4; word++) {
      table.setSource(record, word, slots.source(slot, word));
      table.setTarget(record, word, slots.target(slot, word));
    }
    table.setSourcePort(record, slots.sourcePort(slot));
    table.setTargetPort(record, slots.targetPort(slot));
    table.setTargetIndex(record, slots.targetIndex(slot));
    table.setTargetGeneration(record, slots.targetGeneration(slot));
    // Nothing waits in a gate: it lets pass or refuses at once.
    table.setGateMs(record, 0);
    table.setHandshakeMs(record, slots.handshakeMs(slot));
    table.setConnectMs(record, slots.connectMs(slot));
    table.setReason(record, reason);
    table.setEviction(record, eviction);
  }
}
