// Listen: takes connections off a listening socket into slots, or refuses them. Owner worker only.
//
// The listening socket is level-triggered, so an accept that is capped, or fails, loses no wake-up. How many a wake-up
// takes is learnt: as long as the queue turns out to be longer the cap doubles, and a wake-up that met an empty
// queue halves it, because the accept4 that finds nothing costs as much as half a connection's receive.
//
// At a bound a connection is accepted and reset at once: left in the queue it would wake the loop for ever and time
// out at the client. When the kernel itself has no descriptor left, a spare one is given up for the moment that takes.
// Where that does not help either (the spare is gone, or memory is short) the queue can't be shortened, and the listener
// would wake the loop for ever: all listeners leave epoll for PAUSE_MS, and clients wait in the queues meanwhile.

import { DESCRIPTORS_EXHAUSTED, SLOTS_EXHAUSTED } from '../layout/reasons.ts';
import { LIST_INBOUND } from '../layout/lists.ts';
import { CLIENT, SERVER, SLOT_HANDSHAKE } from '../layout/slot.ts';
import {
  EAGAIN,
  ECONNABORTED,
  EEXIST,
  EINTR,
  EMFILE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
} from '../sys/constants.ts';
import type { DataWorker } from './data-worker.ts';
import { CONNECTION_DESCRIPTORS } from './retire.ts';

/** Every descriptor of a connection is registered once, for all that may ever happen to it. */
export const CONNECTION_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;

/** No more waits in this listener's queue, or none can be taken now. */
export const NONE_WAITING = -1;
/** One was refused; there may be more. */
const REFUSED = -2;

/** The most that one wake-up of one listener takes. */
const ACCEPTS_PER_TURN_MAX = 64;
/** How long nothing is accepted after the kernel could not give what an accept takes. */
const PAUSE_MS = 10;
/** Wake-ups in a row that used the whole cap before it doubles. */
const STREAK_TO_DOUBLE = 16;

/**
 * Accepts one connection.
 * @returns its slot (state SLOT_HANDSHAKE, client registered, source known), NONE_WAITING or REFUSED
 */
export function acceptOne(w: DataWorker, inbound: number, listenFd: number): number {
  const sys = w.sys;
  const address = w.address;
  address.resetLength();
  const fd = sys.accept(listenFd, address.address, address.lengthAddress);
  if (fd < 0) return acceptFailed(w, listenFd, -fd);
  w.row.addAccepted(w.index, 1);
  if (!w.budget.take(CONNECTION_DESCRIPTORS)) {
    // Idle pipes are kept for the next bulk transfer, never at the price of a connection.
    w.pipes.closeIdle();
    if (!w.budget.take(CONNECTION_DESCRIPTORS)) return refuse(w, fd, DESCRIPTORS_EXHAUSTED);
  }
  const slot = openSlot(w, inbound, fd);
  if (slot < 0) {
    w.budget.give(CONNECTION_DESCRIPTORS);
    return refuse(w, fd, SLOTS_EXHAUSTED);
  }
  const live = w.slots.live;
  w.row.setConnections(w.index, live);
  if (live > w.row.connectionsHighest(w.index)) w.row.setConnectionsHighest(w.index, live);
  return slot;
}

/**
 * Takes a slot for a client that was accepted as `fd`, whose descriptors are reserved and whose address is in `w.address`:
 * in SLOT_HANDSHAKE, in the list of its inbound, and its source known.
 * @returns the slot, or -1 where all are in use
 */
export function openSlot(w: DataWorker, inbound: number, fd: number): number {
  const slot = w.slots.take();
  if (slot < 0) return slot;
  const table = w.table;
  const address = w.address;
  table.setFd(slot, CLIENT, fd);
  table.setFd(slot, SERVER, -1);
  table.setState(slot, SLOT_HANDSHAKE);
  table.setFlags(slot, 0);
  table.setPipe(slot, 0, -1);
  table.setPipe(slot, 1, -1);
  table.setPiped(slot, 0, 0);
  table.setPiped(slot, 1, 0);
  table.setLeft(slot, 0, -1);
  table.setLeft(slot, 1, -1);
  table.setBytes(slot, 0, 0);
  table.setBytes(slot, 1, 0);
  table.setDeliveredBefore(slot, -1);
  table.setStreak(slot, 0, 0);
  table.setStreak(slot, 1, 0);
  table.setUsage(slot, -1);
  table.setHeadBytes(slot, 0);
  table.setReason(slot, 0);
  table.setInbound(slot, inbound);
  table.setService(slot, -1);
  table.setCredential(slot, -1);
  table.setOutbound(slot, -1);
  table.setTargetIndex(slot, -1);
  table.setTargetPort(slot, 0);
  table.setCandidates(slot, -1);
  table.setDestinationPort(slot, -1);
  for (let word = 0; word < 4; word++) {
    table.setSource(slot, word, address.word(word));
    table.setTarget(slot, word, 0);
  }
  table.setSourcePort(slot, address.port);
  table.setStartedMs(slot, w.reactor.nowMs);
  table.setSourceEntry(slot, -1);
  table.setRule(slot, -1);
  table.setSnapshot(slot, -1);
  table.setHandshakeMs(slot, -1);
  table.setConnectMs(slot, -1);
  w.lists.clear(slot);
  if (w.isIndexed) w.lists.link(LIST_INBOUND, inbound, slot);
  return slot;
}

