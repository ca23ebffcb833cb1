// One seed: a network with its faults, an edge with its bounds, tens of connections through every kind of inbound, each
// end with a script of its own; then what must be true of every connection and of the edge afterwards.
//
// Seeds come in three moods. A *calm* one has every fault that costs nothing but time (split writes, EAGAIN, reordered
// events, fragments, small buffers, delayed connects): whatever the ends did not spoil themselves must be complete. A
// *rough* one also has resets from the network, failing descriptors, tiny tables and short deadlines: whatever arrives
// must still be right, and nothing may be left behind. A *plain* one has no faults: every handshake must succeed.

import { INBOUND_FORWARD, INBOUND_HTTP, INBOUND_SOCKS5 } from '../../src/layout/messages.ts';
import {
  BUFFERS_EXHAUSTED,
  HALF_CLOSE_TIMEOUT,
  HANDSHAKE_TIMEOUT,
  IDLE_TIMEOUT,
  NAME_NOT_FOUND,
} from '../../src/layout/reasons.ts';
import type { WorkerMessage } from '../../src/layout/messages.ts';
import { AF_INET, EINPROGRESS, SOCK_STREAM } from '../../src/sys/constants.ts';
import type { Faults } from '../../src/sys/simulated/faults.ts';
import { createRandom } from '../../src/sys/simulated/random.ts';
import type { Random } from '../../src/sys/simulated/random.ts';
import { createSimulatedNetwork } from '../../src/sys/simulated/simulated-network.ts';
import { MAPPED_WORD } from '../../src/sys/socket-address.ts';
import { stretchAt } from './pattern.ts';
import { Peer } from './peer.ts';
import type { Script } from './peer.ts';
import {
  clientPreface,
  hearsRequestHead,
  hearsProxyHeader,
  RESPONSE_HEAD,
  type Protocol,
} from './prefaces.ts';
import { LOOPBACK, startEdge } from './simulated-edge.ts';
import type { Edge, InboundInit } from './simulated-edge.ts';

const EDGE_PORT = 1_000;
const SERVER_PORT = 10_000;
/** All scripts are over long before. */
const VIRTUAL_MS_MAX = 900_000;
/** Seven times the most that was seen: a loop that spins shows. */
const TURNS_MAX = 50_000;
const QUIET_TURNS = 4;
const CLIENTS_WITHIN_MS = 60;
const RESOLVE_MS_MAX = 40;
const VERIFY_MS_MAX = 20;
const BYTES_MAX = 300_000;
/** For seeds that are to meet splicing: enough full reads in a row. */
const BULK_BYTES_MAX = 1_400_000;
const BULK_BUFFER_BYTES = 262_144;

type Mood = 'plain' | 'calm' | 'rough';

export interface Outcome {
  /** What was wrong; empty where all is well. */
  readonly mistakes: readonly string[];
  readonly connections: number;
  /** Both ends got everything and both FINs. */
  readonly complete: number;
  readonly bytes: number;
  readonly splicedBytes: number;
  readonly peekedReads: number;
  readonly turns: number;
  readonly endings: string;
}

interface Connection {
  readonly id: number;
  readonly protocol: Protocol;
  readonly hasServer: boolean;
  readonly client: Script;
  readonly server: Script;
  /** Of the client's bytes, those that are for the server: a request has one body. */
  readonly upBytes: number;
  readonly eager: boolean;
  /** The name that the client writes in place of an address, or ''. */
  readonly name: string;
  clientPeer: Peer | undefined;
  serverPeer: Peer | undefined;
  clientPort: number;
}

