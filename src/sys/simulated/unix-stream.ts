// One end of a Unix stream connection, or a listener. Nothing travels: what one end sends is at once in the other's
// queue, and counts against the sender's buffer until it is read.
// @source linux/net/unix/af_unix.c (unix_poll, unix_stream_connect, unix_release_sock, unix_shutdown)

import {
  EAGAIN,
  EADDRINUSE,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  EISCONN,
  ENOENT,
  ENOTCONN,
  EOPNOTSUPP,
  EPIPE,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  MSG_PEEK,
  SHUT_RD,
  SHUT_WR,
  SOL_SOCKET,
} from '../constants.ts';
import { ByteStream } from './byte-stream.ts';
import { answerUnixPath, readUnixPath } from './endpoint.ts';
import { SocketFile } from './socket-file.ts';

const UNIX_CLOSED = 0;
const UNIX_LISTENING = 1;
const UNIX_CONNECTED = 2;

export class UnixStream extends SocketFile {
  private state = UNIX_CLOSED;
  private path = '';
  private peer: UnixStream | null = null;
  private incoming = new ByteStream();
  private shutdownRead = false;
  private shutdownWrite = false;
  private released = false;
  private backlog = 0;
  private readonly queue: UnixStream[] = [];

  get listening(): boolean {
    return this.state === UNIX_LISTENING;
  }

  poll(): number {
    if (this.state === UNIX_LISTENING) return this.queue.length > 0 ? EPOLLIN : 0;
    let mask = this.error === 0 ? 0 : EPOLLERR;
    if (this.state === UNIX_CLOSED || (this.shutdownRead && this.shutdownWrite)) mask |= EPOLLHUP;
    if (this.shutdownRead) mask |= EPOLLIN | EPOLLRDHUP;
    if (this.incoming.writtenAt > this.incoming.readAt) mask |= EPOLLIN;
    return this.writable() ? mask | EPOLLOUT : mask;
  }

  /** Linux asks for three quarters of the buffer to be free. */
  private writable(): boolean {
    return !this.pressed && this.unsentBytes() * 4 <= this.sendCapacityBytes;
  }

  writeSpace(): void {
    if (!this.released && this.writable()) this.wake(EPOLLOUT);
  }

  bind(address: number, length: number): number {
    const { memory, paths } = this.process.world;
    const path = readUnixPath(memory, address, length);
    if (typeof path === 'number') return path;
    if (this.path !== '') return -EINVAL;
    const created = paths.create(path, this);
    if (created < 0) return -EADDRINUSE;
    this.path = path;
    return 0;
  }

  listen(backlog: number): number {
    if (this.path === '' || this.state === UNIX_CONNECTED) return -EINVAL;
    this.state = UNIX_LISTENING;
    this.backlog = backlog;
    return 0;
  }

  accept(): UnixStream | number {
    if (this.state !== UNIX_LISTENING) return -EINVAL;
    const { faults, world } = this.process;
    if (this.queue.length > 0 && world.random.chance(faults.spuriousAgain)) return -EAGAIN;
    return this.queue.shift() ?? -EAGAIN;
  }

  connect(address: number, length: number): number {
    const { memory, paths } = this.process.world;
    const path = readUnixPath(memory, address, length);
    if (typeof path === 'number') return path;
    const owner = paths.ownerOf(path);
    if (owner === undefined) return -ENOENT;
    if (!(owner instanceof UnixStream) || owner.state !== UNIX_LISTENING) return -ECONNREFUSED;
    if (this.state !== UNIX_CLOSED) return this.state === UNIX_CONNECTED ? -EISCONN : -EINVAL;
    if (owner.queue.length > owner.backlog) return -EAGAIN;
    const child = new UnixStream(owner.process, owner.family);
    child.path = owner.path;
    child.state = UNIX_CONNECTED;
    child.peer = this;
    this.peer = child;
    this.state = UNIX_CONNECTED;
    owner.queue.push(child);
    owner.wake(EPOLLIN);
    return 0;
  }

  localName(address: number, lengthAddress: number): number {
    return answerUnixPath(this.process.world.memory, this.path, address, lengthAddress);
  }

  peerName(address: number, lengthAddress: number): number {
    if (this.peer === null) return -ENOTCONN;
    return answerUnixPath(this.process.world.memory, this.peer.path, address, lengthAddress);
  }

  readable(): number {
    if (this.state !== UNIX_CONNECTED) return -EINVAL;
    const length = this.incoming.writtenAt - this.incoming.readAt;
    if (length > 0) return length;
    if (this.error !== 0) return -this.takeError();
    return this.shutdownRead ? 0 : -EAGAIN;
  }

  consume(length: number): void {
    this.incoming.readAt += length;
    this.peer?.writeSpace();
  }

  recv(target: Uint8Array, offset: number, length: number, flags: number): number {
    const readable = this.readable();
    if (readable <= 0) return readable;
    const taken = Math.min(readable, length);
    this.incoming.peek(target, offset, taken);
    if ((flags & MSG_PEEK) === 0) this.consume(taken);
    return taken;
  }

  send(source: Uint8Array, offset: number, length: number): number {
    if (this.error !== 0) return -this.takeError();
    const peer = this.peer;
    if (peer === null) return -ENOTCONN;
    if (this.shutdownWrite || peer.released || peer.shutdownRead) return -EPIPE;
    const taken = this.accepted(length, this.sendCapacityBytes - this.unsentBytes());
    if (taken <= 0) return taken;
    peer.incoming.write(source, offset, taken);
    peer.incoming.arriveAll();
    peer.wake(EPOLLIN);
    return taken;
  }

  shutdown(how: number): number {
    if (how < SHUT_RD || how > 2) return -EINVAL;
    if (how !== SHUT_WR) this.shutdownRead = true;
    if (how !== SHUT_RD) this.shutdownWrite = true;
    const peer = this.peer;
    if (peer !== null) {
      if (how !== SHUT_WR) peer.shutdownWrite = true;
      if (how !== SHUT_RD) peer.shutdownRead = true;
      peer.wake(0);
    }
    this.wake(0);
    return 0;
  }

  override setOption(level: number, name: number, value: number): number {
    return level === SOL_SOCKET ? super.setOption(level, name, value) : -EOPNOTSUPP;
  }

  override getOption(level: number, name: number): number {
    return level === SOL_SOCKET ? super.getOption(level, name) : -EOPNOTSUPP;
  }

  unsentBytes(): number {
    const stream = this.peer?.incoming;
    return stream === undefined ? 0 : stream.writtenAt - stream.readAt;
  }

  release(): void {
    this.released = true;
    const peer = this.peer;
    if (peer !== null && !peer.released) {
      peer.shutdownRead = true;
      peer.shutdownWrite = true;
      if (this.incoming.writtenAt > this.incoming.readAt) peer.error = ECONNRESET;
      peer.wake(0);
    }
    if (this.state === UNIX_LISTENING) this.refuseQueue();
    this.state = UNIX_CLOSED;
    this.incoming.discard();
  }

  /** Whoever waited to be accepted is told that the connection is gone. */
  private refuseQueue(): void {
    for (const child of this.queue.splice(0)) {
      if (child.peer !== null && !child.peer.released) child.peer.error = ECONNRESET;
      child.release();
    }
  }
}
