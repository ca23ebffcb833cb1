// An edge on the simulated network: one data worker with tables of its own, its listening sockets, and a control thread
// that is two queues. Tests write rows and plans, let actors play clients and servers on the same network (`peers`), and
// turn the worker. Everything repeats with the network's seed.

import {
  LIST_INBOUND,
  LIST_OUTBOUND,
  LIST_RULE,
  LIST_SERVICE,
  LIST_SOURCE,
  LIST_USER,
} from '../../src/layout/lists.ts';
import {
  EVERYTHING,
  EVICT_RECONCILE,
  INBOUND_FORWARD,
  OUTBOUND_DIRECT,
  PREFER_IPV4,
} from '../../src/layout/messages.ts';
import type {
  ControlMessage,
  EvictionJob,
  InboundDefinition,
  OutboundDefinition,
  Plan,
  WorkerMessage,
} from '../../src/layout/messages.ts';
import { deriveNameKeys, hashText, PASSWORD_KEY, USER_NAME_KEY } from '../../src/layout/name-hash.ts';
import { compileNetworks } from '../../src/layout/network-set.ts';
import { REASONS_COUNT, reasonName } from '../../src/layout/reasons.ts';
import {
  CREDENTIAL_HASHED,
  CREDENTIAL_PLAIN,
  SERVICE_ENABLED,
  TARGET_IP,
  TARGET_NAME,
} from '../../src/layout/service.ts';
import { ANY_SERVICE } from '../../src/layout/source.ts';
import { attachTables, createTables, PLAN_OBJECTS_MAX } from '../../src/layout/tables.ts';
import type { TableLimits, Tables } from '../../src/layout/tables.ts';
import type { DataWorker, DataWorkerBounds } from '../../src/path/data-worker.ts';
import { closeDataWorker, startDataWorker, turn } from '../../src/path/start.ts';
import { AF_INET, SO_OOBINLINE, SOCK_STREAM, SOL_SOCKET } from '../../src/sys/constants.ts';
import type { Faults } from '../../src/sys/simulated/faults.ts';
import { NO_FAULTS } from '../../src/sys/simulated/faults.ts';
import type { SimulatedNetwork } from '../../src/sys/simulated/simulated-network.ts';
import type { SimulatedSys } from '../../src/sys/simulated/simulated-sys.ts';
import { MAPPED_WORD, SocketAddress } from '../../src/sys/socket-address.ts';

export const LOOPBACK = 0x7f000001;

const LIMITS: TableLimits = {
  workers: 1,
  slotsPerWorker: 128,
  pipesPerWorker: 8,
  services: 8,
  credentials: 8,
  serverNames: 8,
  targets: 64,
  sources: 1024,
  networkWords: 1024,
  ruleWords: 65_536,
  receipts: 64,
  isIndexed: true,
};
const BOUNDS: DataWorkerBounds = { buffers: 8, candidates: 16 };
const BUDGET = 1_000;
const HASH_KEY = Int32Array.of(1, 2, 3, 4);
const BACKLOG = 512;
/** Keys of rules that tests use. */
const RULE_KEYS_CHECKED = 64;
/** A turn that waits, waits no longer than this. */
const TURN_MS_MAX = 1_000;

export interface EdgeInit {
  /** What the edge's own system calls meet. */
  readonly faults?: Partial<Faults>;
  /** Limit of the edge's descriptor table. */
  readonly descriptorsMax?: number;
  /** Descriptors that connections and pipes may reserve. */
  readonly budget?: number;
  readonly limits?: Partial<TableLimits>;
  readonly bounds?: Partial<DataWorkerBounds>;
  /** What clients and servers meet. */
  readonly peerFaults?: Partial<Faults>;
}

/** What a test says of an inbound; the rest is the rig's. */
export type InboundInit = Partial<InboundDefinition> & { readonly listenFds: readonly number[] };

