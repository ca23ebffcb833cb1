// Warms a new worker: real connections through the real path, over loopback, before the worker says that it is ready, so
// that the first clients meet compiled code. The worker plays all three parts itself: it listens, connects as a client and
// answers as the server. Afterwards its counters are as if nothing had been. Owner worker only, before the first turn.

import { setFlagsFromString } from 'node:v8';
import { INBOUND_FORWARD, INBOUND_SOCKS5, OUTBOUND_DIRECT, PREFER_IPV4 } from '../layout/messages.ts';
import type { InboundDefinition, Plan } from '../layout/messages.ts';
import { compileNetworks } from '../layout/network-set.ts';
import { REASONS_COUNT, STOPPED } from '../layout/reasons.ts';
import { SERVICE_ENABLED, TARGET_IP } from '../layout/service.ts';
import { SPARE_ROWS } from '../layout/spare-rows.ts';
import { AF_INET, EAGAIN, SHUT_WR, SOCK_STREAM } from '../sys/constants.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';
import type { DataWorker } from './data-worker.ts';
import { applyPlan, readMail } from './mail.ts';
import { endAll } from './path.ts';
import { turn } from './start.ts';

/** Enough for V8's optimizing compiler to have seen every way to begin and to end, and little enough for a start. */
const GROUPS = 150;
/** Connections at a time, so that lists have more than one member. */
const GROUP_CONNECTIONS = 8;
const ROUND_TRIPS = 4;
const BULK_EVERY = 50;
/** Two of so many end with FINs, which leaves ports in TIME_WAIT for a minute; the others with a reset. */
const ORDERLY_EVERY = 10;
const BULK_BYTES = 2 * 1024 * 1024;
const MESSAGE_BYTES = 64;
const BUFFER_BYTES = 64 * 1024;
const TRIES_MAX = 100;
const LOOPBACK = 0x7f000001;
const DEADLINE_MS = 10_000;

const SOCKS_GREETING = [5, 1, 0];
const SOCKS_REPLIES_BYTES = [2, 10];

/** One listening socket on loopback, and the port it got. */
interface Listener {
  readonly fd: number;
  readonly port: number;
}

/**
 * V8 compiles a function for good after it has run for a budget of bytecodes. While a worker rehearses the budget is a
 * tenth: else it takes some 4,000 connections, and clients pay for the rest. Of the whole process, hence only for a moment.
 */
const EAGER = '--interrupt-budget=13500';
const ORDINARY = '--interrupt-budget=135168';

/** Runs the path. A machine where it can't be run (no loopback) is no error: the worker is just not warm. */
export function warm(w: DataWorker): void {
  if (w.index >= SPARE_ROWS) return;
  w.warming = true;
  setFlagsFromString(EAGER);
  const restoreCounters = saveCounters(w);
  const listeners = [listen(w), listen(w), listen(w)];
  const [origin, forward, socks] = listeners as [Listener, Listener, Listener];
  if (listeners.every(({ fd }) => fd >= 0)) {
    const bytes = new Uint8Array(new ArrayBuffer(BUFFER_BYTES));
    const rehearsal: Rehearsal = { w, origin, bytes, address: w.sys.addressOf(bytes) };
    const service = w.tables.shared.limits.services + w.index;
    const target = w.tables.shared.limits.targets + w.index;
    writeSpareRows(w, service, target, origin.port);
    applyPlan(w, planFor(service, target, forward, socks));
    for (let group = 0; group < GROUPS; group++) if (!rehearse(rehearsal, group, forward, socks)) break;
    applyPlan(w, { ...planFor(service, target, forward, socks), inbounds: [] });
    endAll(w, STOPPED);
    w.tables.services.setGeneration(service, 0);
    w.tables.targets.setGeneration(target, 0);
  }
  for (const { fd } of listeners) if (fd >= 0) w.sys.close(fd);
  restoreCounters();
  w.outbounds.length = 0;
  w.final = -1;
  w.warming = false;
  setFlagsFromString(ORDINARY);
  readMail(w);
}

interface Rehearsal {
  readonly w: DataWorker;
  readonly origin: Listener;
  readonly bytes: Uint8Array;
  readonly address: number;
}

