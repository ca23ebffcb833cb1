// One seed: a network with its faults, an edge with its bounds, tens of connections through every kind of inbound, each
// end with a script of its own; then what must be true of every connection and of the edge afterwards.
//
// Seeds come in three moods. A *calm* one has every fault that costs nothing but time (split writes, EAGAIN, reordered
// events, fragments, small buffers, delayed connects): whatever the ends did not spoil themselves must be complete. A
// *rough* one also has resets from the network, failing descriptors, tiny tables and short deadlines: whatever arrives
// must still be right, and nothing may be left behind. A *plain* one has no faults: every handshake must succeed.
// In many of each, evictions end some of the connections (random-evictions.ts): exactly those, and no others; and in many
// rules stand in the way (rule-changes.ts), which reject exactly those that they are to.

import { INBOUND_FORWARD, INBOUND_HTTP, INBOUND_SOCKS5 } from '../../src/layout/messages.ts';
import {
  HALF_CLOSE_TIMEOUT,
  HANDSHAKE_TIMEOUT,
  IDLE_TIMEOUT,
  NAME_FAILED,
  NAME_NOT_FOUND,
  RULE_REJECTED,
} from '../../src/layout/reasons.ts';
import type { WorkerMessage } from '../../src/layout/messages.ts';
import type { Faults } from '../../src/sys/simulated/faults.ts';
import { createRandom } from '../../src/sys/simulated/random.ts';
import type { Random } from '../../src/sys/simulated/random.ts';
import { createSimulatedNetwork } from '../../src/sys/simulated/simulated-network.ts';
import { MAPPED_WORD } from '../../src/sys/socket-address.ts';
import { connect, isComplete, judge, pick, planConnection, serve } from './connections.ts';
import type { Connection } from './connections.ts';
import type { Stage } from './peer.ts';
import { evictAtRandom } from './random-evictions.ts';
import type { RandomEvictions } from './random-evictions.ts';
import { changeRules } from './rule-changes.ts';
import type { RuleChanges } from './rule-changes.ts';
import { LOOPBACK, startEdge } from './simulated-edge.ts';
import type { Edge, InboundInit } from './simulated-edge.ts';

const EDGE_PORT = 1_000;
/** Where clients must show a password. */
const CLOSED_PORT = 900;
const SERVER_PORT = 10_000;
/** All scripts are over long before. */
const VIRTUAL_MS_MAX = 900_000;
/** Seven times the most that was seen: a loop that spins shows. */
const TURNS_MAX = 50_000;
/** All scripts of a calm seed are over by then, and no deadline but that of connecting is so short. */
const CALM_MS_MAX = 100_000;
const QUIET_TURNS = 4;
const CLIENTS_WITHIN_MS = 60;
const RESOLVE_MS_MAX = 40;
const VERIFY_MS_MAX = 20;
const BULK_BUFFER_BYTES = 262_144;
const EVICTING_CHANCE = 0.4;
const RULES_CHANCE = 0.4;

type Mood = 'plain' | 'calm' | 'rough';

export interface Outcome {
  /** What was wrong; empty where all is well. */
  readonly mistakes: readonly string[];
  readonly connections: number;
  /** Both ends got everything and both FINs. */
  readonly complete: number;
  /** Evictions have ended them. */
  readonly evicted: number;
  /** Rules have rejected them. */
  readonly rejected: number;
  readonly bytes: number;
  readonly splicedBytes: number;
  readonly peekedReads: number;
  readonly turns: number;
  readonly endings: string;
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
  const connections = Array.from({ length: count }, (_, id) =>
    planConnection(random, id, isBulk, isRough ? 0.2 : 0.05),
  );
  const inbounds = openInbounds(edge, connections, isRough && random.chance(0.4));
  // Of its own, so that the rest of a seed is the same with and without evictions.
  const chance = createRandom(seed ^ 0xe71c7);
  const evictions = chance.chance(EVICTING_CHANCE)
    ? evictAtRandom(edge, chance, inbounds.size, (connection) => inbounds.get(edgePort(connection)) as number)
    : undefined;
  const stage: Stage = {
    sys: edge.peers,
    address: edge.address,
    random: network.random,
    watch: (fd, run) => network.watch(edge.peers, fd, run),
    at: network.at,
  };
  for (const connection of connections) {
    connection.serverPort = SERVER_PORT + connection.id;
    connection.edgePort = edgePort(connection);
    serve(stage, connection);
    network.at(random.next() * CLIENTS_WITHIN_MS, () => connect(stage, connection));
  }
  const ruling = createRandom(seed ^ 0x2b1e5);
  const changes = ruling.chance(RULES_CHANCE) ? changeRules(edge, ruling, connections) : undefined;
  control(edge, random, evictions, changes);
  return observe(edge, connections, mood, faults, evictions, changes);
}

