// Who is bound to which port, by the rules of Linux: addresses collide when they are equal or one is a wildcard; both
// with SO_REUSEADDR may share while neither listens, both with SO_REUSEPORT always, and a group of listeners shares
// its connections by a hash.
// @source socket(7), linux/net/ipv4/inet_connection_sock.c (inet_csk_bind_conflict)

import { EADDRINUSE, EADDRNOTAVAIL } from '../constants.ts';
import { type Endpoint, isMapped, isWildcard, sameAddress } from './endpoint.ts';

export interface Bound {
  readonly local: Endpoint;
  readonly v6Only: boolean;
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
  readonly listening: boolean;
}

export const EPHEMERAL_PORT_MIN = 32768;
export const EPHEMERAL_PORT_MAX = 60999;

export class Ports<Socket extends Bound = Bound> {
  private readonly byPort = new Map<number, Socket[]>();
  private ephemeralNext: number;

  constructor(ephemeralFirst: number) {
    this.ephemeralNext = ephemeralFirst;
  }

  /** Takes `socket.local`; port 0 asks for any. @returns the port, or a negative errno */
  bind(socket: Socket): number {
    const { local } = socket;
    if (local.port === 0) {
      const port = this.freePort();
      if (port < 0) return port;
      local.port = port;
    }
    const others = this.byPort.get(local.port);
    if (others === undefined) {
      this.byPort.set(local.port, [socket]);
      return local.port;
    }
    for (const other of others) if (collides(socket, other)) return -EADDRINUSE;
    others.push(socket);
    return local.port;
  }

  /** To be asked when a bound socket wants to listen: bind allowed what listening may not. */
  mayListen(socket: Socket): boolean {
    for (const other of this.byPort.get(socket.local.port) ?? []) {
      if (other === socket || !other.listening || !overlaps(socket, other)) continue;
      if (!socket.reusePort || !other.reusePort) return false;
    }
    return true;
  }

  release(socket: Socket): void {
    const others = this.byPort.get(socket.local.port);
    const index = others?.indexOf(socket) ?? -1;
    if (others === undefined || index < 0) return;
    others.splice(index, 1);
    if (others.length === 0) this.byPort.delete(socket.local.port);
  }

  /** A port for a connection that bound none. */
  freePort(): number {
    const count = EPHEMERAL_PORT_MAX - EPHEMERAL_PORT_MIN + 1;
    for (let tries = 0; tries < count; tries++) {
      const port = this.ephemeralNext;
      this.ephemeralNext = port === EPHEMERAL_PORT_MAX ? EPHEMERAL_PORT_MIN : port + 1;
      if (!this.byPort.has(port)) return port;
    }
    return -EADDRNOTAVAIL;
  }

  /** The listener for a connection to `target`; the most specific address wins, `hash` picks within a group. */
  listenerFor(target: Endpoint, hash: number): Socket | undefined {
    const bound = this.byPort.get(target.port);
    if (bound === undefined) return undefined;
    let best: Socket[] = [];
    let bestScore = 0;
    for (const socket of bound) {
      if (!socket.listening) continue;
      const score = scoreOf(socket, target);
      if (score === 0 || score < bestScore) continue;
      if (score > bestScore) best = [];
      bestScore = score;
      best.push(socket);
    }
    return best[hash % Math.max(1, best.length)];
  }
}

function scoreOf(socket: Bound, target: Endpoint): number {
  if (sameAddress(socket.local, target)) return 3;
  if (!isWildcard(socket.local)) return 0;
  if (isMapped(socket.local)) return isMapped(target) ? 2 : 0;
  return isMapped(target) && socket.v6Only ? 0 : 1;
}

function overlaps(left: Bound, right: Bound): boolean {
  return covers(left, right) || covers(right, left);
}

function covers(left: Bound, right: Bound): boolean {
  if (sameAddress(left.local, right.local)) return true;
  if (!isWildcard(left.local)) return false;
  return isMapped(left.local) === isMapped(right.local) || (!isMapped(left.local) && !left.v6Only);
}

function collides(left: Bound, right: Bound): boolean {
  if (!overlaps(left, right)) return false;
  if (left.reusePort && right.reusePort) return false;
  return !(left.reuseAddress && right.reuseAddress && !right.listening);
}
