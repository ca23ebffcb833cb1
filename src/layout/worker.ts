// One row a worker: what the control thread must know of it without asking, also after its death. Single writer is
// the worker, but for the atomics.

import { atomic, defineRecords, f64, f64s, i32 } from '../memory/records.ts';
import { REASONS_COUNT } from './reasons.ts';

// Life of a worker as seen from outside.
export const WORKER_STARTING = 0;
export const WORKER_READY = 1;
export const WORKER_DRAINING = 2;
export const WORKER_STOPPED = 3;

export const workerType = defineRecords('Worker', {
  /** WORKER_*. */
  life: atomic,
  /** 1 while the mailbox holds something for the worker. */
  mail: atomic,
  /** Version of the last plan that the worker has applied. */
  plan: atomic,
  /** Grows with every loop turn: a heartbeat, and the quiescent state of a snapshot's reader. */
  turns: atomic,
  /** 1 while the worker sleeps in epoll_wait and holds no reference to anything shared. */
  offline: atomic,
  // Descriptors outside the slots, for whoever must close them after a death; -1 where there is none.
  epollFd: i32,
  wakeFd: i32,
  spareFd: i32,
  /** Descriptors that the worker counts in the shared budget. */
  descriptors: i32,
  /** Live connections. */
  connections: i32,
  connectionsHighest: i32,
  leftoversInUse: i32,
  leftoversHighest: i32,
  pipesOpen: i32,
  accepted: f64,
  upBytes: f64,
  downBytes: f64,
  splicedBytes: f64,
  /** Reads that had to be peeked because all leftover buffers were in use. */
  peekedReads: f64,
  /** Times that accept4 found no descriptor, or no memory. */
  acceptExhausted: f64,
  /** Receipts that found the ring full. */
  receiptsDropped: f64,
  /** Connections that evictions have ended. */
  evicted: f64,
  /** Ends and refusals by reason: index is a constant of reasons.ts. */
  ended: f64s(REASONS_COUNT),
});

export type WorkerTable = ReturnType<typeof workerType.attach>;

/** Pipes of a worker, so that none is lost with it. */
export const pipeType = defineRecords('Pipe', {
  readFd: i32,
  writeFd: i32,
  /** Next in the pool's free list, or -1. */
  next: i32,
});

export type PipeTable = ReturnType<typeof pipeType.attach>;

/** All ends are written down. A power of two: the rest that a worker carries on with is exact, and far within 31 bits. */
export const RECEIPTS_WHOLE = 2 ** 20;

/** What all workers share: one record. */
export const machineType = defineRecords('Machine', {
  /** Descriptors that the workers hold or have reserved. */
  descriptors: atomic,
  /** How many they may hold together. */
  descriptorsMax: atomic,
  /** Credentials of which only a scrypt hash is known. While there are any, every wrong password costs what theirs do. */
  hashedCredentials: atomic,
  /** Source entries that have been used at some time: those below have touched memory. */
  sourcesTouched: atomic,
  /** 1 while workers write receipts. */
  receipts: atomic,
  /** The part of all ends that is written down: 1 to RECEIPTS_WHOLE. */
  receiptsShare: atomic,
  /** Row of the rule snapshot in force + 1; 0: there are no rules. */
  snapshot: atomic,
  /** Minutes since Monday 00:00, local time: what `time` of rules is judged by. */
  minuteOfWeek: atomic,
});

export type MachineTable = ReturnType<typeof machineType.attach>;
