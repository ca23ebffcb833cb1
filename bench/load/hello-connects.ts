// Connections that say whom they want: connect, a TLS ClientHello with a server name, all of it back from the origin, close. Or
// none of it, where this name is to be refused: then the proxy ends the connection before a byte comes. Whoever is served and
// should not be, or the other way round, counts as failed, so that a run without failures is one in which every verdict was right.

import { EAGAIN } from '../../src/sys/constants.ts';
import { nowTicks, TICKS_PER_MS } from './clock.ts';
import { LOAD_BUFFER_BYTES, type Load, type LoadResult, resultOf } from './load.ts';
import { ROLE_CLIENT } from './poll.ts';
import { Dialler } from './sockets.ts';
import { WAIT_MS_MAX, Window } from './window.ts';

const STALL_MS_MAX = 3000;

export interface HelloConnectsWork {
  readonly port: number;
  readonly pids: readonly number[];
  readonly inFlight: number;
  readonly warmupConnections: number;
  readonly measuredConnections: number;
  /** Server names, in turn. */
  readonly names: readonly string[];
  /** By name: '1', it is to be refused; '0', it is to be served. */
  readonly refused: string;
}

class HelloConnects {
  private readonly load: Load;
  private readonly dialler: Dialler;
  private readonly names: number;
  private readonly hellos: Uint8Array;
  private readonly hellosAddress: number;
  private readonly helloAt: Int32Array;
  private readonly isRefused: Uint8Array;
  private readonly fds: Int32Array;
  private readonly sent: Int32Array;
  private readonly received: Int32Array;
  private readonly name: Int32Array;
  private readonly startTicks: Float64Array;
  private turn = 0;
  /** Connections that may still be started. */
  allowed: number;
  finished = 0;
  failures = 0;

  constructor(load: Load, work: HelloConnectsWork) {
    this.load = load;
    this.dialler = new Dialler(load.sys, work.port);
    this.names = work.names.length;
    const hellos = work.names.map(clientHello);
    this.helloAt = new Int32Array(hellos.length + 1);
    for (const [index, hello] of hellos.entries()) {
      this.helloAt[index + 1] = (this.helloAt[index] as number) + hello.length;
    }
    this.hellos = new Uint8Array(new ArrayBuffer(this.helloAt.at(-1) ?? 0));
    for (const [index, hello] of hellos.entries()) this.hellos.set(hello, this.helloAt[index]);
    this.hellosAddress = load.sys.addressOf(this.hellos);
    this.isRefused = Uint8Array.from(work.refused, Number);
    this.fds = new Int32Array(work.inFlight).fill(-1);
    this.sent = new Int32Array(work.inFlight);
    this.received = new Int32Array(work.inFlight);
    this.name = new Int32Array(work.inFlight);
    this.startTicks = new Float64Array(work.inFlight);
    this.allowed = work.warmupConnections + work.measuredConnections;
    for (let index = 0; index < work.inFlight; index++) this.start(index);
  }

  onEvent(index: number): void {
    const fd = this.fds[index] as number;
    if (fd < 0) return;
    const name = this.name[index] as number;
    const length = this.lengthOf(name);
    if ((this.sent[index] as number) < length) this.send(index, fd);
    const received = this.load.sys.recv(fd, this.load.receiveAddress, LOAD_BUFFER_BYTES, 0);
    if (received === -EAGAIN) return;
    if (this.isRefused[name] === 1) return this.finish(index, fd, received <= 0);
    if (received <= 0) return this.finish(index, fd, false);
    this.received[index] = (this.received[index] as number) + received;
    if ((this.received[index] as number) >= length) this.finish(index, fd, true);
  }

  private lengthOf(name: number): number {
    return (this.helloAt[name + 1] as number) - (this.helloAt[name] as number);
  }

