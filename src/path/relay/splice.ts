// The splice engine: a direction that has proved to be bulk goes through a pipe, page by page, and its bytes never enter
// this process. Owner worker only.
//
// The pipe is emptied before it is filled again. So an EAGAIN on filling means that the source is dry, never that the
// pipe is full, although splice(2) has one answer for both; and the bytes in the pipe are the only backlog.

import { EAGAIN, EINTR, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, SPLICE_F_MOVE } from '../../sys/constants.ts';
import { account } from '../account.ts';
import type { DataWorker } from '../data-worker.ts';
import { SLOW, SPLICED, UNSPLICEABLE, URGENT } from '../flags.ts';
import { BLOCK_BYTES } from './buffers.ts';
import { PIPE_BYTES } from './pipes.ts';
import { DESTINATION_BROKEN, DRY, FULL, MORE, SOURCE_BROKEN, TO_COPYING } from './turn.ts';

/** Full reads in a row that make a direction bulk, and turns of less than a block that end it. */
export const BULK_STREAK = 4;
const SMALL_STREAK = 16;
/** What a spliced direction may move a turn. */
const SPLICE_TURN_BYTES_MAX = 2 * 1024 * 1024;

/** Gives the direction a pipe. @returns false where there is none: it goes on being copied */
export function startSplicing(w: DataWorker, slot: number, direction: number): boolean {
  const table = w.table;
  table.setStreak(slot, direction, 0);
  const pipe = w.pipes.take();
  if (pipe < 0) return false;
  table.setPipe(slot, direction, pipe);
  table.setPiped(slot, direction, 0);
  table.setFlags(slot, table.flags(slot) | ((SPLICED | SLOW) << direction));
  return true;
}

/** Moves bytes through the pipe. @returns one of turn.ts */
export function pumpPipe(w: DataWorker, slot: number, direction: number): number {
  const table = w.table;
  const sys = w.sys;
  const from = table.fd(slot, direction);
  const pipe = table.pipe(slot, direction);
  const writeFd = w.pipes.writeFd(pipe);
  let moved = 0;
  for (;;) {
    if (table.piped(slot, direction) > 0) {
      const answer = flushPipe(w, slot, direction);
      if (answer !== DRY) return answer;
    }
    if (moved >= SPLICE_TURN_BYTES_MAX) {
      table.setStreak(slot, direction, 0);
      return MORE;
    }
    const got = sys.splice(from, writeFd, PIPE_BYTES, SPLICE_F_MOVE);
    if (got > 0) {
      table.setPiped(slot, direction, got);
      moved += got;
      continue;
    }
    if (got === -EINTR) continue;
    // splice(2) never passes an urgent mark: it answers EAGAIN there, and 0 when a FIN came behind it, while bytes wait. So
    // only a read may say that this is the end, or that nothing is left once urgent data was seen.
    const mayHide = got === -EAGAIN && (table.flags(slot) & (URGENT << direction)) !== 0;
    if (got === 0 || mayHide || isRefusal(got)) {
      table.setFlags(slot, table.flags(slot) | (UNSPLICEABLE << direction));
      stopSplicing(w, slot, direction);
      return TO_COPYING;
    }
    if (got !== -EAGAIN) return SOURCE_BROKEN;
    return judge(w, slot, direction, moved);
  }
}

/** The kernel, or a filter in front of it, does not splice these sockets. */
function isRefusal(answer: number): boolean {
  return answer === -EINVAL || answer === -EOPNOTSUPP || answer === -EPERM || answer === -ENOSYS;
}

/** The source is dry. Is the direction still bulk? */
function judge(w: DataWorker, slot: number, direction: number, moved: number): number {
  const table = w.table;
  if (moved >= BLOCK_BYTES) {
    table.setStreak(slot, direction, 0);
    return DRY;
  }
  const streak = table.streak(slot, direction) + 1;
  table.setStreak(slot, direction, streak);
  if (streak < SMALL_STREAK) return DRY;
  stopSplicing(w, slot, direction);
  table.setStreak(slot, direction, 0);
  return DRY;
}

/** Empties the pipe into the destination. @returns DRY, FULL or DESTINATION_BROKEN */
export function flushPipe(w: DataWorker, slot: number, direction: number): number {
  const table = w.table;
  const to = table.fd(slot, 1 - direction);
  const readFd = w.pipes.readFd(table.pipe(slot, direction));
  let piped = table.piped(slot, direction);
  while (piped > 0) {
    const sent = w.sys.splice(readFd, to, piped, SPLICE_F_MOVE);
    if (sent > 0) {
      piped -= sent;
      table.setPiped(slot, direction, piped);
      account(w, slot, direction, sent);
      w.row.addSplicedBytes(w.index, sent);
    } else if (sent !== -EINTR) {
      return sent === -EAGAIN ? FULL : DESTINATION_BROKEN;
    }
  }
  return DRY;
}

/** Gives the pipe back, whatever is in it. */
export function stopSplicing(w: DataWorker, slot: number, direction: number): void {
  const table = w.table;
  const pipe = table.pipe(slot, direction);
  if (pipe < 0) return;
  w.pipes.release(pipe, table.piped(slot, direction) === 0);
  table.setPipe(slot, direction, -1);
  table.setPiped(slot, direction, 0);
  table.setFlags(slot, table.flags(slot) & ~((SPLICED | SLOW) << direction));
}
