// A name is asked for by mail: by the dialling, or by a rule that wants its addresses. Owner worker only. It allocates, and
// it is not rare: every connection to a name costs a message to the control thread and its answer, also where the control
// thread has the name in its cache; a shared table that workers read in place is to replace that.

import { nextQuestion } from '../layout/facts.ts';
import { formatIp } from '../layout/ip-address.ts';
import { SLOT_WAITING } from '../layout/slot.ts';
import type { DataWorker } from './data-worker.ts';

/** Asks of a connection that has facts, and waits for `waitMs`. @param ipVersion PREFER_* or ONLY_* */
export function askName(
  w: DataWorker,
  slot: number,
  name: string,
  ipVersion: number,
  forRules: boolean,
  waitMs: number,
): void {
  w.table.setState(slot, SLOT_WAITING);
  w.mailbox.post({
    kind: 'resolve',
    slot,
    generation: w.table.generation(slot),
    forRules,
    question: nextQuestion(w.facts, slot),
    name,
    ipVersion,
    source: sourceText(w, slot),
  });
  w.reactor.wheel.arm(slot, (w.reactor.nowTick + waitMs) | 0);
}

/** The name that is the target: the record's where an operator wrote it, else the client's. */
export function targetName(w: DataWorker, slot: number): string {
  const target = w.table.targetIndex(slot);
  const { targets } = w.tables;
  const { facts } = w;
  const length = target >= 0 ? targets.textBytes(target) : facts.nameBytes(slot);
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) {
    const word = target >= 0 ? targets.text(target, i >> 2) : facts.name(slot, i >> 2);
    bytes[i] = (word >>> ((i & 3) * 8)) & 0xff;
  }
  return bytes.toString('utf8');
}

function sourceText(w: DataWorker, slot: number): string {
  const words = new Int32Array(4);
  for (let word = 0; word < 4; word++) words[word] = w.table.source(slot, word);
  return formatIp(words);
}
