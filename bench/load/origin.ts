// What stands behind the proxy: a minimal server on the poll of whoever owns it (its own process, or the generator's
// loop). Connections are indexed by descriptor. Three services, each on ports of its own:
//
//   echo     sends back what it received
//   source   reads requests of 8 bytes (a Float64, little endian: how many bytes), and sends that much of the pattern
//   sink     compares what it receives with the pattern; after the end of the stream it answers 8 bytes: a Float64,
//            the bytes that were right, or -1, and closes
//   control  answers each byte (a service's number) with the port, 2 bytes little endian, of a new listening socket
//
// Invariant: a connection that still has work after its turn stands in the ready list, so that edges are never lost
// and no connection keeps the loop to itself.

import { EAGAIN, EPOLLERR, EPOLLHUP, EPOLLRDHUP, MSG_PEEK } from '../../src/sys/constants.ts';
import type { Sys } from '../../src/sys/sys.ts';
import { PIECE_BYTES_MAX, Pattern } from './pattern.ts';
import type { Poll } from './poll.ts';
import { openListener } from './sockets.ts';

export const ECHO = 1;
export const SOURCE = 2;
export const SINK = 3;
export const CONTROL = 4;
/** A listening socket's role is its service's number plus this. */
const LISTENER = 8;

const DESCRIPTORS_MAX = 65_536;
const ACCEPT_MAX = 32;
const PIECES_PER_TURN = 4;
const ECHO_PIECE_BYTES = 65_536;
/** Echoed bytes that a socket would not take; only a reader slower than its own requests needs one. */
const LEFTOVERS_MAX = 64;
const ENDED = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

export class Origin {
  private readonly sys: Sys;
  private readonly poll: Poll;
  private readonly pattern = new Pattern();
  private readonly patternAddress: number;
  private readonly piece = Buffer.from(new ArrayBuffer(PIECE_BYTES_MAX));
  private readonly pieceAddress: number;
  private readonly word = new DataView(new ArrayBuffer(8));
  private readonly wordAddress: number;
  private readonly leftovers = new Uint8Array(new ArrayBuffer(LEFTOVERS_MAX * ECHO_PIECE_BYTES));
  private readonly leftoversAddress: number;
  private readonly freeLeftovers = new Int32Array(LEFTOVERS_MAX);
  private freeLeftoverCount = LEFTOVERS_MAX;
  /** Index of a leftover buffer, or -1; its unsent range. */
  private readonly leftover = new Int32Array(DESCRIPTORS_MAX).fill(-1);
  private readonly leftoverFrom = new Int32Array(DESCRIPTORS_MAX);
  private readonly leftoverTo = new Int32Array(DESCRIPTORS_MAX);
  /** source: bytes sent; sink: bytes compared, or -1. */
  private readonly streamOffset = new Float64Array(DESCRIPTORS_MAX);
  /** source: bytes asked for and not yet sent. */
  private readonly owed = new Float64Array(DESCRIPTORS_MAX);
  private readonly ready = new Int32Array(DESCRIPTORS_MAX);
  private readonly readyRole = new Int32Array(DESCRIPTORS_MAX);
  private readonly isReady = new Uint8Array(DESCRIPTORS_MAX);
  readyCount = 0;
  /** Connections that were reset because no leftover buffer was free. */
  overflowCount = 0;

  constructor(sys: Sys, poll: Poll) {
    this.sys = sys;
    this.poll = poll;
    this.patternAddress = sys.addressOf(this.pattern.bytes);
    this.pieceAddress = sys.addressOf(this.piece);
    this.wordAddress = sys.addressOf(new Uint8Array(this.word.buffer));
    this.leftoversAddress = sys.addressOf(this.leftovers);
    for (let index = 0; index < LEFTOVERS_MAX; index++) this.freeLeftovers[index] = index;
  }

  /** Opens one more port for `service`. @returns the port */
  listen(service: number): number {
    const { fd, port } = openListener(this.sys);
    this.poll.addListener(fd, service + LISTENER);
    return port;
  }

  /** Handles one event of a role that is not the client's. */
  handle(role: number, fd: number, mask: number): void {
    if (role >= LISTENER) this.accept(fd, role - LISTENER);
    else this.turn(role, fd, mask);
  }

  /** Gives each connection in the ready list one more turn. */
  runReady(): void {
    const count = this.readyCount;
    this.readyCount = 0;
    for (let index = 0; index < count; index++) {
      const fd = this.ready[index] as number;
      // Read first: the turn may append the connection again, at a place that was passed already.
      const role = this.readyRole[index] as number;
      this.isReady[fd] = 0;
      this.turn(role, fd, 0);
    }
  }

  private accept(listener: number, service: number): void {
    for (let turn = 0; turn < ACCEPT_MAX; turn++) {
      const fd = this.sys.accept(listener, 0, 0);
      if (fd < 0) return;
      this.streamOffset[fd] = 0;
      this.owed[fd] = 0;
      if (this.poll.addConnection(fd, service, fd) < 0) this.sys.close(fd);
    }
  }

  private turn(role: number, fd: number, mask: number): void {
    if (role === ECHO) this.echo(fd, mask);
    else if (role === SOURCE) this.pour(fd);
    else if (role === SINK) this.swallow(fd);
    else this.obey(fd);
  }

