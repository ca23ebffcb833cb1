// Dial: opens the connection to the target's address, or to the next one of a name (RFC 8305 order, one after another
// inside the connect deadline). Owner worker only. Answers WAIT (the server's descriptor will tell) or a retire reason.

import {
  CONNECT_FAILED,
  CONNECT_REFUSED,
  CONNECT_TIMEOUT,
  CONNECT_UNREACHABLE,
  DESCRIPTORS_EXHAUSTED,
  KERNEL_ERROR,
  OUTBOUND_REMOVED,
} from '../../layout/reasons.ts';
import { SERVER, SLOT_CONNECTING } from '../../layout/slot.ts';
import {
  AF_UNIX,
  EACCES,
  EADDRNOTAVAIL,
  EAGAIN,
  ECONNREFUSED,
  EHOSTDOWN,
  EHOSTUNREACH,
  EINPROGRESS,
  EMFILE,
  ENETDOWN,
  ENETUNREACH,
  ENFILE,
  ENOENT,
  EPERM,
  ETIMEDOUT,
  SO_ERROR,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../sys/constants.ts';
import { MAPPED_WORD, SOCKADDR_BYTES_MAX } from '../../sys/socket-address.ts';
import type { DataWorker } from '../data-worker.ts';
import {
  BLOCKED,
  BROKEN,
  ENDED,
  ENDING,
  NODELAY_SET,
  READABLE,
  SENT_ONCE,
  UNIX_TARGET,
  URGENT,
  WAIT,
} from '../flags.ts';
import { CONNECTION_EVENTS } from '../listen.ts';
import { applyOptions } from './objects.ts';
import type { Outbound } from './objects.ts';

/** No address is given less than this, as long as the deadline allows (RFC 8305, section 5, minimum). */
const ATTEMPT_MS_MIN = 250;

const SERVER_FLAGS = (READABLE | ENDING | ENDED | BLOCKED | BROKEN | URGENT) << SERVER;

/** Starts the connect deadline and dials the target that the slot holds. */
export function dial(w: DataWorker, slot: number): number {
  w.table.setFinalTick(slot, (w.reactor.nowTick + w.connectMs) | 0);
  w.table.setState(slot, SLOT_CONNECTING);
  return dialOnward(w, slot, dialTarget(w, slot));
}

/** The connect in progress failed for `reason`: tries the next address, or answers the reason. */
export function dialNext(w: DataWorker, slot: number, reason: number): number {
  return dialOnward(w, slot, reason);
}

/** What the server's descriptor says while connecting. @returns 0 (connected), WAIT or the reason of the failure */
export function connectOutcome(w: DataWorker, slot: number): number {
  const error = w.sys.getOptionInt(w.table.fd(slot, SERVER), SOL_SOCKET, SO_ERROR);
  return error === 0 ? 0 : connectReason(w, error < 0 ? -error : error);
}

function dialOnward(w: DataWorker, slot: number, outcome: number): number {
  const table = w.table;
  let answer = outcome;
  while (answer !== WAIT) {
    closeServer(w, slot);
    const block = table.candidates(slot);
    if (block < 0 || w.candidates.left(block) === 0) return answer;
    if (((w.reactor.nowTick - table.finalTick(slot)) | 0) >= 0) return CONNECT_TIMEOUT;
    const next = w.candidates.advance(block);
    for (let word = 0; word < 4; word++) table.setTarget(slot, word, w.candidates.word(block, next, word));
    answer = dialTarget(w, slot);
  }
  return WAIT;
}

function dialTarget(w: DataWorker, slot: number): number {
  const table = w.table;
  const sys = w.sys;
  const outbound = w.outbounds[table.outbound(slot)];
  if (outbound === undefined) return OUTBOUND_REMOVED;
  const address = w.address;
  writeTarget(w, slot);
  const length = address.length;
  const family = address.family;
  const fd = sys.socket(family, SOCK_STREAM, 0);
  if (fd < 0) return fd === -EMFILE || fd === -ENFILE ? DESCRIPTORS_EXHAUSTED : connectReason(w, -fd);
  table.setFd(slot, SERVER, fd);
  const applied = applyOptions(sys, outbound, fd, family);
  if (applied < 0) return connectReason(w, -applied);
  const bound = bindSource(w, outbound, fd, family);
  if (bound < 0) return connectReason(w, -bound);
  if (outbound.bind4.length + outbound.bind6.length > 0) writeTarget(w, slot);
  const connected = sys.connect(fd, address.address, length);
  if (connected < 0 && connected !== -EINPROGRESS) return connectReason(w, -connected);
  const added = w.reactor.addConnection(fd, CONNECTION_EVENTS, slot * 2 + SERVER, table.generation(slot));
  if (added < 0) return KERNEL_ERROR;
  w.reactor.wheel.arm(slot, attemptEnds(w, slot));
  return WAIT;
}

/** The tick until which this attempt may last: its share of what remains for it and the addresses after it. */
function attemptEnds(w: DataWorker, slot: number): number {
  const table = w.table;
  const now = w.reactor.nowTick;
  const remaining = (table.finalTick(slot) - now) | 0;
  const block = table.candidates(slot);
  const after = block < 0 ? 0 : w.candidates.left(block);
  const share = Math.max(Math.trunc(remaining / (after + 1)), ATTEMPT_MS_MIN);
  return (now + Math.min(share, remaining)) | 0;
}

/** Writes the target's address into `w.address`. */
function writeTarget(w: DataWorker, slot: number): void {
  const table = w.table;
  // Not what the record says now: it may be another target's since. (A Unix target is dialled once, in the turn in which
  // it was read, so its path is never stale.)
  if ((table.flags(slot) & UNIX_TARGET) !== 0) {
    writeUnixTarget(w, table.targetIndex(slot));
    return;
  }
  w.address.setIp(
    table.target(slot, 0),
    table.target(slot, 1),
    table.target(slot, 2),
    table.target(slot, 3),
    table.targetPort(slot),
  );
}

function writeUnixTarget(w: DataWorker, target: number): void {
  const bytes = w.address.bytes;
  const length = w.tables.targets.textBytes(target);
  bytes.fill(0, 0, SOCKADDR_BYTES_MAX);
  bytes[0] = AF_UNIX;
  for (let i = 0; i < length; i++) {
    bytes[2 + i] = (w.tables.targets.text(target, i >> 2) >>> ((i & 3) * 8)) & 0xff;
  }
  w.address.length = 2 + length + 1;
}

/**
 * Binds to the outbound's next source address of the target's family. An outbound that has addresses, but none of that
 * family, can't reach the target: the kernel's choice would be an address that the operator did not allow.
 * @returns 0 or a negative errno
 */
function bindSource(w: DataWorker, outbound: Outbound, fd: number, family: number): number {
  if (family === AF_UNIX) return 0;
  const isIpv4 = w.address.word(2) === MAPPED_WORD && w.address.word(0) === 0 && w.address.word(1) === 0;
  const addresses = isIpv4 ? outbound.bind4 : outbound.bind6;
  const count = addresses.length / 4;
  if (count === 0) return outbound.bind4.length + outbound.bind6.length === 0 ? 0 : -EADDRNOTAVAIL;
  const at = (outbound.bindNext % count) * 4;
  outbound.bindNext = (outbound.bindNext + 1) & 0xffff;
  const length = w.address.setIp(
    addresses[at] as number,
    addresses[at + 1] as number,
    addresses[at + 2] as number,
    addresses[at + 3] as number,
    0,
  );
  return w.sys.bind(fd, w.address.address, length);
}

/** Closes a server descriptor that did not get through, and forgets what it said. */
function closeServer(w: DataWorker, slot: number): void {
  const table = w.table;
  const fd = table.fd(slot, SERVER);
  if (fd < 0) return;
  w.sys.close(fd);
  table.setFd(slot, SERVER, -1);
  table.setFlags(slot, table.flags(slot) & ~(SERVER_FLAGS | SENT_ONCE | NODELAY_SET));
}

function connectReason(w: DataWorker, errno: number): number {
  w.connectErrno = errno;
  switch (errno) {
    case ECONNREFUSED:
    case ENOENT: // A Unix socket that is not there.
      return CONNECT_REFUSED;
    case ETIMEDOUT:
      return CONNECT_TIMEOUT;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EACCES: // A firewall's answer, or a broadcast address.
    case EPERM:
    case EADDRNOTAVAIL:
      return CONNECT_UNREACHABLE;
    case EAGAIN: // A Unix listener whose queue is full.
    default:
      return CONNECT_FAILED;
  }
}
