// An edge for small scenes: one inbound of each kind on one service, one server, and a network without chance.

import { INBOUND_FORWARD, INBOUND_HTTP, INBOUND_SOCKS5 } from '../../src/layout/messages.ts';
import type { Plan } from '../../src/layout/messages.ts';
import { createSimulatedNetwork } from '../../src/sys/simulated/simulated-network.ts';
import type { SimulatedNetworkInit } from '../../src/sys/simulated/simulated-network.ts';
import { dial, serve } from './actors.ts';
import type { Actor, Server } from './actors.ts';
import { LOOPBACK, startEdge } from './simulated-edge.ts';
import type { Edge, EdgeInit, InboundInit } from './simulated-edge.ts';

export const FORWARD_PORT = 1_000;
export const SOCKS_PORT = 1_001;
export const HTTP_PORT = 1_002;
export const SERVER_PORT = 2_000;

/** How long a scene may take before it counts as stuck. */
const SCENE_MS_MAX = 5_000;

export interface SmallEdge {
  readonly edge: Edge;
  readonly server: Server;
  /** As they are in the plan: forward, SOCKS5, HTTP. */
  readonly inbounds: readonly InboundInit[];
  /** Turns until it is so; throws where it never is. */
  until(isSo: () => boolean): void;
  /** Lets so much time pass at least. */
  pass(ms: number): void;
  /** A client of the forward inbound, and the server's end of it. */
  relayed(): { client: Actor; server: Actor };
}

export interface SmallEdgeInit extends EdgeInit {
  readonly network?: Partial<SimulatedNetworkInit>;
  readonly settings?: Partial<Plan>;
  readonly forward?: Partial<InboundInit>;
}

export function startSmallEdge(init: SmallEdgeInit = {}): SmallEdge {
  const network = createSimulatedNetwork({ seed: 1, jitterUs: 0, ...init.network });
  const edge = startEdge(network, init);
  const service = edge.addService();
  const target = edge.addTarget(LOOPBACK, SERVER_PORT);
  const inbounds: InboundInit[] = [
    {
      type: INBOUND_FORWARD,
      listenFds: [edge.listen(FORWARD_PORT)],
      service,
      target,
      ...init.forward,
    },
    { type: INBOUND_SOCKS5, listenFds: [edge.listen(SOCKS_PORT)], service },
    { type: INBOUND_HTTP, listenFds: [edge.listen(HTTP_PORT)], service },
  ];
  edge.plan(inbounds, init.settings);
  edge.turn();
  const server = serve(edge, SERVER_PORT);

  function until(isSo: () => boolean): void {
    if (edge.turnUntil(isSo, SCENE_MS_MAX, 1)) return;
    throw new Error(`not so after ${SCENE_MS_MAX} ms: ${isSo.toString()}; ended: ${edge.endings()}`);
  }

  return {
    edge,
    server,
    inbounds,
    until,
    pass: (ms) => void edge.turnUntil(() => false, ms),
    relayed() {
      const known = server.accepted.length;
      const client = dial(edge, FORWARD_PORT);
      until(() => server.accepted.length > known);
      return { client, server: server.last() };
    },
  };
}

export const SOCKS_GREETING = Uint8Array.of(5, 1, 0);

export function socksRequest(port: number, host = [1, 127, 0, 0, 1]): Uint8Array {
  return Uint8Array.of(5, 1, 0, ...host, port >> 8, port & 0xff);
}