  private again(role: number, fd: number): void {
    if (this.isReady[fd] === 1) return;
    this.isReady[fd] = 1;
    this.ready[this.readyCount] = fd;
    this.readyRole[this.readyCount++] = role;
  }

  private echo(fd: number, mask: number): void {
    const sys = this.sys;
    if ((this.leftover[fd] as number) >= 0 && !this.flushLeftover(fd)) return;
    for (;;) {
      const received = sys.recv(fd, this.pieceAddress, ECHO_PIECE_BYTES, 0);
      if (received === -EAGAIN) return;
      if (received <= 0) return this.end(fd);
      const sent = sys.send(fd, this.pieceAddress, received, 0);
      if (sent !== received) {
        if (sent < 0 && sent !== -EAGAIN) return this.end(fd);
        return this.keepLeftover(fd, sent < 0 ? 0 : sent, received);
      }
      // A short read emptied the socket, and whatever comes later is a new edge; but an end that was announced
      // together with the bytes is not announced again.
      if (received < ECHO_PIECE_BYTES && (mask & ENDED) === 0) return;
    }
  }

  private keepLeftover(fd: number, from: number, to: number): void {
    if (this.freeLeftoverCount === 0) {
      this.overflowCount++;
      this.sys.resetOnClose(fd);
      return this.end(fd);
    }
    const index = this.freeLeftovers[--this.freeLeftoverCount] as number;
    this.leftovers.set(this.piece.subarray(from, to), index * ECHO_PIECE_BYTES + from);
    this.leftover[fd] = index;
    this.leftoverFrom[fd] = from;
    this.leftoverTo[fd] = to;
  }

  /** @returns whether all of it went, so that the connection may read on */
  private flushLeftover(fd: number): boolean {
    const from = this.leftoverFrom[fd] as number;
    const to = this.leftoverTo[fd] as number;
    const address = this.leftoversAddress + (this.leftover[fd] as number) * ECHO_PIECE_BYTES + from;
    const sent = this.sys.send(fd, address, to - from, 0);
    if (sent === to - from) {
      this.dropLeftover(fd);
      return true;
    }
    if (sent > 0) this.leftoverFrom[fd] = from + sent;
    else if (sent !== -EAGAIN) this.end(fd);
    return false;
  }

  private dropLeftover(fd: number): void {
    this.freeLeftovers[this.freeLeftoverCount++] = this.leftover[fd] as number;
    this.leftover[fd] = -1;
  }

  private pour(fd: number): void {
    const sys = this.sys;
    if (!this.readRequests(fd)) return;
    for (let turn = 0; turn < PIECES_PER_TURN; turn++) {
      const owed = this.owed[fd] as number;
      if (owed === 0) return;
      const offset = this.streamOffset[fd] as number;
      const length = owed < PIECE_BYTES_MAX ? owed : PIECE_BYTES_MAX;
      const sent = sys.send(fd, this.patternAddress + this.pattern.position(offset), length, 0);
      if (sent === -EAGAIN) return;
      if (sent < 0) return this.end(fd);
      this.streamOffset[fd] = offset + sent;
      this.owed[fd] = owed - sent;
    }
    if ((this.owed[fd] as number) > 0) this.again(SOURCE, fd);
  }

  /** Adds to what is owed. @returns whether the connection still stands */
  private readRequests(fd: number): boolean {
    const sys = this.sys;
    for (;;) {
      // A request may come in pieces: it stays in the socket until it is whole.
      const there = sys.recv(fd, this.wordAddress, 8, MSG_PEEK);
      if (there === -EAGAIN || (there > 0 && there < 8)) return true;
      if (there <= 0) {
        this.end(fd);
        return false;
      }
      sys.recv(fd, this.wordAddress, 8, 0);
      this.owed[fd] = (this.owed[fd] as number) + this.word.getFloat64(0, true);
    }
  }

  private swallow(fd: number): void {
    const sys = this.sys;
    for (let turn = 0; turn < PIECES_PER_TURN; turn++) {
      const received = sys.recv(fd, this.pieceAddress, PIECE_BYTES_MAX, 0);
      if (received === -EAGAIN) return;
      if (received < 0) return this.end(fd);
      const offset = this.streamOffset[fd] as number;
      if (received === 0) {
        this.word.setFloat64(0, offset, true);
        sys.send(fd, this.wordAddress, 8, 0);
        return this.end(fd);
      }
      const right = offset >= 0 && this.pattern.matches(this.piece, received, offset);
      this.streamOffset[fd] = right ? offset + received : -1;
    }
    this.again(SINK, fd);
  }

  private obey(fd: number): void {
    const received = this.sys.recv(fd, this.wordAddress, 1, 0);
    if (received === -EAGAIN) return;
    if (received !== 1) return this.end(fd);
    this.word.setUint16(0, this.listen(this.word.getUint8(0)), true);
    this.sys.send(fd, this.wordAddress, 2, 0);
  }

  private end(fd: number): void {
    if ((this.leftover[fd] as number) >= 0) this.dropLeftover(fd);
    this.sys.close(fd);
  }
}
