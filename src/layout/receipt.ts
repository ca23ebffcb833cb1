// What remains of a connection: one record of fixed size, written by its worker when it ends, read by the keeper thread.
// The ring between them (memory/ring.ts) drops and counts when it is full; it never blocks the worker.
//
// Indexes come with their generations: the keeper turns them into names, and must not name an object after whoever got
// the index later.

import { defineRecords, f64, i32, words } from '../memory/records.ts';

export const receiptType = defineRecords('Receipt', {
  /** Milliseconds of the monotonic clock (CLOCK_MONOTONIC) when it was accepted. */
  startedMs: f64,
  upBytes: f64,
  downBytes: f64,
  slot: i32,
  generation: i32,
  inbound: i32,
  inboundGeneration: i32,
  /** -1 where nobody knew. */
  service: i32,
  serviceGeneration: i32,
  credential: i32,
  credentialGeneration: i32,
  outbound: i32,
  outboundGeneration: i32,
  rule: i32,
  snapshot: i32,
  /** Four words of an IPv6 address, IPv4 mapped. */
  source: words(4),
  sourcePort: i32,
  target: words(4),
  /** 0: it never got as far as a target. */
  targetPort: i32,
  /** As in the slot: index of a target that an operator wrote, or -1. */
  targetIndex: i32,
  targetGeneration: i32,
  /** -1: never came so far. */
  gateMs: i32,
  handshakeMs: i32,
  connectMs: i32,
  totalMs: i32,
  /** Retire reason (reasons.ts). */
  reason: i32,
  /** Number of the eviction that ended it, or 0. */
  eviction: i32,
});

export type ReceiptTable = ReturnType<typeof receiptType.attach>;