export function runSeed(seed: number): Outcome {
  const random = createRandom(seed ^ 0x5eed);
  const mood: Mood = random.chance(0.15) ? 'plain' : random.chance(0.55) ? 'calm' : 'rough';
  const isBulk = random.chance(0.08);
  const network = createSimulatedNetwork({
    seed,
    latencyUs: pick(random, [10, 50, 500]),
    jitterUs: pick(random, [0, 50, 1_000]),
    sendBytesMax: isBulk ? BULK_BUFFER_BYTES : pick(random, [16_384, 65_536, 262_144]),
    receiveBytesMax: isBulk ? BULK_BUFFER_BYTES : pick(random, [16_384, 65_536, 262_144]),
    // Ticks wrap around in some.
    startMs: random.chance(0.1) ? 2 ** 32 - 200 : 1_000_000,
  });
  const count = isBulk ? 3 + random.below(4) : 8 + random.below(24);
  const isRough = mood === 'rough';
  const pipes = 1 + random.below(4);
  const faults = faultsOf(random, mood);
  const edge = startEdge(network, {
    faults,
    peerFaults: {
      fragment: faults.fragment ?? 0,
      smallBuffers: faults.smallBuffers ?? 0,
      reset: faults.reset ?? 0,
      delayedConnect: faults.delayedConnect ?? 0,
    },
    budget: isRough && random.chance(0.3) ? 4 + random.below(count * 2) : (count + pipes) * 2,
    ...(isRough && random.chance(0.3) ? { descriptorsMax: 60 + random.below(count * 2) } : {}),
    bounds: { buffers: 2 + random.below(3), candidates: isRough ? 1 + random.below(4) : count },
    limits: {
      slotsPerWorker: isRough && random.chance(0.3) ? 1 + random.below(count) : count,
      pipesPerWorker: pipes,
      targets: 64,
    },
  });
  const connections = Array.from({ length: count }, (_, id) => plan(random, id, mood, isBulk));
  control(edge, random);
  openInbounds(edge, connections, isRough && random.chance(0.4));
  for (const connection of connections) {
    if (connection.hasServer) serve(edge, connection);
    network.at(random.next() * CLIENTS_WITHIN_MS, () => connect(edge, connection));
  }
  return observe(edge, connections, mood, faults, VIRTUAL_MS_MAX);
}

function observe(
  edge: Edge,
  connections: Connection[],
  mood: Mood,
  faults: Partial<Faults>,
  msMax: number,
): Outcome {
  const { network, w } = edge;
  const startMs = network.nowMs();
  const isQuiet = () =>
    w.slots.live === 0 &&
    connections.every(({ clientPeer, serverPeer }) => {
      return clientPeer !== undefined && clientPeer.isOver && (serverPeer?.isOver ?? true);
    });
  let turns = 0;
  // Quiet for some turns: a client that has gone may still stand in a listener's queue, a slot in the ready list.
  let quietTurns = 0;
  while (quietTurns < QUIET_TURNS && turns++ < TURNS_MAX && network.nowMs() - startMs < msMax) {
    edge.turn();
    quietTurns = isQuiet() ? quietTurns + 1 : 0;
  }
  const mistakes: string[] = [];
  if (!isQuiet()) mistakes.push(`not quiet after ${network.nowMs() - startMs} ms and ${turns} turns`);
  const row = edge.tables.workers;
  for (const connection of connections) judge(edge, connection, mood, faults, mistakes);
  if (mood !== 'rough') {
    for (const reason of [IDLE_TIMEOUT, HALF_CLOSE_TIMEOUT, HANDSHAKE_TIMEOUT]) {
      if (edge.ended(reason) > 0) mistakes.push(`a connection stood still until a deadline`);
    }
  }
  const endings = edge.endings();
  const outcome = {
    mistakes,
    connections: connections.length,
    complete: connections.filter(isComplete).length,
    bytes: row.upBytes(0) + row.downBytes(0),
    splicedBytes: row.splicedBytes(0),
    peekedReads: row.peekedReads(0),
    turns,
    endings,
  };
  mistakes.push(...edge.leaks(), ...edge.close());
  if (mistakes.length > 0) mistakes.push(`(${mood}; ended: ${endings})`);
  return outcome;
}

