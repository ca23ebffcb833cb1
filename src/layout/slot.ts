// The record of a connection. Written by the worker that owns it, readable by the control thread: it lists
// connections from it, and closes the descriptors of a worker that died.
//
//   line 0   relay: all that moving bytes touches
//   line 1   accounts and framing
//   line 2   who it is (cold): written once or twice in a connection's life
//
// `generation` is even while the slot is free and odd while it lives; it grows by one at both changes. A reader takes
// it before and after: two equal odd values mean that what it read belongs to one connection. Outside, a connection is
// named `worker-slot-generation`.

import { defineRecords, f64, i32, words } from '../memory/records.ts';

// States.
export const SLOT_FREE = 0;
/** The client speaks, nothing has been dialled. */
export const SLOT_HANDSHAKE = 1;
/** Something outside the worker is asked: a name, a password hash. */
export const SLOT_WAITING = 2;
export const SLOT_CONNECTING = 3;
export const SLOT_RELAYING = 4;
/** One side is being reset; bytes that came before the reset are still on their way to the other. */
export const SLOT_RESETTING = 5;
/** The client was told no; what it still sends is read and dropped, so that the answer is not lost in a reset. */
export const SLOT_LINGERING = 6;

export const slotType = defineRecords('Slot', {
  // Line 0.
  clientFd: i32,
  serverFd: i32,
  state: i32,
  /** FLAG_*, owned by `path/`. */
  flags: i32,
  generation: i32,
  /** Pipe of a direction that is spliced, or -1. */
  upPipe: i32,
  downPipe: i32,
  /** Bytes that lie in that pipe. */
  upPiped: i32,
  downPiped: i32,
  /** Leftover buffer of a direction, or -1; its bytes are [start, end). */
  upLeft: i32,
  upLeftStart: i32,
  upLeftEnd: i32,
  downLeft: i32,
  downLeftStart: i32,
  downLeftEnd: i32,
  /** Next in the free list or in the ready list. */
  next: i32,
  // Line 1.
  upBytes: f64,
  downBytes: f64,
  /** Full reads in a row: what makes a direction bulk. */
  upFullReads: i32,
  downFullReads: i32,
  /** Body of a framed request: bytes of a Content-Length still to come. */
  framedRemaining: f64,
  /** Words of the chunked scanner. */
  chunked: words(4),
  /** Bytes of a peeked head that the server gets rewritten, taken out of the socket once the server is there. */
  headBytes: i32,
  /** Step of the handshake within its protocol. */
  step: i32,
  /** Retire reason that a linger or a reset in progress will end with. */
  reason: i32,
  // Line 2.
  inbound: i32,
  inboundGeneration: i32,
  service: i32,
  serviceGeneration: i32,
  credential: i32,
  outbound: i32,
  outboundGeneration: i32,
  /** Address and port of the client: four words of an IPv6 address, IPv4 mapped. */
  source: words(4),
  sourcePort: i32,
  /** Address and port that is dialled; of a name, the address in use. */
  target: words(4),
  targetPort: i32,
  /** Index into the shared target table where an operator wrote the target, else -1. */
  targetIndex: i32,
  /** Block of further addresses to try, or -1. */
  candidates: i32,
  candidateNext: i32,
  candidateCount: i32,
  /** Milliseconds of the worker's clock when it was accepted. */
  startedMs: f64,
  /** Deadline of the connect as a whole, in ticks of the worker's clock. */
  connectBy: i32,
});

export type SlotTable = ReturnType<typeof slotType.attach>;
