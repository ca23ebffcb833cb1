// A data worker with a registry of any size, in this process: the real path over the real kernel, turned by hand. Some of
// its connections are real sockets (real-connections.ts); the others are filled in through the functions that a
// connection passes on its way, but for the system calls: a slot is opened, enrolled, linked to its outbound and put under its
// deadline, and it leaves by `retire`.

import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { LIST_INBOUND, LIST_OUTBOUND } from '../../../src/layout/lists.ts';
import type { ControlMessage, EvictionJob, Plan, WorkerMessage } from '../../../src/layout/messages.ts';
import { INBOUND_FORWARD, OUTBOUND_DIRECT, PREFER_IPV4 } from '../../../src/layout/messages.ts';
import { STOPPED } from '../../../src/layout/reasons.ts';
import { SERVICE_ENABLED, TARGET_IP } from '../../../src/layout/service.ts';
import { SLOT_RELAYING } from '../../../src/layout/slot.ts';
import { attachTables, createTables, type Tables } from '../../../src/layout/tables.ts';
import { RECEIPTS_WHOLE } from '../../../src/layout/worker.ts';
import type { DataWorker } from '../../../src/path/data-worker.ts';
import { enroll, expel } from '../../../src/path/enroll.ts';
import { openSlot } from '../../../src/path/listen.ts';
import { applyPlan } from '../../../src/path/mail.ts';
import { CONNECTION_DESCRIPTORS, retire } from '../../../src/path/retire.ts';
import { DEFAULT_BOUNDS, startDataWorker, turn } from '../../../src/path/start.ts';
import { warm } from '../../../src/path/warm.ts';
import { portMailbox } from '../../../src/reactor/mailbox.ts';
import { createLibc } from '../../../src/sys/libc/libc.ts';
import { MAPPED_WORD } from '../../../src/sys/socket-address.ts';
import type { Sys } from '../../../src/sys/sys.ts';

/** Service of all real connections; those that are filled in have the others in turn. */
export const REAL_SERVICE = 0;
const SERVICES = 1000;
const INBOUND = 0;
const OUTBOUND = 0;
const TARGET = 0;
const SPARE_SLOTS = 1024;
const IDLE_MS = 3_600_000;
const LOOPBACK = 0x7f00_0001;
/** Sources that are filled in: 10.0.0.0 and on, one a connection. */
const FILLED_NET = 0x0a00_0000;
const TURNS_MAX = 1_000_000;
const NO_CREDENTIAL = -1;

type Evicted = Extract<WorkerMessage, { kind: 'evicted' }>;

export class Registry {
  readonly sys: Sys;
  readonly tables: Tables;
  readonly w: DataWorker;
  private readonly port: MessagePort;
  private readonly wakeFd: number;
  /** By slot: the number of the filled connection there, which its service and source follow from. */
  private readonly filled: Int32Array;
  private evictions = 0;

  constructor(size: number) {
    this.sys = createLibc();
    this.sys.raiseDescriptorLimit();
    const sources = 2 ** Math.ceil(Math.log2((size + SPARE_SLOTS) * 4));
    const limits = {
      workers: 1,
      slotsPerWorker: size + SPARE_SLOTS,
      pipesPerWorker: 64,
      services: SERVICES,
      credentials: 64,
      serverNames: 64,
      targets: 64,
      sources,
      networkWords: 1024,
      ruleWords: 65_536,
      receipts: 1024,
      isIndexed: true,
    };
    this.tables = attachTables(createTables(limits, Int32Array.of(1, 2, 3, 4)));
    this.tables.machine.setDescriptorsMax(0, 2 ** 30);
    this.tables.machine.setReceiptsShare(0, RECEIPTS_WHOLE);
    this.filled = new Int32Array(limits.slotsPerWorker);
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    this.wakeFd = this.sys.eventfd();
    const mailbox = portMailbox<ControlMessage, WorkerMessage>(port2);
    this.w = startDataWorker(this.sys, this.tables, 0, mailbox, this.wakeFd, DEFAULT_BOUNDS);
    warm(this.w);
    for (let service = 0; service < SERVICES; service++) {
      this.tables.services.setFlags(service, SERVICE_ENABLED);
      this.tables.services.setOutbound(service, -1);
      this.tables.services.setTarget(service, -1);
      this.tables.services.setGeneration(service, 1);
    }
  }