  private start(index: number): void {
    this.fds[index] = -1;
    while (this.allowed > 0) {
      this.allowed--;
      this.startTicks[index] = nowTicks();
      const fd = this.dialler.dial();
      if (fd < 0) {
        this.failures++;
        continue;
      }
      this.fds[index] = fd;
      this.name[index] = this.turn++ % this.names;
      this.sent[index] = 0;
      this.received[index] = 0;
      this.send(index, fd);
      this.load.poll.addConnection(fd, ROLE_CLIENT, index);
      return;
    }
  }

  private send(index: number, fd: number): void {
    const name = this.name[index] as number;
    const before = this.sent[index] as number;
    const address = this.hellosAddress + (this.helloAt[name] as number) + before;
    const sent = this.load.sys.send(fd, address, this.lengthOf(name) - before, 0);
    if (sent > 0) this.sent[index] = before + sent;
  }

  private finish(index: number, fd: number, isRight: boolean): void {
    this.load.sys.close(fd);
    if (isRight) {
      this.load.histogram.record(nowTicks() - (this.startTicks[index] as number));
      this.finished++;
    } else {
      this.failures++;
    }
    this.start(index);
  }

  /** Ends what is still open; each of them failed. */
  abandon(): void {
    for (const fd of this.fds) {
      if (fd < 0) continue;
      this.load.sys.close(fd);
      this.failures++;
    }
    this.failures += this.allowed;
    this.fds.fill(-1);
  }
}

/** @returns connections that ended as they should, and how long each took from dialling to the end */
export function runHelloConnects(load: Load, work: HelloConnectsWork): LoadResult {
  const { poll, origin } = load;
  const window = new Window({ warmupMs: 0, measureMs: Number.POSITIVE_INFINITY, pids: work.pids });
  const loop = new HelloConnects(load, work);
  const total = work.warmupConnections + work.measuredConnections;
  let warmed = -1;
  let done = 0;
  let progressTicks = nowTicks();
  while (done < total && nowTicks() - progressTicks < STALL_MS_MAX * TICKS_PER_MS) {
    const count = poll.wait(origin.readyCount > 0 ? 0 : WAIT_MS_MAX);
    for (let index = 0; index < count; index++) {
      const role = poll.role(index);
      if (role === ROLE_CLIENT) loop.onEvent(poll.token(index));
      else origin.handle(role, poll.token(index), poll.mask(index));
    }
    origin.runReady();
    if (loop.finished + loop.failures > done) progressTicks = nowTicks();
    done = loop.finished + loop.failures;
    if (warmed < 0 && done >= work.warmupConnections) {
      warmed = loop.finished;
      load.histogram.reset();
      window.begin();
    }
  }
  if (warmed < 0) window.begin();
  const measured = warmed < 0 ? 0 : loop.finished - warmed;
  window.finish();
  loop.abandon();
  return resultOf(load, window, measured, loop.failures);
}

const RANDOM_BYTES = 32;
/** As long as what browsers send, but for their padding. */
const PADDING_BYTES = 120;

/** A record that holds a ClientHello with one server name. @source RFC 8446, sections 4.1.2 and 5.1; RFC 6066, section 3 */
export function clientHello(name: string): Uint8Array {
  const host = Buffer.from(name, 'latin1');
  const serverName = extension(0, framed(2, Buffer.concat([Buffer.of(0), framed(2, host)])));
  const padding = extension(21, Buffer.alloc(PADDING_BYTES));
  const body = Buffer.concat([
    Buffer.of(3, 3),
    Buffer.alloc(RANDOM_BYTES, 7),
    framed(1, Buffer.alloc(0)),
    framed(2, Buffer.of(0x13, 0x01, 0x13, 0x02, 0x13, 0x03)),
    framed(1, Buffer.of(0)),
    framed(2, Buffer.concat([serverName, padding])),
  ]);
  const handshake = Buffer.concat([Buffer.of(1), framed(3, body)]);
  return Buffer.concat([Buffer.of(22, 3, 1), framed(2, handshake)]);
}

function extension(type: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type >> 8, type & 0xff), framed(2, content)]);
}

/** Its length in so many bytes, then it. */
function framed(lengthBytes: number, content: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(content.length, 0, lengthBytes);
  return Buffer.concat([length, content]);
}
