// What the control thread tells a worker, carried out between two batches of events, so that a plan takes effect for
// all connections of the worker at one moment. Owner worker only; rare, so it may allocate.

import { isDeepStrictEqual } from 'node:util';
import type { ControlMessage, InboundDefinition, Plan } from '../layout/messages.ts';
import { WORKER_DRAINING } from '../layout/worker.ts';
import type { DataWorker } from './data-worker.ts';
import { createOutbound } from './outbound/objects.ts';
import { cancelEviction, startEviction } from './evict.ts';
import { onLookedUp, onResolved, onVerified } from './answers.ts';
import { endAll } from './path.ts';
import { endWaits } from './rules/end-waits.ts';

/** Reads the mailbox empty. */
export function readMail(w: DataWorker): void {
  w.row.setMail(w.index, 0);
  for (let message = w.mailbox.receive(); message !== undefined; message = w.mailbox.receive()) {
    carryOut(w, message);
  }
}

function carryOut(w: DataWorker, message: ControlMessage): void {
  switch (message.kind) {
    case 'plan':
      applyPlan(w, message.plan);
      return;
    case 'resolved':
      onResolved(w, message);
      return;
    case 'looked_up':
      onLookedUp(w, message);
      return;
    case 'verified':
      onVerified(w, message.slot, message.generation, message.reason);
      return;
    case 'drain':
      w.draining = true;
      stopListening(w);
      w.row.setLife(w.index, WORKER_DRAINING);
      return;
    case 'stop':
      stopListening(w);
      endAll(w, message.reason);
      w.stopped = true;
      return;
    case 'evict':
      startEviction(w, message.job);
      return;
    case 'cancel_eviction':
      cancelEviction(w, message.id);
      return;
    case 'end_waits':
      endWaits(w, message.connections);
      return;
    case 'fail':
      throw new Error('told to fail');
  }
}

/** Takes over a plan. What contradicts it is ended afterwards, by a reconciliation (evict.ts). */
export function applyPlan(w: DataWorker, plan: Plan): void {
  const before = w.inbounds.slice();
  w.inbounds.length = 0;
  for (const inbound of plan.inbounds) w.inbounds[inbound.index] = ownInbound(inbound);
  const outboundsBefore = w.outbounds.slice();
  w.outbounds.length = 0;
  for (const definition of plan.outbounds) {
    const old = outboundsBefore[definition.index];
    const isSame = old !== undefined && isDeepStrictEqual(old.definition, definition);
    w.outbounds[definition.index] = isSame ? old : createOutbound(w.sys, definition);
  }
  w.final = plan.final;
  w.handshakeMs = plan.handshakeMs;
  w.connectMs = plan.connectMs;
  w.idleMs = plan.idleMs;
  w.halfCloseMs = plan.halfCloseMs;
  w.ownListeners = Int32Array.from(plan.ownListeners);
  w.localAddresses = Int32Array.from(plan.localAddresses);
  if (!w.draining) moveListeners(w, before);
  w.row.setPlan(w.index, plan.version);
}

/**
 * The worker's own copy, made in one place: what a mailbox delivers has another hidden class than what the warm-up made,
 * and all that was compiled for the one would be thrown away at the first connection that meets the other.
 */
function ownInbound(inbound: InboundDefinition): InboundDefinition {
  const listenFds: number[] = [];
  for (const fd of inbound.listenFds) listenFds.push(fd);
  return {
    index: inbound.index,
    generation: inbound.generation,
    type: inbound.type,
    tagHash: inbound.tagHash,
    listenFds,
    service: inbound.service,
    target: inbound.target,
    sendProxy: inbound.sendProxy,
    acceptProxyFrom: inbound.acceptProxyFrom,
  };
}

/** A listening socket that two plans share is not touched but for its index. */
function moveListeners(w: DataWorker, before: DataWorker['inbounds']): void {
  const held = new Map<number, number>();
  for (const inbound of before) for (const fd of inbound?.listenFds ?? []) held.set(fd, inbound?.index ?? -1);
  const wanted = new Map<number, number>();
  for (const inbound of w.inbounds)
    for (const fd of inbound?.listenFds ?? []) wanted.set(fd, inbound?.index ?? -1);
  for (const [fd, index] of held) if (wanted.get(fd) !== index) w.reactor.removeListener(fd);
  for (const [fd, index] of wanted) {
    if (held.get(fd) === index) continue;
    const added = w.reactor.addListener(fd, index);
    if (added < 0) throw new Error(`listening descriptor ${fd} can't be polled: errno ${-added}`);
  }
}

function stopListening(w: DataWorker): void {
  for (const inbound of w.inbounds) for (const fd of inbound?.listenFds ?? []) w.reactor.removeListener(fd);
}