  /** Takes clients from `listenFd` and leads them to `originPort`. */
  serve(listenFd: number, originPort: number): void {
    const { targets } = this.tables;
    targets.setKind(TARGET, TARGET_IP);
    targets.setPort(TARGET, originPort);
    for (const [word, value] of [0, 0, MAPPED_WORD, LOOPBACK].entries())
      targets.setAddress(TARGET, word, value);
    targets.setGeneration(TARGET, 1);
    applyPlan(this.w, planFor(listenFd));
  }

  turn(): void {
    turn(this.w, 0);
  }

  /** Registers filled connection number `number` without its system calls. @returns its slot */
  fill(number: number): number {
    const { w } = this;
    if (!w.budget.take(CONNECTION_DESCRIPTORS)) throw new Error('the descriptor budget is spent');
    w.address.setIp(0, 0, MAPPED_WORD, FILLED_NET + number, 40_000);
    const slot = openSlot(w, INBOUND, -1);
    if (slot < 0) throw new Error('the registry is full');
    w.table.setInboundGeneration(slot, 1);
    this.filled[slot] = number;
    if (enroll(w, slot, serviceOf(number), NO_CREDENTIAL, 0) !== 0)
      throw new Error('no source entry is left');
    w.table.setOutbound(slot, OUTBOUND);
    w.table.setOutboundGeneration(slot, 1);
    w.lists.link(LIST_OUTBOUND, OUTBOUND, slot);
    w.table.setState(slot, SLOT_RELAYING);
    w.reactor.wheel.arm(slot, (w.reactor.nowTick + IDLE_MS) | 0);
    return slot;
  }

  /** Ends the filled connection in `slot`. @returns its number */
  empty(slot: number): number {
    retire(this.w, slot, STOPPED);
    return this.filled[slot] as number;
  }

  /** Takes a filled connection out of every list. */
  unlink(slot: number): void {
    expel(this.w, slot);
  }

  /** Puts it back into them. */
  relink(slot: number): void {
    const { w } = this;
    w.lists.link(LIST_INBOUND, INBOUND, slot);
    enroll(w, slot, serviceOf(this.filled[slot] as number), NO_CREDENTIAL, 0);
    w.lists.link(LIST_OUTBOUND, OUTBOUND, slot);
  }

  /** Has the worker carry out an eviction, by mail as the control thread would. @returns its last report */
  evict(job: Omit<EvictionJob, 'id'>): Evicted {
    const id = ++this.evictions;
    this.port.postMessage({ kind: 'evict', job: { ...job, id } });
    this.tables.workers.setMail(0, 1);
    this.sys.eventfdSignal(this.wakeFd);
    for (let turns = 0; turns < TURNS_MAX; turns++) {
      this.turn();
      const message = receiveMessageOnPort(this.port)?.message as WorkerMessage | undefined;
      if (message?.kind === 'evicted' && message.id === id && message.isDone) return message;
    }
    throw new Error('the eviction does not end');
  }

  close(): void {
    this.port.close();
  }
}

/** Every service but the real connections' own. */
function serviceOf(number: number): number {
  return 1 + (number % (SERVICES - 1));
}

function planFor(listenFd: number): Plan {
  return {
    version: 1,
    inbounds: [
      {
        index: INBOUND,
        generation: 1,
        type: INBOUND_FORWARD,
        listenFds: [listenFd],
        service: REAL_SERVICE,
        target: TARGET,
        sendProxy: 0,
        tagHash: new Int32Array(2),
        acceptProxyFrom: null,
      },
    ],
    outbounds: [
      {
        index: OUTBOUND,
        generation: 1,
        kind: OUTBOUND_DIRECT,
        allowDestinations: null,
        bind: new Int32Array(0),
        interface: '',
        fwmark: 0,
        keepaliveIdleS: 0,
        keepaliveIntervalS: 0,
        keepaliveCount: 0,
        userTimeoutMs: 0,
        congestion: '',
        ipVersion: PREFER_IPV4,
      },
    ],
    final: OUTBOUND,
    handshakeMs: 10_000,
    connectMs: 10_000,
    idleMs: IDLE_MS,
    halfCloseMs: 10_000,
    ownListeners: new Int32Array(0),
    localAddresses: new Int32Array(0),
  };
}
