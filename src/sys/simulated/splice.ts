// splice(2) between a socket and a pipe, or two pipes: what it answers when either side can not go on.
// @source linux/fs/splice.c (do_splice, splice_file_to_pipe), net/ipv4/tcp.c (tcp_splice_read)

import { EAGAIN, EINVAL, EPIPE, EPOLLIN, EPOLLOUT } from '../constants.ts';
import type { OpenFile } from './open-file.ts';
import { PipeEnd } from './pipe.ts';
import { SocketFile } from './socket-file.ts';
import type { Process } from './world.ts';

const CHUNK_BYTES = 16384;
const chunk = new Uint8Array(CHUNK_BYTES);

/** Moves at most `length` bytes. @returns bytes moved, 0 at end of stream, or a negative errno */
export function spliceFiles(process: Process, from: OpenFile, to: OpenFile, length: number): number {
  if (to instanceof PipeEnd && to.writes) {
    if (from instanceof SocketFile) return socketToPipe(process, from, to, length);
    if (from instanceof PipeEnd && !from.writes && from.shared !== to.shared)
      return pipeToPipe(from, to, length);
    return -EINVAL;
  }
  if (from instanceof PipeEnd && !from.writes && to instanceof SocketFile)
    return pipeToSocket(from, to, length);
  return -EINVAL;
}

function roomOf(pipe: PipeEnd): number {
  const { stream, capacityBytes, readEnd } = pipe.shared;
  if (readEnd === null) return -EPIPE;
  const room = capacityBytes - (stream.writtenAt - stream.readAt);
  return room === 0 ? -EAGAIN : room;
}

function socketToPipe(process: Process, socket: SocketFile, pipe: PipeEnd, length: number): number {
  const { faults, world } = process;
  const { stream } = pipe.shared;
  const room = roomOf(pipe);
  if (room < 0) return room;
  // A pipe's room is counted in pages, and segments fill pages badly: one that holds something may be full early.
  if (stream.writtenAt > stream.readAt && world.random.chance(faults.spuriousAgain)) return -EAGAIN;
  const readable = socket.spliceable();
  if (readable <= 0) return readable;
  let moved = Math.min(length, room, readable);
  if (moved > 1 && world.random.chance(faults.splitWrite)) moved = 1 + world.random.below(moved - 1);
  for (let left = moved; left > 0; ) {
    const taken = socket.recv(chunk, 0, Math.min(left, CHUNK_BYTES), 0);
    stream.write(chunk, 0, taken);
    left -= taken;
  }
  stream.arriveAll();
  pipe.shared.readEnd?.wake(EPOLLIN);
  return moved;
}

function pipeToSocket(pipe: PipeEnd, socket: SocketFile, length: number): number {
  const { stream, writeEnd } = pipe.shared;
  const held = stream.writtenAt - stream.readAt;
  if (held === 0) return writeEnd === null ? 0 : -EAGAIN;
  let moved = 0;
  while (moved < Math.min(length, held)) {
    const part = Math.min(length - moved, held - moved, CHUNK_BYTES);
    stream.peek(chunk, 0, part);
    const sent = socket.send(chunk, 0, part, 0);
    if (sent < 0 && moved === 0) return sent;
    if (sent <= 0) break;
    stream.readAt += sent;
    moved += sent;
    if (sent < part) break;
  }
  writeEnd?.wake(EPOLLOUT);
  return moved;
}

function pipeToPipe(from: PipeEnd, to: PipeEnd, length: number): number {
  const source = from.shared.stream;
  const held = source.writtenAt - source.readAt;
  if (held === 0) return from.shared.writeEnd === null ? 0 : -EAGAIN;
  const room = roomOf(to);
  if (room < 0) return room;
  const moved = Math.min(length, held, room);
  source.moveTo(to.shared.stream, moved);
  to.shared.stream.arriveAll();
  to.shared.readEnd?.wake(EPOLLIN);
  from.shared.writeEnd?.wake(EPOLLOUT);
  return moved;
}
