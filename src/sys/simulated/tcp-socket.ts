// One end of a TCP connection, or a listener: what system calls see of it. How segments travel is in tcp-wire.ts, how
// connections begin in tcp-handshake.ts.
//
//   CLOSED --listen--> LISTENING
//   CLOSED --connect-> CONNECTING --established--> CONNECTED --both FINs, or RST--> CLOSED
//
// `poll` follows tcp_poll line by line, because an edge-triggered reactor depends on every bit of it.
// @source linux/net/ipv4/tcp.c (tcp_poll, tcp_recvmsg_locked, tcp_sendmsg_locked, __tcp_close), af_inet.c

import {
  EADDRINUSE,
  EAGAIN,
  EALREADY,
  ECONNABORTED,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENETUNREACH,
  ENOTCONN,
  EPIPE,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  IP_BIND_ADDRESS_NO_PORT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  MSG_OOB,
  MSG_PEEK,
  SHUT_RD,
  SHUT_WR,
  SO_OOBINLINE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOL_SOCKET,
} from '../constants.ts';
import { ByteStream } from './byte-stream.ts';
import {
  anyEndpoint,
  answerEndpoint,
  type Endpoint,
  fateOf,
  isMapped,
  isWildcard,
  orLoopback,
  readEndpoint,
  sourceFor,
} from './endpoint.ts';
import { SocketFile } from './socket-file.ts';
import { startHandshake } from './tcp-handshake.ts';
import { TCP_CLOSED, TCP_CONNECTED, TCP_CONNECTING, TCP_LISTENING } from './tcp-states.ts';
import { launch, launchReset, wakeWriter } from './tcp-wire.ts';
import type { Process } from './world.ts';

export class TcpSocket extends SocketFile {
  state = TCP_CLOSED;
  local: Endpoint;
  remote: Endpoint;
  peer: TcpSocket | null = null;
  incoming = new ByteStream();
  outgoing = new ByteStream();
  shutdownRead = false;
  shutdownWrite = false;
  finLaunched = false;
  finReceived = false;
  /** Our FIN has arrived at the peer. */
  finAcknowledged = false;
  /** A writer was refused, or poll said so: it is to be woken when there is room. */
  noSpace = false;
  lastArrivalUs = 0;
  /** What was not acknowledged when a reset arrived: Linux goes on counting it (SIOCOUTQ), although it is gone. */
  lostBytes = 0;
  /** The descriptor is closed; what travels is still delivered. */
  released = false;
  /** Which call of connect a segment of the handshake belongs to. */
  attempt = 0;
  backlog = 0;
  readonly queue: TcpSocket[] = [];
  private bound = false;
  /** connect has been called, and has not yet said how it ended. */
  private connectPending = false;

  constructor(process: Process, family: number) {
    super(process, family);
    this.local = anyEndpoint(family);
    this.remote = anyEndpoint(family);
  }

  get listening(): boolean {
    return this.state === TCP_LISTENING;
  }

  get v6Only(): boolean {
    return this.flag(IPPROTO_IPV6, IPV6_V6ONLY);
  }

  get reuseAddress(): boolean {
    return this.flag(SOL_SOCKET, SO_REUSEADDR);
  }

  get reusePort(): boolean {
    return this.flag(SOL_SOCKET, SO_REUSEPORT);
  }

  poll(): number {
    const state = this.state;
    if (state === TCP_LISTENING) return this.queue.length > 0 ? EPOLLIN : 0;
    let mask = this.error === 0 ? 0 : EPOLLERR;
    if (state === TCP_CLOSED || (this.shutdownRead && this.shutdownWrite)) mask |= EPOLLHUP;
    if (this.shutdownRead) mask |= EPOLLIN | EPOLLRDHUP;
    if (state === TCP_CONNECTING) return mask;
    const stream = this.incoming;
    let length = stream.arrivedAt - stream.readAt;
    if (this.urgentPending()) {
      mask |= EPOLLPRI;
      // The urgent byte alone is nothing to read, unless it is to stay in line.
      if (stream.urgentAt === stream.readAt && !this.flag(SOL_SOCKET, SO_OOBINLINE)) length--;
    }
    if (length > 0) mask |= EPOLLIN;
    if (this.shutdownWrite || this.writable()) mask |= EPOLLOUT;
    else this.noSpace = true;
    return mask;
  }

