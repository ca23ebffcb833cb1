// The path of a connection. This file alone knows the order of the stages; none of them knows another's.
//
//   listen ─► identify ─► admit ─► rules ─► outbound ─► (connected) ─► relay ─► retire
//               │  ▲               │  ▲         │  ▲
//               ▼  │ verified      ▼  │ known   ▼  │ resolved, connect outcome
//              WAITING            WAITING      WAITING, CONNECTING
//
// A stage takes a slot and answers CONTINUE, WAIT or a retire reason (> 0). Whatever the reason, the way out is
// `refuse` (which may say it to the client first) and then `retire`. Owner worker only; the entry points are the reactor's.

import {
  CLIENT_RESET,
  CREDENTIAL_REMOVED,
  HANDSHAKE_TIMEOUT,
  KERNEL_ERROR,
  NAME_FAILED,
  CONNECT_TIMEOUT,
} from '../layout/reasons.ts';
import { WAITS_FOR_NOTHING, WAITS_FOR_SNIFF } from '../layout/facts.ts';
import type { InboundDefinition } from '../layout/messages.ts';
import {
  CLIENT,
  SERVER,
  SLOT_CONNECTING,
  SLOT_ENDED,
  SLOT_HANDSHAKE,
  SLOT_LINGERING,
  SLOT_RELAYING,
  SLOT_RESETTING,
  SLOT_SILENT,
  SLOT_WAITING,
} from '../layout/slot.ts';
import { UNIDENTIFIED } from '../layout/source.ts';
import type { ReactorHandler } from '../reactor/reactor.ts';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from '../sys/constants.ts';
import { admit } from './admit.ts';
import { aim } from './aim.ts';
import { connected } from './connected.ts';
import type { DataWorker } from './data-worker.ts';
import { CONTINUE, ENDING, QUEUED, READABLE, STEP_FORWARD, URGENT, WAIT } from './flags.ts';
import { standAtSource } from './enroll.ts';
import { isCredentialCurrent } from './identify/credentials.ts';
import { firstStep, identify } from './identify/identify.ts';
import { linger } from './linger.ts';
import { acceptOne, learnCap, listenTimer, NONE_WAITING, registerClient, resumeListening } from './listen.ts';
import { connectOutcome, dialNext } from './outbound/dial.ts';
import { outbound } from './outbound/outbound.ts';
import { isStillDelivering, resettingEvent, resettingStep, whyStill } from './relay/ends.ts';
import { refuse } from './refuse.ts';
import { relayEvent, relayReady, startRelay } from './relay/relay.ts';
import { takeUrgentInline } from './relay/turn.ts';
import { dropCandidates, retire } from './retire.ts';
import { resumeInVain, resumeRules, rules, waitingRecord } from './rules/rules.ts';
import { sniffOn } from './rules/sniff.ts';
import { waitsFor } from './rules/suspend.ts';
import { whatWentStale } from './stale.ts';

/** The reactor's handler for a worker. `onMail` is called when the control thread has sent something. */
export function createPath(w: DataWorker, onMail: () => void): ReactorHandler {
  return {
    onListener: (index) => onListener(w, index),
    onConnection: (token, generation, mask) => onConnection(w, token, generation, mask),
    onReady: (slot) => onReady(w, slot),
    onDeadline: (timer) => onDeadline(w, timer),
    onWake: onMail,
    onSleep: (asleep) => w.row.setOffline(w.index, asleep ? 1 : 0),
  };
}

function onListener(w: DataWorker, index: number): void {
  const inbound = w.inbounds[index];
  // The event may be older than the mail that took the listener away, in the same batch.
  if (inbound === undefined || w.draining || w.stopped) return;
  const cap = w.acceptCaps[index] as number;
  for (let i = 0; i < inbound.listenFds.length; i++) {
    const listenFd = inbound.listenFds[i] as number;
    let accepted = 0;
    let isEmpty = false;
    while (accepted < cap && !isEmpty) {
      const slot = acceptOne(w, index, listenFd);
      if (slot === NONE_WAITING) isEmpty = true;
      else accepted++;
      if (slot >= 0) begin(w, slot, inbound);
    }
    learnCap(w, index, isEmpty);
  }
}