export interface Edge {
  readonly network: SimulatedNetwork;
  /** The edge's process; and one for all that tests play. */
  readonly sys: SimulatedSys;
  readonly peers: SimulatedSys;
  /** One socket address of the peers, for calls that do not wait. */
  readonly address: SocketAddress;
  readonly tables: Tables;
  readonly w: DataWorker;
  /** What the worker has asked; a test may take from it, or answer at once in `onPost`. */
  readonly posted: WorkerMessage[];
  onPost: (message: WorkerMessage) => void;
  /** Opens one of the edge's listening sockets on 127.0.0.1. */
  listen(port: number): number;
  /** @returns the row */
  addService(init?: { readonly target?: number; readonly outbound?: number }): number;
  /** @param host an IPv4 address as a word, or a name. @returns the record */
  addTarget(host: number | string, port: number): number;
  addUser(name: string, password: string, service: number, hashed?: boolean): number;
  /** Puts a plan into the mailbox; without `settings`, those of the last one. */
  plan(inbounds: readonly InboundInit[], settings?: Partial<Plan>): void;
  tell(message: ControlMessage): void;
  /** Tells the worker to evict: everything, or what is said. @returns the eviction's number */
  evict(job?: Partial<EvictionJob>): number;
  /** As the control thread does after a change that concerns a list. */
  reconcile(list: number, key: number): void;
  turn(): void;
  /**
   * Turns until `isDone`, or until so much virtual time has passed. @returns whether it is done
   * @param turnMsMax what one turn may sleep: how late it is noticed that others have done something
   */
  turnUntil(isDone: () => boolean, virtualMsMax: number, turnMsMax?: number): boolean;
  ended(reason: number): number;
  /** Everything that has ended, by name: for messages of failed tests. */
  endings(): string;
  /** What an edge without connections still holds that it should not; empty where all is well. */
  leaks(): string[];
  /** Closes the worker and the listeners. @returns what is still open */
  close(): string[];
}

