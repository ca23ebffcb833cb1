// What the control thread answers, often to connections that have gone by then, or wait for something else: a late answer
// changes nothing. Owner worker only; called between two batches of events (mail.ts).

import { WAITS_FOR_NOTHING, WAITS_FOR_RESOLUTION } from '../layout/facts.ts';
import type { ControlMessage } from '../layout/messages.ts';
import { SLOT_HANDSHAKE, SLOT_WAITING } from '../layout/slot.ts';
import type { DataWorker } from './data-worker.ts';
import { dialResolved } from './outbound/outbound.ts';
import { advance, goOn, mayGoOn, settle } from './path.ts';
import { refuse } from './refuse.ts';
import { takeAddresses } from './rules/resolve.ts';
import { takeAnswer, waitsFor } from './rules/suspend.ts';
import { whatWentStale } from './stale.ts';

/** A name has been looked up: for the dialling, or for a rule. */
export function onResolved(w: DataWorker, answer: Extract<ControlMessage, { kind: 'resolved' }>): void {
  const { slot, generation, addresses, reason, question } = answer;
  if (!isWaiting(w, slot, generation)) return;
  if (question !== undefined && question !== w.facts.question(slot)) return;
  const waits = waitsFor(w, slot);
  if (answer.forRules === true) {
    if (waits !== WAITS_FOR_RESOLUTION || !mayGoOn(w, slot)) return;
    takeAddresses(w, slot, addresses);
    goOn(w, slot, false);
    return;
  }
  // Nobody dials yet.
  if (waits !== WAITS_FOR_NOTHING) return;
  const stale = whatWentStale(w, slot);
  settle(w, slot, stale !== 0 ? stale : dialResolved(w, slot, addresses, reason));
}

/** The control thread has found out what a rule wanted to know, or could not. */
export function onLookedUp(w: DataWorker, answer: Extract<ControlMessage, { kind: 'looked_up' }>): void {
  const { slot, generation } = answer;
  if (!isWaiting(w, slot, generation) || !takeAnswer(w, slot, answer)) return;
  if (mayGoOn(w, slot)) goOn(w, slot, false);
}

/** The control thread has judged a password: the handshake goes on at the same step, where the proof is now known. */
export function onVerified(w: DataWorker, slot: number, generation: number, reason: number): void {
  if (!isWaiting(w, slot, generation)) return;
  w.table.setState(slot, SLOT_HANDSHAKE);
  if (reason !== 0) refuse(w, slot, reason);
  else advance(w, slot);
}

function isWaiting(w: DataWorker, slot: number, generation: number): boolean {
  return w.slots.isLive(slot, generation) && w.table.state(slot) === SLOT_WAITING;
}