/** A new connection: registered and under a deadline before it may wait for anything. */
function begin(w: DataWorker, slot: number, inbound: InboundDefinition): void {
  const table = w.table;
  table.setInboundGeneration(slot, inbound.generation);
  const step = firstStep(w, slot, inbound);
  table.setStep(slot, step);
  if (registerClient(w, slot) < 0) {
    retire(w, slot, KERNEL_ERROR);
    return;
  }
  if (step === STEP_FORWARD) {
    // It is dialled, or a name is asked for, under a deadline of that.
    advance(w, slot);
    return;
  }
  const stands = standAtSource(w, slot, UNIDENTIFIED);
  if (stands !== CONTINUE) {
    retire(w, slot, stands);
    return;
  }
  // The client must speak first, which will raise an event.
  w.reactor.wheel.arm(slot, (w.reactor.nowTick + w.handshakeMs) | 0);
}

/** From the handshake to the dialling. */
export function advance(w: DataWorker, slot: number): void {
  let answer = identify(w, slot);
  // It may have waited for a message since its credential was looked at.
  if (answer === CONTINUE && !isCredentialCurrent(w, slot)) answer = CREDENTIAL_REMOVED;
  if (answer === CONTINUE) answer = admit(w, slot);
  if (answer === CONTINUE) {
    aim(w, slot);
    answer = rules(w, slot);
  }
  if (answer === CONTINUE) answer = outbound(w, slot);
  if (answer > 0) refuse(w, slot, answer);
}

/** Its rules waited for something (rules/suspend.ts) that is there now, or will not come. */
export function goOn(w: DataWorker, slot: number, isInVain: boolean): void {
  let answer = isInVain ? resumeInVain(w, slot) : resumeRules(w, slot);
  if (answer === CONTINUE) answer = outbound(w, slot);
  settle(w, slot, answer);
}

/** A connection that its rules have suspended has been given a reason to look. @returns whether it may go on */
export function mayGoOn(w: DataWorker, slot: number): boolean {
  const stale = whatWentStale(w, slot);
  if (stale !== 0) refuse(w, slot, stale);
  return stale === 0;
}

function onConnection(w: DataWorker, token: number, generation: number, mask: number): void {
  const slot = token >> 1;
  const side = token & 1;
  const table = w.table;
  // An event of this batch for a connection that an earlier one ended.
  if (table.generation(slot) !== generation) return;
  let reason = 0;
  switch (table.state(slot)) {
    case SLOT_RELAYING:
      reason = relayEvent(w, slot, side, mask);
      break;
    case SLOT_CONNECTING:
      connectingEvent(w, slot, side, mask);
      return;
    case SLOT_HANDSHAKE:
      note(w, slot, CLIENT, mask);
      if ((mask & EPOLLERR) !== 0) reason = CLIENT_RESET;
      else advance(w, slot);
      break;
    case SLOT_WAITING:
      note(w, slot, CLIENT, mask);
      // Not for HUP: a Unix socket raises it for a plain close, with bytes still to be read.
      if ((mask & EPOLLERR) !== 0) reason = CLIENT_RESET;
      else if (waitsFor(w, slot) === WAITS_FOR_SNIFF) sniffEvent(w, slot);
      break;
    case SLOT_SILENT:
      // Whoever has gone need not be kept waiting.
      if ((mask & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) !== 0) reason = table.reason(slot);
      break;
    case SLOT_RESETTING:
      reason = resettingEvent(w, slot, side, mask);
      break;
    case SLOT_LINGERING:
      reason = linger(w, slot);
      break;
  }
  if (reason > 0) retire(w, slot, reason);
}

/** The client has said something, and a rule looks at what it speaks. */
function sniffEvent(w: DataWorker, slot: number): void {
  if (!mayGoOn(w, slot)) return;
  const answer = sniffOn(w, slot, waitingRecord(w, slot));
  if (answer === CONTINUE) goOn(w, slot, false);
  else settle(w, slot, answer);
}

