// Real connections through a worker that this thread turns itself: it is their clients and their server too. Each takes four
// descriptors of this process, and is only counted as open after 64 bytes went through it and came back.

import { AF_INET, ECONNRESET, EAGAIN, SOCK_STREAM } from '../../../src/sys/constants.ts';
import { MAPPED_WORD, SocketAddress } from '../../../src/sys/socket-address.ts';
import type { Sys } from '../../../src/sys/sys.ts';
import { openListener } from '../../load/sockets.ts';

const BYTES = 64;
const TRIES_MAX = 10_000;

export interface RealConnection {
  readonly client: number;
  readonly server: number;
}

export class RealConnections {
  private readonly sys: Sys;
  private readonly turn: () => void;
  private readonly edgePort: number;
  private readonly originFd: number;
  private readonly address: SocketAddress;
  private readonly bytesAddress: number;
  /** What the worker is to serve. */
  readonly listenFd: number;
  readonly originPort: number;

  constructor(sys: Sys, turn: () => void) {
    this.sys = sys;
    this.turn = turn;
    const edge = openListener(sys);
    const origin = openListener(sys);
    this.listenFd = edge.fd;
    this.edgePort = edge.port;
    this.originFd = origin.fd;
    this.originPort = origin.port;
    this.address = new SocketAddress(sys);
    this.bytesAddress = sys.addressOf(new Uint8Array(new ArrayBuffer(BYTES)));
  }

  /** Opens a connection from the loopback address `source` through the worker, and lets it relay. */
  open(source: number): RealConnection {
    const { sys, address } = this;
    const client = sys.socket(AF_INET, SOCK_STREAM, 0);
    if (client < 0) throw new Error(`socket: errno ${-client}`);
    const bound = sys.bind(client, address.address, address.setIp(0, 0, MAPPED_WORD, source, 0));
    if (bound < 0) throw new Error(`bind: errno ${-bound}`);
    sys.connect(client, address.address, address.setIp(0, 0, MAPPED_WORD, 0x7f00_0001, this.edgePort));
    const server = this.until(() => sys.accept(this.originFd, 0, 0));
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      sys.send(from, this.bytesAddress, BYTES, 0);
      this.until(() => sys.recv(to, this.bytesAddress, BYTES, 0));
    }
    return { client, server };
  }

  /** Whether both ends were reset; they are closed then. */
  wereReset({ client, server }: RealConnection): boolean {
    const { sys } = this;
    const answers = [client, server].map((fd) => sys.recv(fd, this.bytesAddress, BYTES, 0));
    sys.close(client);
    sys.close(server);
    return answers.every((answer) => answer === -ECONNRESET);
  }

  /** Turns the worker until `attempt` answers something else than that it must wait. */
  private until(attempt: () => number): number {
    let answer = attempt();
    for (let tries = 0; answer === -EAGAIN && tries < TRIES_MAX; tries++) {
      this.turn();
      answer = attempt();
    }
    if (answer < 0) throw new Error(`a connection through the worker failed: errno ${-answer}`);
    return answer;
  }
}
