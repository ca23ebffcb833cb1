// What the stages work with: the tables, buffers and clocks of one data worker, and the parts of the plan that it
// holds itself. Fields only; behaviour lies in the stages. Made once at start, owner worker only.

import { Lists } from '../connection/lists.ts';
import { Slots } from '../connection/slots.ts';
import { Sources } from '../connection/sources.ts';
import type { FactsTable } from '../layout/facts.ts';
import type { ControlMessage, InboundDefinition, WorkerMessage } from '../layout/messages.ts';
import { deriveNameKeys, hashText, RULE_DOMAIN_SEED_KEY } from '../layout/name-hash.ts';
import { ReceiptWriter } from '../layout/receipt-writer.ts';
import type { SlotTable } from '../layout/slot.ts';
import { PLAN_OBJECTS_MAX } from '../layout/tables.ts';
import type { Tables } from '../layout/tables.ts';
import type { UsageTable } from '../layout/usage.ts';
import type { WorkerTable } from '../layout/worker.ts';
import { Matcher } from '../match/matcher.ts';
import { Query } from '../match/query.ts';
import type { Ring } from '../memory/ring.ts';
import { DescriptorBudget } from '../reactor/descriptor-budget.ts';
import type { Mailbox } from '../reactor/mailbox.ts';
import type { Reactor } from '../reactor/reactor.ts';
import { SocketAddress } from '../sys/socket-address.ts';
import type { Sys } from '../sys/sys.ts';
import type { Eviction } from './evict.ts';
import { CHUNKED_STATE_WORDS } from './identify/chunked.ts';
import { Parsed } from './identify/parsed.ts';
import { Candidates } from './outbound/candidates.ts';
import type { Outbound } from './outbound/objects.ts';
import { Buffers } from './relay/buffers.ts';
import { Pipes } from './relay/pipes.ts';
import { Route } from './route.ts';

/** The largest head of any protocol that is peeked at: a ClientHello over several records, an HTTP head. */
export const HEAD_BYTES_MAX = 20 * 1024;
/** A rewritten head may grow by what we add. */
const HEAD_OUT_BYTES = HEAD_BYTES_MAX + 1024;

/** How much a worker may hold; counts. */
export interface DataWorkerBounds {
  /** Leftover buffers of BLOCK_BYTES each. */
  readonly buffers: number;
  /** Names with several addresses that are being dialled at one time. */
  readonly candidates: number;
}

export class DataWorker {
  readonly sys: Sys;
  readonly tables: Tables;
  /** Index of this worker, and its row. */
  readonly index: number;
  readonly row: WorkerTable;
  readonly slots: Slots;
  readonly table: SlotTable;
  readonly lists: Lists;
  /** False in one case only: a benchmark that measures what the lists cost. */
  readonly isIndexed: boolean;
  readonly sources: Sources;
  /** Counters of services and credentials, and the ring of those rows that are dirty. */
  readonly usage: UsageTable;
  readonly dirty: Ring;
  readonly receipts: ReceiptWriter;
  /** Evictions under way (evict.ts). */
  readonly evictions: Eviction[] = [];
  evictionTurn: number = 0;
  /** Microseconds of the clock when evictions had their last share of a turn. */
  evictionsRanUs: number = 0;
  /** While an eviction ends a connection: its number, and whether with FIN; else 0 and false. */
  evictionId: number = 0;
  evictOrderly: boolean = false;
  readonly mailbox: Mailbox<ControlMessage, WorkerMessage>;
  readonly budget: DescriptorBudget;
  readonly buffers: Buffers;
  readonly pipes: Pipes;
  readonly candidates: Candidates;
  /** What rules know of a slot beside it; and the question, the matcher and the answer of the call in hand (rules/). */
  readonly facts: FactsTable;
  readonly query = new Query();
  readonly matcher: Matcher;
  readonly route = new Route();
  /** Connections that are kept waiting for nothing (silence.ts). */
  silent: number = 0;
  /** Set by whoever composes worker and reactor, before the first turn. */
  reactor!: Reactor;