/** A wake-up is over: the next one takes more if the queue was longer than the cap, less if it was empty too soon. */
export function learnCap(w: DataWorker, inbound: number, metEmptyQueue: boolean): void {
  const cap = w.acceptCaps[inbound] as number;
  if (metEmptyQueue) {
    w.acceptStreaks[inbound] = 0;
    if (cap > 1) w.acceptCaps[inbound] = cap >> 1;
    return;
  }
  const streak = (w.acceptStreaks[inbound] as number) + 1;
  w.acceptStreaks[inbound] = streak < STREAK_TO_DOUBLE ? streak : 0;
  if (streak >= STREAK_TO_DOUBLE && cap < ACCEPTS_PER_TURN_MAX) w.acceptCaps[inbound] = cap * 2;
}

/** Registers the client of a new slot. @returns 0 or a negative errno */
export function registerClient(w: DataWorker, slot: number): number {
  return w.reactor.addConnection(
    w.table.fd(slot, CLIENT),
    CONNECTION_EVENTS,
    slot * 2 + CLIENT,
    w.table.generation(slot),
  );
}

function refuse(w: DataWorker, fd: number, reason: number): number {
  w.sys.resetOnClose(fd);
  w.sys.close(fd);
  w.row.addEnded(w.index, reason, 1);
  return REFUSED;
}

function acceptFailed(w: DataWorker, listenFd: number, errno: number): number {
  if (errno === EAGAIN) return NONE_WAITING;
  if (errno === EINTR || errno === ECONNABORTED) return REFUSED;
  if (!isShortage(errno)) {
    // Errors of the network that accept4 hands on belong to the connection that is gone (accept(2)).
    return REFUSED;
  }
  w.row.addAcceptExhausted(w.index, 1);
  if (errno === EMFILE || errno === ENFILE) return refuseWithSpare(w, listenFd);
  pauseListening(w);
  return NONE_WAITING;
}

/** Nothing is left but the descriptor kept for this: it takes the connection, so that the client hears a no. */
function refuseWithSpare(w: DataWorker, listenFd: number): number {
  const sys = w.sys;
  if (w.spareFd >= 0) sys.close(w.spareFd);
  const fd = sys.accept(listenFd, 0, 0);
  if (fd >= 0) {
    w.row.addAccepted(w.index, 1);
    refuse(w, fd, DESCRIPTORS_EXHAUSTED);
  }
  // Another thread may have taken its place meanwhile: then it is asked for again at the next shortage.
  w.spareFd = sys.eventfd();
  w.row.setSpareFd(w.index, w.spareFd);
  if (fd >= 0) return REFUSED;
  if (isShortage(-fd)) pauseListening(w);
  return NONE_WAITING;
}

function isShortage(errno: number): boolean {
  return errno === EMFILE || errno === ENFILE || errno === ENOBUFS || errno === ENOMEM;
}

/** The worker's own timer, behind those of its slots: when it is due, `resumeListening` is. */
export function listenTimer(w: DataWorker): number {
  return w.table.count;
}

/**
 * Takes the listeners out of epoll for a while: being level-triggered they would wake the loop at once. Also where a pause
 * goes on already, since a plan may have put new ones in.
 */
function pauseListening(w: DataWorker): void {
  const wheel = w.reactor.wheel;
  for (let index = 0; index < w.inbounds.length; index++) {
    const inbound = w.inbounds[index];
    if (inbound === undefined) continue;
    for (let i = 0; i < inbound.listenFds.length; i++)
      w.reactor.removeListener(inbound.listenFds[i] as number);
  }
  if (!wheel.isArmed(listenTimer(w))) wheel.arm(listenTimer(w), (w.reactor.nowTick + PAUSE_MS) | 0);
}

/** The pause is over. A plan may have come meanwhile: its new listeners are there already, and adding them again does nothing. */
export function resumeListening(w: DataWorker): void {
  if (w.draining || w.stopped) return;
  let failed = false;
  for (let index = 0; index < w.inbounds.length; index++) {
    const inbound = w.inbounds[index];
    if (inbound === undefined) continue;
    for (let i = 0; i < inbound.listenFds.length; i++) {
      const added = w.reactor.addListener(inbound.listenFds[i] as number, index);
      if (added < 0 && added !== -EEXIST) failed = true;
    }
  }
  // epoll itself lacks memory: a listener that stayed out would be deaf for ever.
  if (failed) w.reactor.wheel.arm(listenTimer(w), (w.reactor.nowTick + PAUSE_MS) | 0);
}