export function startEdge(network: SimulatedNetwork, init: EdgeInit = {}): Edge {
  const sys = network.sys({
    faults: init.faults ?? NO_FAULTS,
    descriptorsMax: init.descriptorsMax ?? 20_000,
  });
  const peers = network.sys({ faults: init.peerFaults ?? NO_FAULTS });
  const limits = { ...LIMITS, ...init.limits };
  const bounds = { ...BOUNDS, ...init.bounds };
  const tables = attachTables(createTables(limits, HASH_KEY));
  tables.machine.setDescriptorsMax(0, init.budget ?? BUDGET);
  const keys = deriveNameKeys(HASH_KEY);
  const inbox: ControlMessage[] = [];
  const posted: WorkerMessage[] = [];
  const listeners: number[] = [];
  const address = new SocketAddress(peers);
  const bindAddress = new SocketAddress(sys);
  let services = 0;
  let targets = 0;
  let credentials = 0;
  let planVersion = 0;
  let evictions = 0;
  let settings: Partial<Plan> = {};

  /** What must be had at start is asked for again on a bad day; later calls take what comes. */
  let starting = true;
  const patiently = (open: () => number): number => {
    let fd = open();
    while (fd < 0 && starting) {
      network.advance(1);
      fd = open();
    }
    return fd;
  };
  const patientSys: SimulatedSys = {
    ...sys,
    epollCreate: () => patiently(() => sys.epollCreate()),
    eventfd: () => patiently(() => sys.eventfd()),
  };
  const wakeFd = patientSys.eventfd();
  const mailbox = {
    receive: () => inbox.shift(),
    post(message: WorkerMessage) {
      posted.push(message);
      edge.onPost(message);
    },
  };
  const w = startDataWorker(patientSys, tables, 0, mailbox, wakeFd, bounds);
  starting = false;

  const edge: Edge = {
    network,
    sys,
    peers,
    address,
    tables,
    w,
    posted,
    onPost: () => {},

    listen(port) {
      starting = true;
      const fd = patiently(() => sys.socket(AF_INET, SOCK_STREAM, 0));
      starting = false;
      const length = bindAddress.setIp(0, 0, MAPPED_WORD, LOOPBACK, port);
      const bound = sys.bind(fd, bindAddress.address, length);
      // As the control thread opens them.
      sys.setOptionInt(fd, SOL_SOCKET, SO_OOBINLINE, 1);
      if (bound < 0 || sys.listen(fd, BACKLOG) < 0) throw new Error(`the edge can't listen on ${port}`);
      listeners.push(fd);
      return fd;
    },

    addService(service = {}) {
      tables.services.setFlags(services, SERVICE_ENABLED);
      tables.services.setOutbound(services, service.outbound ?? -1);
      tables.services.setTarget(services, service.target ?? -1);
      tables.services.setGeneration(services, 1);
      return services++;
    },

    addTarget(host, port) {
      const row = tables.targets;
      row.setPort(targets, port);
      row.setGeneration(targets, 1);
      row.setKind(targets, typeof host === 'string' ? TARGET_NAME : TARGET_IP);
      const words = [0, 0, MAPPED_WORD, typeof host === 'string' ? 0 : host];
      for (const [index, word] of words.entries()) row.setAddress(targets, index, word);
      const text = Buffer.from(typeof host === 'string' ? host : '', 'utf8');
      row.setTextBytes(targets, text.length);
      for (let word = 0; word * 4 < text.length; word++) {
        let value = 0;
        for (let byte = 0; byte < 4; byte++) value |= (text[word * 4 + byte] ?? 0) << (byte * 8);
        row.setText(targets, word, value);
      }
      return targets++;
    },

    addUser(name, password, service, hashed = false) {
      const row = tables.credentials;
      const proof = hashText(keys, PASSWORD_KEY, password);
      row.setService(credentials, service);
      row.setKind(credentials, hashed ? CREDENTIAL_HASHED : CREDENTIAL_PLAIN);
      row.setProven(credentials, hashed ? 0 : 1);
      for (let word = 0; word < 4; word++) row.setProof(credentials, word, proof[word] as number);
      row.setGeneration(credentials, 1);
      tables.userNames.set(hashText(keys, USER_NAME_KEY, name), 0, credentials);
      return credentials++;
    },

    plan(inbounds, changes) {
      settings = { ...settings, ...changes };
      const complete = inbounds.map((inbound, index) => ({
        index,
        generation: 1,
        type: INBOUND_FORWARD,
        service: 0,
        target: -1,
        sendProxy: 0,
        tagHash: new Int32Array(2),
        acceptProxyFrom: null,
        ...inbound,
      }));
      const plan: Plan = {
        version: ++planVersion,
        outbounds: [directOutbound()],
        final: 0,
        handshakeMs: 10_000,
        connectMs: 5_000,
        idleMs: 600_000,
        halfCloseMs: 30_000,
        ownListeners: new Int32Array(0),
        localAddresses: new Int32Array(0),
        ...settings,
        inbounds: complete,
      };
      edge.tell({ kind: 'plan', plan });
    },

    tell(message) {
      inbox.push(message);
      tables.workers.setMail(0, 1);
      sys.eventfdSignal(wakeFd);
    },

    evict(job) {
      evictions++;
      // The control thread numbers what no operator began downwards.
      const id = job?.rejudge === undefined ? evictions : -evictions;
      edge.tell({ kind: 'evict', job: { ...EVERYTHING, ...job, id } });
      return id;
    },

    reconcile(list, key) {
      edge.evict({ action: EVICT_RECONCILE, list, keys: Int32Array.of(key) });
    },

    turn: () => turn(w, TURN_MS_MAX),

    turnUntil(isDone, virtualMsMax, turnMsMax = TURN_MS_MAX) {
      const endMs = network.nowMs() + virtualMsMax;
      while (!isDone()) {
        const leftMs = endMs - network.nowMs();
        if (leftMs <= 0) return false;
        turn(w, Math.min(leftMs, turnMsMax));
      }
      return true;
    },

    ended: (reason) => tables.workers.ended(0, reason),

    endings() {
      const parts: string[] = [];
      for (let reason = 0; reason < REASONS_COUNT; reason++) {
        const count = tables.workers.ended(0, reason);
        if (count > 0) parts.push(`${reasonName(reason)} ${count}`);
      }
      return parts.join(', ');
    },

    leaks() {
      const row = tables.workers;
      const found: string[] = [];
      const expectEqual = (what: string, found_: number, expected: number): void => {
        if (found_ !== expected) found.push(`${what}: ${found_}, expected ${expected}`);
      };
      let endedCount = 0;
      for (let reason = 0; reason < REASONS_COUNT; reason++) endedCount += row.ended(0, reason);
      const pipes = row.pipesOpen(0);
      expectEqual('live slots', w.slots.live, 0);
      expectEqual('connections counted', row.connections(0), 0);
      expectEqual('timers armed', w.reactor.wheel.armed, 0);
      expectEqual('slots in the ready list', w.reactor.ready.count, 0);
      expectEqual('leftover buffers', w.buffers.inUse, 0);
      expectEqual('leftover buffers counted', row.leftoversInUse(0), 0);
      expectEqual('accepted beside ended', row.accepted(0), endedCount);
      expectEqual('descriptors reserved', tables.machine.descriptors(0), pipes * 2);
      expectEqual('descriptors of the worker', row.descriptors(0), pipes * 2);
      expectEqual('connections in lists', linked(tables), 0);
      expectEqual('source entries held', sourcesHeld(tables), 0);
      let pins = 0;
      for (let at = 0; at < tables.snapshots.count; at++) pins += Math.abs(tables.snapshots.pins(at));
      expectEqual('pins of snapshots', pins, 0);
      expectEqual('connections kept in silence', w.silent, 0);
      const own = listeners.length + pipes * 2 + 2 + (w.spareFd >= 0 ? 1 : 0);
      expectEqual('descriptors open', sys.openCount(), own);
      const blocks: number[] = [];
      for (let block = w.candidates.take(); block >= 0; block = w.candidates.take()) blocks.push(block);
      expectEqual('blocks of addresses', blocks.length, bounds.candidates);
      for (const block of blocks) w.candidates.release(block);
      return found;
    },

    close() {
      closeDataWorker(w);
      for (const fd of listeners) sys.close(fd);
      sys.close(wakeFd);
      const open = sys.openCount();
      return open === 0 ? [] : [`${open} descriptors open after the worker's end`];
    },
  };
  return edge;
}

