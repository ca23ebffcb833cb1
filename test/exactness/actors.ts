// Clients and servers that a test moves by hand on the simulated network: they say what they are told, keep what they
// hear, and do nothing by themselves. Reading can be held, which is how a slow reader looks.

import { AF_INET, EAGAIN, EINPROGRESS, SHUT_WR, SOCK_STREAM } from '../../src/sys/constants.ts';
import { MAPPED_WORD } from '../../src/sys/socket-address.ts';
import { LOOPBACK } from './simulated-edge.ts';
import type { Edge } from './simulated-edge.ts';

const SCRATCH_BYTES = 64 * 1024;

export class Actor {
  readonly fd: number;
  sawFin = false;
  sawReset = false;
  isClosed = false;
  heardBytes = 0;
  /** While true it reads nothing. */
  isHolding = false;
  private readonly edge: Edge;
  private readonly heard: Buffer[] = [];
  private readonly outbox: Uint8Array[] = [];
  private finDue = false;
  private readonly scratch = new Uint8Array(new ArrayBuffer(SCRATCH_BYTES));
  private readonly at: number;
  private isConnecting: boolean;

  constructor(edge: Edge, fd: number, isConnecting: boolean) {
    this.edge = edge;
    this.fd = fd;
    this.isConnecting = isConnecting;
    this.at = edge.peers.addressOf(this.scratch);
    edge.network.watch(edge.peers, fd, () => this.step());
  }

  /** All that was heard, as Latin-1 text. */
  get text(): string {
    return Buffer.concat(this.heard).toString('latin1');
  }

  get isOver(): boolean {
    return this.sawFin || this.sawReset;
  }

  /** What the kernel has not taken yet. */
  get waitingBytes(): number {
    return this.outbox.reduce((sum, { length }) => sum + length, 0);
  }

  say(what: string | Uint8Array | readonly number[]): this {
    const bytes = typeof what === 'string' ? Buffer.from(what, 'latin1') : Uint8Array.from(what);
    if (bytes.length > 0) this.outbox.push(Uint8Array.from(bytes));
    this.step();
    return this;
  }

  /** FIN, after what was said. */
  fin(): this {
    this.finDue = true;
    this.step();
    return this;
  }

  reset(): void {
    this.edge.peers.resetOnClose(this.fd);
    this.close();
  }

  close(): void {
    if (!this.isClosed) this.edge.peers.close(this.fd);
    this.isClosed = true;
  }

  hold(): this {
    this.isHolding = true;
    return this;
  }

  release(): this {
    this.isHolding = false;
    this.step();
    return this;
  }

  private step(): void {
    const { peers, address } = this.edge;
    if (this.isClosed) return;
    if (this.isConnecting) {
      address.resetLength();
      this.isConnecting = peers.getpeername(this.fd, address.address, address.lengthAddress) < 0;
      if (this.isConnecting && (peers.fileOf(this.fd)?.poll() ?? 0) === 0) return;
    }
    this.write();
    if (!this.isHolding) this.read();
  }

  private write(): void {
    const { peers } = this.edge;
    while (this.outbox.length > 0) {
      const message = this.outbox[0] as Uint8Array;
      const length = Math.min(message.length, SCRATCH_BYTES);
      this.scratch.set(message.subarray(0, length));
      const taken = peers.send(this.fd, this.at, length, 0);
      if (taken < 0) {
        // Nobody will take the rest; whether it was a reset, the next read says.
        if (taken !== -EAGAIN) this.outbox.length = 0;
        if (taken !== -EAGAIN) this.sawReset = true;
        return;
      }
      if (taken === message.length) this.outbox.shift();
      else this.outbox[0] = message.subarray(taken);
    }
    if (this.finDue) peers.shutdown(this.fd, SHUT_WR);
    this.finDue = false;
  }

  private read(): void {
    while (!this.isOver) {
      const taken = this.edge.peers.recv(this.fd, this.at, SCRATCH_BYTES, 0);
      if (taken === -EAGAIN) return;
      if (taken === 0) this.sawFin = true;
      else if (taken < 0) this.sawReset = true;
      else {
        this.heardBytes += taken;
        this.heard.push(Buffer.from(this.scratch.subarray(0, taken)));
      }
    }
  }
}

/** A client that connects to a port of the edge. @param from its own address, as a word; 0: the network chooses */
export function dial(edge: Edge, port: number, from = 0): Actor {
  const { peers, address } = edge;
  const fd = peers.socket(AF_INET, SOCK_STREAM, 0);
  if (from !== 0) {
    const length = address.setIp(0, 0, MAPPED_WORD, from, 0);
    const bound = peers.bind(fd, address.address, length);
    if (bound < 0) throw new Error(`bind answered ${bound}`);
  }
  address.setIp(0, 0, MAPPED_WORD, LOOPBACK, port);
  const answer = peers.connect(fd, address.address, address.length);
  if (answer !== -EINPROGRESS) throw new Error(`connect answered ${answer}`);
  return new Actor(edge, fd, true);
}

export interface Server {
  /** In the order in which they were accepted. */
  readonly accepted: Actor[];
  /** The last one; throws where nobody has come. */
  last(): Actor;
  close(): void;
}

/** A server on a port of 127.0.0.1. @param isHolding whether its connections read nothing at first */
export function serve(edge: Edge, port: number, isHolding = false): Server {
  const { peers, address, network } = edge;
  const listenFd = peers.socket(AF_INET, SOCK_STREAM, 0);
  address.setIp(0, 0, MAPPED_WORD, LOOPBACK, port);
  const opened = peers.bind(listenFd, address.address, address.length);
  if (opened < 0 || peers.listen(listenFd, 512) < 0) throw new Error(`nobody can listen on ${port}`);
  const accepted: Actor[] = [];
  network.watch(peers, listenFd, () => {
    for (let fd = peers.accept(listenFd, 0, 0); fd >= 0; fd = peers.accept(listenFd, 0, 0)) {
      const actor = new Actor(edge, fd, false);
      actor.isHolding = isHolding;
      accepted.push(actor);
    }
  });
  return {
    accepted,
    last() {
      const actor = accepted.at(-1);
      if (actor === undefined) throw new Error('nobody has been accepted');
      return actor;
    },
    close: () => peers.close(listenFd),
  };
}