function listen(w: DataWorker): Listener {
  const { sys, address } = w;
  const fd = sys.socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return { fd, port: 0 };
  const length = address.setIp(0, 0, MAPPED_WORD, LOOPBACK, 0);
  const opened = sys.bind(fd, address.address, length) >= 0 && sys.listen(fd, 16) >= 0;
  address.resetLength();
  if (!opened || sys.getsockname(fd, address.address, address.lengthAddress) < 0) {
    sys.close(fd);
    return { fd: -1, port: 0 };
  }
  return { fd, port: address.port };
}

function writeSpareRows(w: DataWorker, service: number, target: number, port: number): void {
  const { services, targets } = w.tables;
  services.setFlags(service, SERVICE_ENABLED);
  services.setOutbound(service, -1);
  services.setTarget(service, target);
  services.setGeneration(service, 1);
  targets.setKind(target, TARGET_IP);
  targets.setPort(target, port);
  targets.setAddress(target, 0, 0);
  targets.setAddress(target, 1, 0);
  targets.setAddress(target, 2, MAPPED_WORD);
  targets.setAddress(target, 3, LOOPBACK);
  targets.setGeneration(target, 1);
}

function planFor(service: number, target: number, forward: Listener, socks: Listener): Plan {
  const inbound = (index: number, type: number, listener: Listener): InboundDefinition => ({
    index,
    generation: 1,
    type,
    listenFds: [listener.fd],
    service,
    target,
    sendProxy: 0,
    tagHash: new Int32Array(2),
    acceptProxyFrom: null,
  });
  const direct = {
    index: 0,
    generation: 1,
    kind: OUTBOUND_DIRECT,
    allowDestinations: compileNetworks(['127.0.0.0/8']),
    bind: new Int32Array(0),
    interface: '',
    fwmark: 0,
    keepaliveIdleS: 0,
    keepaliveIntervalS: 0,
    keepaliveCount: 0,
    userTimeoutMs: 0,
    congestion: '',
    ipVersion: PREFER_IPV4,
  };
  return {
    version: 0,
    inbounds: [inbound(0, INBOUND_FORWARD, forward), inbound(1, INBOUND_SOCKS5, socks)],
    outbounds: [direct],
    final: 0,
    handshakeMs: DEADLINE_MS,
    connectMs: DEADLINE_MS,
    idleMs: DEADLINE_MS,
    halfCloseMs: DEADLINE_MS,
    ownListeners: new Int32Array(0),
    localAddresses: new Int32Array(0),
  };
}

/** The two ends of one connection through the worker; -1 where there is none. */
interface Ends {
  readonly client: number;
  readonly server: number;
}

/** A group of connections from beginning to end. @returns false where something did not go as it always does */
function rehearse(r: Rehearsal, group: number, forward: Listener, socks: Listener): boolean {
  const isSocks = group % 2 === 1;
  // All wait in the listener's queue before the first is accepted.
  const clients = Array.from({ length: GROUP_CONNECTIONS }, () => connect(r, isSocks ? socks : forward));
  const open = clients.map((client) => begin(r, client, isSocks));
  let fine = open.every(({ server }) => server >= 0);
  for (let i = 0; fine && i < ROUND_TRIPS; i++) {
    fine = open.every(
      ({ client, server }) =>
        pass(r, client, server, MESSAGE_BYTES) && pass(r, server, client, MESSAGE_BYTES),
    );
  }
  if (fine && group % BULK_EVERY < 2) {
    const { client, server } = open[0] as Ends;
    fine = pass(r, client, server, BULK_BYTES) && pass(r, server, client, BULK_BYTES);
  }
  // Neither first in, first out nor the reverse.
  for (let i = 0; i < open.length; i++) {
    const ends = open[(i * 3) % open.length] as Ends;
    end(r, ends, group % ORDERLY_EVERY < 2, i % 2 === 0);
  }
  for (let i = 0; i < TRIES_MAX && r.w.slots.live > 0; i++) turn(r.w, 0);
  return fine;
}

