// Held connections: opens them a few at a time, sends 64 bytes through each and back, so that both sides of the proxy
// stand and every buffer was used once, and then leaves them idle until they are released.

import { EAGAIN } from '../../src/sys/constants.ts';
import { nowTicks, TICKS_PER_MS } from './clock.ts';
import type { Load } from './load.ts';
import { ROLE_CLIENT } from './poll.ts';
import { Dialler } from './sockets.ts';
import { WAIT_MS_MAX } from './window.ts';

const BYTES = 64;
const OPENING_MAX = 64;
const STALL_MS_MAX = 3000;

export interface HoldWork {
  readonly port: number;
  /** How many are held in all afterwards; those of earlier calls count. */
  readonly connections: number;
}

export interface HoldResult {
  readonly held: number;
  readonly failures: number;
}

/** Descriptors of all that is held; kept between calls. */
const held: number[] = [];

/** Opens connections until `work.connections` are held, or no more come about. */
export function runHold(load: Load, work: HoldWork): HoldResult {
  const { sys, poll, origin } = load;
  const dialler = new Dialler(sys, work.port);
  const opening = new Map<number, number>(); // descriptor → bytes still to come back
  let toOpen = work.connections - held.length;
  let failures = 0;
  let progressTicks = nowTicks();
  while (toOpen > 0 || opening.size > 0) {
    while (toOpen > 0 && opening.size < OPENING_MAX) {
      toOpen--;
      const fd = dialler.dial();
      if (fd < 0) {
        failures++;
        continue;
      }
      opening.set(fd, 0);
      poll.addConnection(fd, ROLE_CLIENT, fd);
    }
    const count = poll.wait(WAIT_MS_MAX);
    for (let index = 0; index < count; index++) {
      const fd = poll.token(index);
      const role = poll.role(index);
      if (role !== ROLE_CLIENT) origin.handle(role, fd, poll.mask(index));
      else if (opening.has(fd)) {
        const outcome = advance(load, opening, fd);
        if (outcome !== 0) progressTicks = nowTicks();
        if (outcome < 0) failures++;
      }
    }
    origin.runReady();
    if (nowTicks() - progressTicks > STALL_MS_MAX * TICKS_PER_MS) break;
  }
  for (const fd of opening.keys()) sys.close(fd);
  return { held: held.length, failures: failures + opening.size + Math.max(toOpen, 0) };
}

/** @returns 0 while it goes on; 1 where it left `opening` and is held, -1 where it left and is closed */
function advance(load: Load, opening: Map<number, number>, fd: number): number {
  const { sys } = load;
  let left = opening.get(fd) ?? 0;
  if (left === 0) {
    if (sys.send(fd, load.sendAddress, BYTES, 0) !== BYTES) return fail(load, opening, fd);
    left = BYTES;
  }
  const received = sys.recv(fd, load.receiveAddress, BYTES, 0);
  if (received !== -EAGAIN && received <= 0) return fail(load, opening, fd);
  if (received > 0) left -= received;
  opening.set(fd, left);
  if (left > 0) return 0;
  opening.delete(fd);
  held.push(fd);
  return 1;
}

function fail(load: Load, opening: Map<number, number>, fd: number): number {
  load.sys.close(fd);
  opening.delete(fd);
  return -1;
}

/** Closes all that is held. */
export function releaseHeld(load: Load): HoldResult {
  for (const fd of held) load.sys.close(fd);
  held.length = 0;
  return { held: 0, failures: 0 };
}