  writable(): boolean {
    const used = this.outgoing.writtenAt - this.outgoing.arrivedAt;
    return !this.pressed && this.sendCapacityBytes - used >= used >> 1;
  }

  writeSpace(): void {
    if (!this.released) wakeWriter(this);
  }

  bind(address: number, length: number): number {
    const { memory, ports } = this.process.world;
    const wanted = readEndpoint(memory, this.family, address, length);
    if (typeof wanted === 'number') return wanted;
    if (this.bound || this.state !== TCP_CLOSED) return -EINVAL;
    this.local = wanted;
    if (wanted.port === 0 && this.flag(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT)) return 0;
    const port = ports.bind(this);
    if (port < 0) this.local = anyEndpoint(this.family);
    else this.bound = true;
    return Math.min(port, 0);
  }

  listen(backlog: number): number {
    const { ports } = this.process.world;
    if (this.state === TCP_LISTENING) {
      this.backlog = backlog;
      return 0;
    }
    if (this.state !== TCP_CLOSED || this.connectPending) return -EINVAL;
    if (!this.bound) {
      const port = ports.bind(this);
      if (port < 0) return port;
      this.bound = true;
    }
    if (!ports.mayListen(this)) return -EADDRINUSE;
    this.backlog = backlog;
    this.state = TCP_LISTENING;
    return 0;
  }

  accept(): TcpSocket | number {
    if (this.state !== TCP_LISTENING) return -EINVAL;
    const { faults, world } = this.process;
    if (this.queue.length > 0 && world.random.chance(faults.spuriousAgain)) return -EAGAIN;
    return this.queue.shift() ?? -EAGAIN;
  }

  /** The listener's end of a connection that `client` has established. */
  createChild(client: TcpSocket): TcpSocket {
    const child = new TcpSocket(this.process, this.family);
    child.inheritOptions(this);
    child.local = { ...client.remote };
    child.remote = { ...client.local };
    child.state = TCP_CONNECTED;
    child.peer = client;
    return child;
  }

  connect(address: number, length: number): number {
    if (this.state === TCP_LISTENING) return -EISCONN;
    if (this.state === TCP_CONNECTING) return -EALREADY;
    if (this.connectPending) return this.connectOutcome();
    if (this.state === TCP_CONNECTED || this.peer !== null) return -EISCONN;
    const { memory, ports } = this.process.world;
    const target = readEndpoint(memory, this.family, address, length);
    if (typeof target === 'number') return target;
    orLoopback(target);
    if (fateOf(target) === ENETUNREACH || (isMapped(target) && this.v6Only)) return -ENETUNREACH;
    if (isWildcard(this.local)) this.local = { ...sourceFor(target), port: this.local.port };
    if (this.local.port === 0) {
      const port = ports.freePort();
      if (port < 0) return port;
      this.local.port = port;
    }
    this.remote = target;
    this.state = TCP_CONNECTING;
    this.connectPending = true;
    this.attempt++;
    startHandshake(this);
    return -EINPROGRESS;
  }

  /** connect on a socket whose attempt has ended: once the result, and a failed socket is as new again. */
  private connectOutcome(): number {
    this.connectPending = false;
    if (this.state === TCP_CONNECTED || this.finReceived) return 0;
    this.shutdownRead = false;
    this.shutdownWrite = false;
    const error = this.takeError();
    return error === 0 ? -ECONNABORTED : -error;
  }

  localName(address: number, lengthAddress: number): number {
    return answerEndpoint(this.process.world.memory, this.family, this.local, address, lengthAddress);
  }

  peerName(address: number, lengthAddress: number): number {
    if (this.state !== TCP_CONNECTED) return -ENOTCONN;
    return answerEndpoint(this.process.world.memory, this.family, this.remote, address, lengthAddress);
  }