  /** Peer's or target's address of the call in hand. */
  readonly address: SocketAddress;
  readonly parsed = new Parsed();
  /** A client's first bytes, as peeked. */
  readonly head: Uint8Array;
  readonly headAddress: number;
  /** What we say: replies, rewritten heads, PROXY headers. */
  readonly headOut: Uint8Array;
  readonly headOutAddress: number;
  /** Keys of the names' hashes, and room for one hash. */
  readonly nameKeys: Int32Array;
  readonly hash = new Int32Array(4);
  readonly proof = new Int32Array(4);
  /** State of the chunked scanner, while it runs. */
  readonly chunked = new Int32Array(CHUNKED_STATE_WORDS);
  /** Positive errno of the last connect that failed; 0: none. */
  connectErrno = 0;

  /** By inbound: how many connections a wake-up of its listener takes now (listen.ts), and wake-ups since that grew. */
  readonly acceptCaps = new Int32Array(PLAN_OBJECTS_MAX).fill(1);
  readonly acceptStreaks = new Int32Array(PLAN_OBJECTS_MAX);

  /** By index; undefined where there is none. Control-rate writes. */
  readonly inbounds: (InboundDefinition | undefined)[] = [];
  readonly outbounds: (Outbound | undefined)[] = [];
  handshakeMs = 10_000;
  connectMs = 5_000;
  idleMs = 600_000;
  halfCloseMs = 30_000;
  final = -1;
  ownListeners = new Int32Array(0);
  localAddresses = new Int32Array(0);
  /** A descriptor given up for a moment when the kernel has none left (listen.ts); -1 where that one is gone too. */
  spareFd = -1;
  /** While it rehearses, mail stays where it is. */
  warming = false;
  /** No more accepts; ends when the last connection has gone. */
  draining = false;
  /** The control thread was told that a draining worker is empty. */
  drained = false;
  stopped = false;

  constructor(
    sys: Sys,
    tables: Tables,
    index: number,
    mailbox: Mailbox<ControlMessage, WorkerMessage>,
    bounds: DataWorkerBounds,
  ) {
    this.sys = sys;
    this.tables = tables;
    this.index = index;
    this.row = tables.workers;
    const table = tables.slots[index];
    const pipes = tables.pipes[index];
    const heads = tables.lists[index];
    const usage = tables.usage[index];
    const dirty = tables.dirty[index];
    const facts = tables.facts[index];
    if (!table || !pipes || !heads || !usage || !dirty || !facts)
      throw new RangeError(`there is no worker ${index}`);
    this.table = table;
    this.facts = facts;
    this.slots = new Slots(table);
    this.lists = new Lists(table, heads);
    this.isIndexed = tables.shared.limits.isIndexed;
    this.sources = new Sources(tables, index);
    this.usage = usage;
    this.dirty = dirty;
    this.receipts = new ReceiptWriter(tables, index);
    this.mailbox = mailbox;
    this.budget = new DescriptorBudget(tables.machine, tables.workers, index);
    this.buffers = new Buffers(sys, bounds.buffers);
    this.pipes = new Pipes(sys, pipes, this.budget, tables.workers, index);
    this.candidates = new Candidates(bounds.candidates);
    this.address = new SocketAddress(sys);
    this.head = new Uint8Array(new ArrayBuffer(HEAD_BYTES_MAX));
    this.headAddress = sys.addressOf(this.head);
    this.headOut = new Uint8Array(new ArrayBuffer(HEAD_OUT_BYTES));
    this.headOutAddress = sys.addressOf(this.headOut);
    this.nameKeys = deriveNameKeys(tables.shared.hashKey);
    const seed = hashText(this.nameKeys, RULE_DOMAIN_SEED_KEY, '')[0] as number;
    this.matcher = new Matcher(tables.rules, seed);
  }
}