function connect(r: Rehearsal, edge: Listener): number {
  const { sys, address } = r.w;
  const client = sys.socket(AF_INET, SOCK_STREAM, 0);
  if (client < 0) return client;
  sys.connect(client, address.address, address.setIp(0, 0, MAPPED_WORD, LOOPBACK, edge.port));
  return client;
}

function begin(r: Rehearsal, client: number, isSocks: boolean): Ends {
  if (client < 0 || (isSocks && !socksHandshake(r, client))) return { client, server: -1 };
  return { client, server: until(r, () => r.w.sys.accept(r.origin.fd, 0, 0)) };
}

/** Either side goes first, with a FIN or with a reset. */
function end(r: Rehearsal, { client, server }: Ends, isOrderly: boolean, clientFirst: boolean): void {
  const { sys } = r.w;
  if (server < 0) {
    if (client >= 0) sys.close(client);
    return;
  }
  const first = clientFirst ? client : server;
  const second = clientFirst ? server : client;
  if (isOrderly) {
    sys.shutdown(first, SHUT_WR);
    until(r, () => (sys.recv(second, r.address, 1, 0) === 0 ? 0 : -1));
    sys.close(second);
    until(r, () => (sys.recv(first, r.address, 1, 0) === 0 ? 0 : -1));
    sys.close(first);
  } else {
    sys.resetOnClose(first);
    sys.close(first);
    until(r, () => (sys.recv(second, r.address, 1, 0) === -EAGAIN ? -1 : 0));
    sys.close(second);
  }
}

function socksHandshake(r: Rehearsal, client: number): boolean {
  const port = r.origin.port;
  const request = [5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff];
  return [SOCKS_GREETING, request].every((message, step) => {
    r.bytes.set(message);
    const sent = until(r, () => r.w.sys.send(client, r.address, message.length, 0));
    return sent === message.length && receive(r, client, SOCKS_REPLIES_BYTES[step] as number);
  });
}

/** Sends `length` bytes from one end to the other, through the worker. */
function pass(r: Rehearsal, from: number, to: number, length: number): boolean {
  const sys = r.w.sys;
  let sent = 0;
  let received = 0;
  for (let idle = 0; received < length && idle < TRIES_MAX; idle++) {
    if (sent < length) {
      const n = sys.send(from, r.address, Math.min(length - sent, BUFFER_BYTES), 0);
      if (n > 0) sent += n;
    }
    turn(r.w, 0);
    for (let n = 1; n > 0; ) {
      n = sys.recv(to, r.address, BUFFER_BYTES, 0);
      if (n > 0) {
        received += n;
        idle = 0;
      }
    }
  }
  return received === length;
}

function receive(r: Rehearsal, fd: number, length: number): boolean {
  let received = 0;
  const all = until(r, () => {
    const n = r.w.sys.recv(fd, r.address, length - received, 0);
    if (n > 0) received += n;
    return received === length ? 0 : -1;
  });
  return all === 0;
}

/** Turns the worker until `attempt` answers no error. */
function until(r: Rehearsal, attempt: () => number): number {
  let answer = attempt();
  for (let i = 0; i < TRIES_MAX && answer < 0; i++) {
    turn(r.w, 0);
    answer = attempt();
  }
  return answer;
}

/** The counters that a rehearsal would change. A replacement's row goes on from what the dead worker counted. */
function saveCounters(w: DataWorker): () => void {
  const { row, index } = w;
  const accepted = row.accepted(index);
  const up = row.upBytes(index);
  const down = row.downBytes(index);
  const spliced = row.splicedBytes(index);
  const connectionsHighest = row.connectionsHighest(index);
  const leftoversHighest = row.leftoversHighest(index);
  const ended = Array.from({ length: REASONS_COUNT }, (_, reason) => row.ended(index, reason));
  return () => {
    row.setAccepted(index, accepted);
    row.setUpBytes(index, up);
    row.setDownBytes(index, down);
    row.setSplicedBytes(index, spliced);
    row.setConnectionsHighest(index, connectionsHighest);
    row.setLeftoversHighest(index, leftoversHighest);
    for (const [reason, count] of ended.entries()) row.setEnded(index, reason, count);
  };
}