/** What must be true of one connection, whatever happened to it. */
function judge(
  edge: Edge,
  connection: Connection,
  mood: Mood,
  faults: Partial<Faults>,
  mistakes: string[],
): void {
  const { id, protocol, clientPeer: client, serverPeer: server, upBytes } = connection;
  const say = (what: string) =>
    mistakes.push(`connection ${id} (${protocol}): ${what}; client ${tell(client)}, server ${tell(server)}`);
  if (client === undefined) return;
  if (client.isWrong) say('the client got wrong bytes');
  if (server?.isWrong) say('the server got wrong bytes');
  const downBytes = connection.server.bytes;
  // A FIN says that the stream is whole: it was sent, and everything before it has come.
  if (server?.sawFin && !(client.finSent || client.closedEarly)) say('the server saw a FIN that nobody sent');
  if (server?.sawFin && server.received !== upBytes) say('the server saw a FIN after a part');
  if (client.isEstablished && client.sawFin) {
    if (!(server?.finSent || server?.closedEarly)) say('the client saw a FIN that nobody sent');
    if (client.received !== downBytes) say('the client saw a FIN after a part');
  }
  // A reset travels on, unless the other end has gone by itself.
  if (client.resetSent && !client.finSent && server !== undefined) {
    if (!server.sawReset && !server.resetSent && !server.closedEarly)
      say('the reset did not reach the server');
  }
  if (server?.resetSent && !server.finSent && client.isEstablished) {
    if (!client.sawReset && !client.resetSent && !client.closedEarly)
      say('the reset did not reach the client');
  }
  if (mood === 'rough') return;
  const isOwnDoing = [client, server].some((peer) => peer?.resetSent || peer?.closedEarly);
  if (isOwnDoing) return;
  // A request's body is never held back (framed.ts): without a buffer it is cut, and says so.
  if (protocol === 'post' && edge.ended(BUFFERS_EXHAUSTED) > 0) return;
  if (!connection.hasServer) {
    if (client.isEstablished && !protocol.startsWith('forward')) say('connected to nobody');
    return;
  }
  // Only what we say in a handshake is given up when the kernel will not take it at once (answer.ts).
  const mayRefuse = (faults.spuriousAgain ?? 0) > 0 || (faults.splitWrite ?? 0) > 0;
  const isEstablished = client.isEstablished && server?.isEstablished === true;
  if (!isEstablished && (!mayRefuse || protocol === 'forward')) say('was not established');
  if (isEstablished && !isComplete(connection)) say('is not complete');
}

function isComplete({ clientPeer, serverPeer, upBytes, server }: Connection): boolean {
  if (clientPeer === undefined || serverPeer === undefined) return false;
  if (!clientPeer.sawFin || !serverPeer.sawFin) return false;
  return serverPeer.received === upBytes && clientPeer.received === server.bytes;
}

function tell(peer: Peer | undefined): string {
  if (peer === undefined) return 'absent';
  const said = [`sent ${peer.sent}`, `received ${peer.received}`];
  const flags = { ...peer };
  for (const [name, value] of Object.entries(flags)) if (value === true) said.push(name);
  return said.join(' ');
}

function faultsOf(random: Random, mood: Mood): Partial<Faults> {
  if (mood === 'plain') return {};
  const some = (probability: number) => (random.chance(0.6) ? random.next() * probability : 0);
  const harmless: Partial<Faults> = {
    splitWrite: some(0.3),
    spuriousAgain: some(0.1),
    interrupt: some(0.05),
    reorder: some(0.8),
    fragment: some(0.15),
    smallBuffers: some(0.5),
    delayedConnect: some(0.3),
  };
  if (mood === 'calm') return harmless;
  return { ...harmless, reset: some(0.3), descriptorsExhausted: some(0.05) };
}