  readable(): number {
    const stream = this.incoming;
    let length = stream.arrivedAt - stream.readAt;
    if (this.urgentPending()) length = this.readableBeforeUrgent(length);
    if (length > 0) return length;
    if (this.state === TCP_LISTENING) return -ENOTCONN;
    if (this.finReceived) return 0;
    if (this.error !== 0) return -this.takeError();
    if (this.shutdownRead) return 0;
    return this.state === TCP_CLOSED ? -ENOTCONN : -EAGAIN;
  }

  /** Linux's splice never passes an urgent mark: it sees no bytes behind it, and a FIN there as the end. */
  override spliceable(): number {
    const stream = this.incoming;
    if (this.urgentPending() && stream.urgentAt === stream.readAt) return this.finReceived ? 0 : -EAGAIN;
    return this.readable();
  }

  private urgentPending(): boolean {
    const stream = this.incoming;
    return stream.urgentAt >= stream.readAt && stream.urgentAt < stream.arrivedAt;
  }

  /** A read stops before the urgent byte; unless that is to stay in line, the next one begins behind it. */
  private readableBeforeUrgent(length: number): number {
    const stream = this.incoming;
    const before = stream.urgentAt - stream.readAt;
    if (before > 0) return before;
    if (this.flag(SOL_SOCKET, SO_OOBINLINE)) return length;
    stream.skip(1);
    return length - 1;
  }

  consume(length: number): void {
    this.incoming.readAt += length;
    if (this.peer !== null) launch(this.peer);
  }

  recv(target: Uint8Array, offset: number, length: number, flags: number): number {
    const readable = this.readable();
    if (readable <= 0) return readable;
    const taken = Math.min(readable, length);
    this.incoming.peek(target, offset, taken);
    if ((flags & MSG_PEEK) === 0) this.consume(taken);
    return taken;
  }

  send(source: Uint8Array, offset: number, length: number, flags: number): number {
    if (this.state === TCP_CONNECTING) return -EAGAIN;
    if (this.state !== TCP_CONNECTED || this.shutdownWrite) return -(this.takeError() || EPIPE);
    const stream = this.outgoing;
    const room = this.sendCapacityBytes - (stream.writtenAt - stream.arrivedAt);
    const taken = this.accepted(length, room);
    if (taken < length) this.noSpace = true;
    if (taken <= 0) return taken;
    stream.write(source, offset, taken);
    if ((flags & MSG_OOB) !== 0) stream.urgentAt = stream.writtenAt - 1;
    launch(this);
    return taken;
  }

  shutdown(how: number): number {
    if (how < SHUT_RD || how > 2) return -EINVAL;
    if (this.state === TCP_LISTENING) {
      if (how !== SHUT_WR) this.stopListening();
      this.wake(0);
      return 0;
    }
    if (this.state === TCP_CONNECTING) {
      this.state = TCP_CLOSED;
      this.connectPending = false;
      this.wake(0);
      return 0;
    }
    if (how !== SHUT_WR) this.shutdownRead = true;
    if (how !== SHUT_RD) this.shutdownWrite = true;
    const result = this.state === TCP_CLOSED ? -ENOTCONN : 0;
    launch(this);
    this.wake(0);
    return result;
  }

  unsentBytes(): number {
    if (this.state === TCP_LISTENING) return -EINVAL;
    return this.lostBytes > 0 ? this.lostBytes : this.outgoing.writtenAt - this.outgoing.arrivedAt;
  }

  release(): void {
    this.released = true;
    if (this.bound) this.process.world.ports.release(this);
    if (this.state === TCP_LISTENING) this.stopListening();
    else if (this.state === TCP_CONNECTING) this.state = TCP_CLOSED;
    else if (this.resetsOnRelease || this.incoming.arrivedAt > this.incoming.readAt) launchReset(this);
    else {
      this.shutdownRead = true;
      this.shutdownWrite = true;
      launch(this);
    }
    this.discardIncoming();
  }

  /** Gives the memory of what nobody will read away, once nothing travels in it. */
  discardIncoming(): void {
    if (this.incoming.writtenAt === this.incoming.arrivedAt) this.incoming.discard();
  }

  private stopListening(): void {
    this.state = TCP_CLOSED;
    for (const child of this.queue.splice(0)) {
      child.released = true;
      launchReset(child);
    }
  }
}