function observe(
  edge: Edge,
  connections: Connection[],
  mood: Mood,
  faults: Partial<Faults>,
  evictions: RandomEvictions | undefined,
  changes: RuleChanges | undefined,
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
  while (quietTurns < QUIET_TURNS && turns++ < TURNS_MAX && network.nowMs() - startMs < VIRTUAL_MS_MAX) {
    edge.turn();
    quietTurns = isQuiet() ? quietTurns + 1 : 0;
  }
  const mistakes: string[] = [];
  if (!isQuiet()) mistakes.push(`not quiet after ${network.nowMs() - startMs} ms and ${turns} turns`);
  const row = edge.tables.workers;
  const nameless: Connection[] = [];
  const expectation = {
    isRough: mood === 'rough',
    mayRefuse: (faults.spuriousAgain ?? 0) > 0 || (faults.splitWrite ?? 0) > 0,
    isToldEarly: changes !== undefined,
    ...(changes === undefined ? {} : { nameless }),
  };
  const evicted = evictions?.ended(connections) ?? new Set();
  mistakes.push(...(evictions?.mistakes ?? []));
  mistakes.push(...(changes?.mistakes ?? []));
  const rejected = changes?.rejected ?? new Set();
  for (const connection of connections) {
    if (rejected.has(connection)) {
      if (connection.serverPeer !== undefined) mistakes.push(`connection ${connection.id} was not rejected`);
      continue;
    }
    judge(connection, evicted.has(connection) ? { ...expectation, isRough: true } : expectation, mistakes);
  }
  if (nameless.length > edge.ended(NAME_FAILED))
    mistakes.push(`${nameless.length} with names did not come to their servers`);
  if (mood !== 'rough') {
    const tookMs = network.nowMs() - startMs;
    if (tookMs >= CALM_MS_MAX) mistakes.push(`it took ${tookMs} ms: a connection stood still`);
    for (const reason of [IDLE_TIMEOUT, HALF_CLOSE_TIMEOUT, HANDSHAKE_TIMEOUT]) {
      if (edge.ended(reason) > 0) mistakes.push(`a connection stood still until a deadline`);
    }
  }
  const endings = edge.endings();
  const outcome = {
    mistakes,
    connections: connections.length,
    complete: connections.filter(isComplete).length,
    evicted: evicted.size,
    rejected: edge.ended(RULE_REJECTED),
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

/** Answers names and passwords after a while. */
function control(
  edge: Edge,
  random: Random,
  evictions: RandomEvictions | undefined,
  changes: RuleChanges | undefined,
): void {
  const loopback = [0, 0, MAPPED_WORD, LOOPBACK];
  const unreachable = [0, 0, MAPPED_WORD, 0xcb007101 | 0];
  const silent = [0, 0, MAPPED_WORD, 0xc0000201 | 0];
  edge.onPost = (message: WorkerMessage) => {
    if (message.kind === 'evicted') evictions?.answered(message);
    changes?.answer(message);
    if (message.kind === 'resolve') {
      const { slot, generation, forRules, question, name } = message;
      const words = name === 'two.test' ? [...unreachable, ...loopback] : loopback;
      const addresses = Int32Array.from(name === 'dead.test' ? [...silent, ...words] : words);
      const reason = name.endsWith('.test') ? 0 : NAME_NOT_FOUND;
      edge.network.at(random.next() * RESOLVE_MS_MAX, () =>
        edge.tell({ kind: 'resolved', slot, generation, forRules, question, addresses, reason }),
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

/**
 * Two inbounds for SOCKS, two for HTTP, one of each for those who show a password; and one for each forwarded connection,
 * since its target is the inbound's.
 * @returns inbounds by port
 */
function openInbounds(
  edge: Edge,
  connections: readonly Connection[],
  isHasty: boolean,
): ReadonlyMap<number, number> {
  const service = edge.addService();
  edge.addUser('ann', 'secret', service);
  edge.addUser('bob', 'hashed', service, true);
  const inbounds: InboundInit[] = [
    { type: INBOUND_SOCKS5, listenFds: [edge.listen(EDGE_PORT)], service },
    { type: INBOUND_HTTP, listenFds: [edge.listen(EDGE_PORT + 1)], service },
    { type: INBOUND_SOCKS5, listenFds: [edge.listen(CLOSED_PORT)], service: -1 },
    { type: INBOUND_HTTP, listenFds: [edge.listen(CLOSED_PORT + 1)], service: -1 },
  ];
  const ports = [EDGE_PORT, EDGE_PORT + 1, CLOSED_PORT, CLOSED_PORT + 1];
  for (const { id, protocol } of connections) {
    if (!protocol.startsWith('forward')) continue;
    ports.push(EDGE_PORT + 2 + id);
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
  return new Map(ports.map((port, inbound) => [port, inbound]));
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

function edgePort({ id, protocol }: Connection): number {
  if (protocol.startsWith('forward')) return EDGE_PORT + 2 + id;
  const isClosed = protocol.endsWith('-password') || protocol.endsWith('-hashed');
  return (isClosed ? CLOSED_PORT : EDGE_PORT) + (protocol.startsWith('socks') ? 0 : 1);
}
