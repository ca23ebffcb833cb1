// The record of a connection. Written by the worker that owns it, readable by the control thread: it lists
// connections from it, and closes the descriptors of a worker that died.
//
//   line 0   relay: all that moving bytes touches
//   line 1   accounts and framing
//   line 2   who it is (cold): written once or twice in a connection's life
//   line 4   links: the lists that it stands in (layout/lists.ts)
//
// `generation` is even while the slot is free and odd while it lives; it grows by one at both changes. A reader takes
// it before and after: two equal odd values mean that what it read belongs to one connection. Outside, a connection is
// named `worker-slot-generation`.

import { defineRecords, f64, f64s, i32, words } from '../memory/records.ts';
import { LISTS_COUNT } from './lists.ts';

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
/** Over, but its number still stands in the ready list: it is free once it came up there. */
export const SLOT_ENDED = 7;
/** A rule dropped it: nothing is said, nothing is read, until its handshake would have had to be over. */
export const SLOT_SILENT = 8;

// Sides, and the index of a vector by side: of the direction that comes from it, where it is about bytes (up comes from
// the client, down from the server).
export const CLIENT = 0;
export const SERVER = 1;
export const UP = 0;
export const DOWN = 1;

export const slotType = defineRecords('Slot', {
  // Line 0.
  /** By side; -1 where there is none. */
  fd: words(2),
  state: i32,
  /** Flags of `path/flags.ts`. */
  flags: i32,
  generation: i32,
  /** Next in the free list. */
  next: i32,
  /** Pipe of a direction that is spliced, or -1; and the bytes that lie in it. */
  pipe: words(2),
  piped: words(2),
  /** Leftover buffer of a direction, or -1; its bytes are [start, end). */
  left: words(2),
  leftStart: words(2),
  leftEnd: words(2),
  // Line 1.
  /** Bytes delivered, by direction. */
  bytes: f64s(2),
  /** Bytes that both sides had acknowledged when the relay's deadline was last reached; -1 before. */
  deliveredBefore: f64,
  /** Full reads in a row: what makes a direction bulk; small reads in a row: what ends it. */
  streak: words(2),
  /** Body of a framed request: bytes of a Content-Length still to come. */
  framedRemaining: f64,
  /** Words of the chunked scanner. */
  chunked: words(3),
  /** Row of its counters (layout/usage.ts), or -1 while nobody knows whose it is. */
  usage: i32,
  /** STEP_* of `path/flags.ts`: where the handshake stands within its protocol. */
  step: i32,
  /** Retire reason that a linger or a reset in progress will end with. */
  reason: i32,
  // Line 2.
  inbound: i32,
  inboundGeneration: i32,
  service: i32,
  serviceGeneration: i32,
  credential: i32,
  credentialGeneration: i32,
  outbound: i32,
  outboundGeneration: i32,
  /** Address and port of the client: four words of an IPv6 address, IPv4 mapped. */
  source: words(4),
  sourcePort: i32,
  /** What a PROXY header named as the address that the client connected to; port -1: none did, the socket knows. */
  destination: words(4),
  destinationPort: i32,
  /** Address and port that is dialled; of a name, the address in use. */
  target: words(4),
  targetPort: i32,
  /** Index into the shared target table where an operator wrote the target, else -1. */
  targetIndex: i32,
  targetGeneration: i32,
  /** Block of further addresses to try, or -1. */
  candidates: i32,
  /** Milliseconds of the monotonic clock when it was accepted. */
  startedMs: f64,
  /** End of what may last over several timers, in ticks of the worker's clock: the connect as a whole, a reset. */
  finalTick: i32,
  /** Bytes of a peeked head that the server gets rewritten, taken out of the socket once the server is there. */
  headBytes: i32,
  // Line 4.
  /** By list: the slot behind it and the one before it, NO_SLOT at the ends, NOT_LINKED (previous) outside the list. */
  linkNext: words(LISTS_COUNT),
  linkPrevious: words(LISTS_COUNT),
  /** Entry of `(service, source)` in the shared table (layout/source.ts), which the connection holds; -1: none. */
  sourceEntry: i32,
  /** Rule that decided, and the snapshot that it stood in; -1: none. */
  rule: i32,
  snapshot: i32,
  /** Milliseconds from its start until it was dialled, and until the server was there; -1: it never came so far. */
  handshakeMs: i32,
  connectMs: i32,
});

export type SlotTable = ReturnType<typeof slotType.attach>;