/** Keeps what an event said for the relay that has not begun. */
function note(w: DataWorker, slot: number, side: number, mask: number): void {
  let flags = w.table.flags(slot);
  if ((mask & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0) flags |= READABLE << side;
  if ((mask & EPOLLRDHUP) !== 0) flags |= ENDING << side;
  if ((mask & EPOLLPRI) !== 0) {
    flags |= URGENT << side;
    if (side === SERVER) takeUrgentInline(w, slot);
  }
  w.table.setFlags(slot, flags);
}

function connectingEvent(w: DataWorker, slot: number, side: number, mask: number): void {
  if (side === CLIENT) {
    note(w, slot, CLIENT, mask);
    if ((mask & EPOLLERR) !== 0) retire(w, slot, CLIENT_RESET);
    return;
  }
  if ((mask & (EPOLLERR | EPOLLHUP)) !== 0) {
    const outcome = connectOutcome(w, slot);
    if (outcome !== 0) {
      settle(w, slot, dialNext(w, slot, outcome));
      return;
    }
  } else if ((mask & EPOLLOUT) === 0) {
    return;
  }
  note(w, slot, SERVER, mask);
  dropCandidates(w, slot);
  const stale = whatWentStale(w, slot);
  if (stale === 0) {
    w.table.setConnectMs(slot, w.reactor.nowMs - w.table.startedMs(slot) - w.table.handshakeMs(slot));
  }
  const reason = stale !== 0 ? stale : connected(w, slot);
  if (reason !== 0) {
    refuse(w, slot, reason);
    return;
  }
  const ended = startRelay(w, slot);
  if (ended > 0) retire(w, slot, ended);
}

/** A stage's late answer. */
export function settle(w: DataWorker, slot: number, answer: number): void {
  if (answer !== WAIT && answer !== CONTINUE) refuse(w, slot, answer);
}

function onReady(w: DataWorker, slot: number): void {
  const table = w.table;
  table.setFlags(slot, table.flags(slot) & ~QUEUED);
  let reason = 0;
  switch (table.state(slot)) {
    case SLOT_RELAYING:
      reason = relayReady(w, slot);
      break;
    case SLOT_LINGERING:
      reason = linger(w, slot);
      break;
    case SLOT_RESETTING:
      reason = resettingStep(w, slot);
      break;
    case SLOT_ENDED:
      w.slots.recycle(slot);
      return;
  }
  if (reason > 0) retire(w, slot, reason);
}

function onDeadline(w: DataWorker, slot: number): void {
  const table = w.table;
  if (slot === listenTimer(w)) {
    resumeListening(w);
    return;
  }
  switch (table.state(slot)) {
    case SLOT_HANDSHAKE:
      refuse(w, slot, HANDSHAKE_TIMEOUT);
      return;
    case SLOT_WAITING:
      if (waitsFor(w, slot) !== WAITS_FOR_NOTHING) {
        if (mayGoOn(w, slot)) goOn(w, slot, true);
        return;
      }
      // With an outbound it is a name that was asked, else a password.
      refuse(w, slot, table.outbound(slot) >= 0 ? NAME_FAILED : HANDSHAKE_TIMEOUT);
      return;
    case SLOT_CONNECTING:
      settle(w, slot, dialNext(w, slot, CONNECT_TIMEOUT));
      return;
    case SLOT_RELAYING:
      if (!isStillDelivering(w, slot)) retire(w, slot, whyStill(table.flags(slot)));
      return;
    case SLOT_RESETTING: {
      const reason = resettingStep(w, slot);
      if (reason > 0) retire(w, slot, reason);
      return;
    }
    case SLOT_LINGERING:
    case SLOT_SILENT:
      retire(w, slot, table.reason(slot));
  }
}

/** Ends everything. */
export function endAll(w: DataWorker, reason: number): void {
  for (let slot = 0; slot < w.slots.touched; slot++) {
    if ((w.table.generation(slot) & 1) === 1) retire(w, slot, reason);
  }
}
