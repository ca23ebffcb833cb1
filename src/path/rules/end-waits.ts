// Connections that wait in rules which are no longer in force, while there is hardly room for more of those: they start over in
// the rules in force, and wait there if they have to. Nobody is let through or refused for it. Owner worker only.

import { unpin, WAITS_FOR_NOTHING } from '../../layout/facts.ts';
import { SLOT_WAITING } from '../../layout/slot.ts';
import type { DataWorker } from '../data-worker.ts';
import { goOn, mayGoOn } from '../path.ts';
import { waitsFor } from './suspend.ts';

/** @param connections slot and generation of each */
export function endWaits(w: DataWorker, connections: Int32Array): void {
  for (let at = 0; at < connections.length; at += 2)
    startOver(w, connections[at] as number, connections[at + 1] as number);
}

function startOver(w: DataWorker, slot: number, generation: number): void {
  const { facts, tables } = w;
  if (!w.slots.isLive(slot, generation) || w.table.state(slot) !== SLOT_WAITING) return;
  const inForce = tables.machine.snapshot(0);
  if (inForce === 0 || waitsFor(w, slot) === WAITS_FOR_NOTHING || facts.pinned(slot) === inForce) return;
  if (!mayGoOn(w, slot)) return;
  // An answer to what it asked before is not taken any more: it asks anew.
  unpin(facts, tables.snapshots, slot);
  tables.snapshots.addPins(inForce - 1, 1);
  facts.setPinned(slot, inForce);
  facts.setCursor(slot, 0);
  goOn(w, slot, false);
}