/** Mostly small, sometimes nothing, sometimes far more than every buffer on the way. */
function someBytes(random: Random, isBulk: boolean): number {
  if (isBulk && random.chance(0.6)) return BULK_BYTES_MAX - random.below(BYTES_MAX);
  const kind = random.next();
  if (kind < 0.1) return 0;
  if (kind < 0.45) return 1 + random.below(600);
  if (kind < 0.8) return 1 + random.below(20_000);
  if (kind < 0.93) return 1 + random.below(100_000);
  return 1 + random.below(BYTES_MAX);
}

function script(random: Random, index: number, bytes: number, mayWait: boolean): Script {
  const kind = random.next();
  const isSlow = random.chance(0.25);
  const waits = mayWait && random.chance(0.4);
  return {
    patternAt: stretchAt(index),
    bytes,
    end: kind < 0.08 ? 'reset' : kind < 0.14 ? 'close' : waits ? 'fin-after-peer' : 'fin',
    resetAfterMs: random.chance(0.08) ? random.next() * 80 : -1,
    pieceBytesMax: pick(random, [100, 2_000, 16_000, 60_000]) + (bytes >> 5),
    pauseChance: random.chance(0.4) ? random.next() * 0.3 : 0,
    pauseMsMax: 20,
    readAfterMs: random.chance(0.2) ? random.next() * 100 : 0,
    readBytes: isSlow ? 200 + random.below(20_000) : 0,
    readEveryMs: isSlow ? random.next() * 4 : 0,
  };
}

const PROTOCOLS: readonly Protocol[] = [
  'forward',
  'forward',
  'forward-proxy-1',
  'forward-proxy-2',
  'socks',
  'socks',
  'socks-password',
  'socks-hashed',
  'connect',
  'connect',
  'connect-password',
  'post',
];

function plan(random: Random, id: number, mood: Mood, isBulk: boolean): Connection {
  const protocol = pick(random, PROTOCOLS);
  const client = script(random, id * 2, someBytes(random, isBulk), true);
  const server = script(random, id * 2 + 1, someBytes(random, isBulk), client.end !== 'fin-after-peer');
  // What follows the one request goes nowhere.
  const upBytes = protocol === 'post' && random.chance(0.3) ? random.below(client.bytes + 1) : client.bytes;
  const isNamed = !protocol.startsWith('forward') && random.chance(0.3);
  return {
    id,
    protocol,
    client,
    server,
    upBytes,
    hasServer: !random.chance(mood === 'rough' ? 0.2 : 0.05),
    eager: protocol === 'post' || random.chance(0.3),
    name: isNamed ? pick(random, ['one.test', 'two.test', 'dead.test']) : '',
    clientPeer: undefined,
    serverPeer: undefined,
    clientPort: -1,
  };
}

/** Answers names and passwords after a while. */
function control(edge: Edge, random: Random): void {
  const loopback = [0, 0, MAPPED_WORD, LOOPBACK];
  const unreachable = [0, 0, MAPPED_WORD, 0xcb007101 | 0];
  const silent = [0, 0, MAPPED_WORD, 0xc0000201 | 0];
  edge.onPost = (message: WorkerMessage) => {
    if (message.kind === 'resolve') {
      const { slot, generation, name } = message;
      const words = name === 'two.test' ? [...unreachable, ...loopback] : loopback;
      const addresses = Int32Array.from(name === 'dead.test' ? [...silent, ...words] : words);
      const reason = name.endsWith('.test') ? 0 : NAME_NOT_FOUND;
      edge.network.at(random.next() * RESOLVE_MS_MAX, () =>
        edge.tell({ kind: 'resolved', slot, generation, addresses, reason }),
      );
    } else if (message.kind === 'verify') {
      const { slot, generation, credential } = message;
      edge.network.at(random.next() * VERIFY_MS_MAX, () => {
        edge.tables.credentials.setProven(credential, 1);
        edge.tell({ kind: 'verified', slot, generation, reason: 0 });
      });
    }
  };
}