/** Over all lists of the worker: what their counts add up to, and one for each that has a first slot. */
function linked(tables: Tables): number {
  const { services, credentials } = tables.shared.limits;
  const keys: [kind: number, count: number][] = [
    [LIST_SOURCE, tables.machine.sourcesTouched(0)],
    [LIST_SERVICE, services],
    [LIST_USER, credentials],
    [LIST_INBOUND, PLAN_OBJECTS_MAX],
    [LIST_OUTBOUND, PLAN_OBJECTS_MAX],
    [LIST_RULE, RULE_KEYS_CHECKED],
  ];
  let sum = 0;
  for (const [kind, count] of keys) {
    for (let key = 0; key < count; key++) {
      sum += tables.lists[0]?.count(kind, key) ?? 0;
      if ((tables.lists[0]?.first(kind, key) ?? -1) >= 0) sum++;
    }
  }
  return sum;
}

function sourcesHeld(tables: Tables): number {
  let held = 0;
  for (let entry = 0; entry < tables.machine.sourcesTouched(0); entry++) {
    if (tables.sources.service(entry) !== ANY_SERVICE) held += Math.max(0, tables.sources.holders(entry));
  }
  return held;
}

/** An outbound that reaches loopback. */
export function directOutbound(changes: Partial<OutboundDefinition> = {}): OutboundDefinition {
  return {
    index: 0,
    generation: 1,
    kind: OUTBOUND_DIRECT,
    allowDestinations: compileNetworks(['127.0.0.0/8', '192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24']),
    bind: new Int32Array(0),
    interface: '',
    fwmark: 0,
    keepaliveIdleS: 0,
    keepaliveIntervalS: 0,
    keepaliveCount: 0,
    userTimeoutMs: 0,
    congestion: '',
    ipVersion: PREFER_IPV4,
    ...changes,
  };
}