/** One inbound for SOCKS, one for HTTP, and one for each forwarded connection, since its target is the inbound's. */
function openInbounds(edge: Edge, connections: readonly Connection[], isHasty: boolean): void {
  const service = edge.addService();
  edge.addUser('ann', 'secret', service);
  edge.addUser('bob', 'hashed', service, true);
  const inbounds: InboundInit[] = [
    { type: INBOUND_SOCKS5, listenFds: [edge.listen(EDGE_PORT)], service },
    { type: INBOUND_HTTP, listenFds: [edge.listen(EDGE_PORT + 1)], service },
  ];
  for (const { id, protocol } of connections) {
    if (!protocol.startsWith('forward')) continue;
    inbounds.push({
      type: INBOUND_FORWARD,
      listenFds: [edge.listen(EDGE_PORT + 2 + id)],
      service,
      target: edge.addTarget(LOOPBACK, SERVER_PORT + id),
      sendProxy: protocol === 'forward-proxy-1' ? 1 : protocol === 'forward-proxy-2' ? 2 : 0,
    });
  }
  const deadlines = isHasty
    ? { handshakeMs: 50, connectMs: 100, idleMs: 60, halfCloseMs: 40 }
    : { handshakeMs: 60_000, connectMs: 2_000, idleMs: 300_000, halfCloseMs: 120_000 };
  edge.plan(inbounds, deadlines);
  edge.turn();
}

function edgePort({ id, protocol }: Connection): number {
  if (protocol.startsWith('forward')) return EDGE_PORT + 2 + id;
  return protocol.startsWith('socks') ? EDGE_PORT : EDGE_PORT + 1;
}

function connect(edge: Edge, connection: Connection): void {
  const { network, peers, address } = edge;
  const { id, client, server, protocol, name, upBytes, eager } = connection;
  const fd = peers.socket(AF_INET, SOCK_STREAM, 0);
  address.setIp(0, 0, MAPPED_WORD, LOOPBACK, edgePort(connection));
  const answer = peers.connect(fd, address.address, address.length);
  if (answer !== -EINPROGRESS) throw new Error(`a client's connect answered ${answer}`);
  address.resetLength();
  peers.getsockname(fd, address.address, address.lengthAddress);
  connection.clientPort = address.port;
  const preface = clientPreface(protocol, name === '' ? '127.0.0.1' : name, SERVER_PORT + id, upBytes);
  const expected = { patternAt: server.patternAt, bytes: server.bytes };
  connection.clientPeer = new Peer({
    network,
    sys: peers,
    fd,
    script: client,
    expected,
    eager,
    isConnecting: true,
    ...preface,
  });
}

function serve(edge: Edge, connection: Connection): void {
  const { network, peers, address } = edge;
  const { id, client, server, protocol, upBytes } = connection;
  const listenFd = peers.socket(AF_INET, SOCK_STREAM, 0);
  address.setIp(0, 0, MAPPED_WORD, LOOPBACK, SERVER_PORT + id);
  if (peers.bind(listenFd, address.address, address.length) < 0 || peers.listen(listenFd, 8) < 0) {
    throw new Error('a server can not listen');
  }
  const expected = { patternAt: client.patternAt, bytes: upBytes };
  const isPost = protocol === 'post';
  const hears = isPost
    ? [hearsRequestHead(upBytes)]
    : protocol === 'forward-proxy-1' || protocol === 'forward-proxy-2'
      ? [
          hearsProxyHeader(
            protocol === 'forward-proxy-1' ? 1 : 2,
            () => connection.clientPort,
            edgePort(connection),
          ),
        ]
      : [];
  const says = isPost ? [new Uint8Array(0), RESPONSE_HEAD] : [];
  network.watch(peers, listenFd, () => {
    const fd = peers.accept(listenFd, 0, 0);
    if (fd < 0) return;
    connection.serverPeer = new Peer({ network, sys: peers, fd, script: server, expected, hears, says });
  });
}

function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[random.below(choices.length)] as T;
}
