// What TCP and Unix sockets have in common: options as stored, the pending error, and the calls that each answers its
// own way. Descriptors, memory and blocking are not its business: callers pass arrays and offsets.

import { EAGAIN, EINVAL, ENOPROTOOPT, SO_ERROR, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from '../constants.ts';
import { OpenFile } from './open-file.ts';
import { type Process, receiveCapacity, sendCapacity } from './world.ts';

const SO_TYPE = 3;
const SO_ACCEPTCONN = 30;
const SO_DOMAIN = 39;
const SEND_BYTES_MIN = 4608;
const RECEIVE_BYTES_MIN = 2304;
/** How long the memory that a fault pretends to lack stays away. */
const PRESSURE_US_MAX = 500;

/** Option names of levels below 256 and names below 256 fit one small integer. */
function optionKey(level: number, name: number): number {
  return level * 256 + name;
}

export abstract class SocketFile extends OpenFile {
  readonly process: Process;
  readonly family: number;
  readonly options = new Map<number, number>();
  /** The errno that the next call reports, once; 0 for none. */
  error = 0;
  sendCapacityBytes: number;
  receiveCapacityBytes: number;
  resetsOnRelease = false;
  /** Until then every send answers EAGAIN: a fault's doing. */
  private pressedUntilUs = 0;

  constructor(process: Process, family: number) {
    super();
    this.process = process;
    this.family = family;
    this.sendCapacityBytes = sendCapacity(process);
    this.receiveCapacityBytes = receiveCapacity(process);
  }

  abstract readonly listening: boolean;
  abstract bind(address: number, length: number): number;
  abstract listen(backlog: number): number;
  /** The next connection that waits, or a negative errno. */
  abstract accept(): SocketFile | number;
  abstract connect(address: number, length: number): number;
  abstract localName(address: number, lengthAddress: number): number;
  abstract peerName(address: number, lengthAddress: number): number;
  /** How many bytes a recv would answer; 0 for end of stream, or a negative errno. */
  abstract readable(): number;
  /** As `readable`, for splice(2). */
  spliceable(): number {
    return this.readable();
  }
  /** Consumes `length` readable bytes after they were copied or moved out. */
  abstract consume(length: number): void;
  abstract recv(target: Uint8Array, offset: number, length: number, flags: number): number;
  abstract send(source: Uint8Array, offset: number, length: number, flags: number): number;
  abstract shutdown(how: number): number;
  abstract unsentBytes(): number;
  /** Called when pretended memory pressure ends. */
  abstract writeSpace(): void;

  takeError(): number {
    const error = this.error;
    this.error = 0;
    return error;
  }

  flag(level: number, name: number): boolean {
    return (this.options.get(optionKey(level, name)) ?? 0) !== 0;
  }

  /** SO_SNDBUF and SO_RCVBUF answer twice what was asked, and that is what they hold. */
  setOption(level: number, name: number, value: number): number {
    if (level === SOL_SOCKET && (name === SO_ERROR || name === SO_TYPE)) return -ENOPROTOOPT;
    let stored = value;
    if (level === SOL_SOCKET && name === SO_SNDBUF) {
      stored = Math.max(value * 2, SEND_BYTES_MIN);
      this.sendCapacityBytes = stored;
    }
    if (level === SOL_SOCKET && name === SO_RCVBUF) {
      stored = Math.max(value * 2, RECEIVE_BYTES_MIN);
      this.receiveCapacityBytes = stored;
    }
    this.options.set(optionKey(level, name), stored);
    return 0;
  }

  getOption(level: number, name: number): number {
    if (level === SOL_SOCKET) {
      if (name === SO_ERROR) return this.takeError();
      if (name === SO_TYPE) return 1;
      if (name === SO_DOMAIN) return this.family;
      if (name === SO_ACCEPTCONN) return this.listening ? 1 : 0;
      if (name === SO_SNDBUF) return this.sendCapacityBytes;
      if (name === SO_RCVBUF) return this.receiveCapacityBytes;
    }
    return this.options.get(optionKey(level, name)) ?? 0;
  }

  inheritOptions(listener: SocketFile): void {
    for (const [key, value] of listener.options) {
      this.options.set(key, value);
      if (key === optionKey(SOL_SOCKET, SO_SNDBUF)) this.sendCapacityBytes = value;
      if (key === optionKey(SOL_SOCKET, SO_RCVBUF)) this.receiveCapacityBytes = value;
    }
  }

  get pressed(): boolean {
    return this.process.world.clock.nowUs < this.pressedUntilUs;
  }

  /** Pretends that the kernel lacks memory for this socket's sends for a moment, after which the writer is woken. */
  press(): void {
    const { clock, random } = this.process.world;
    this.pressedUntilUs = clock.nowUs + 1 + random.below(PRESSURE_US_MAX);
    clock.at(this.pressedUntilUs, () => this.writeSpace());
  }

  /** How much of `wanted` bytes a send takes this time, where there is room for `room`. */
  accepted(wanted: number, room: number): number {
    if (wanted < 0) return -EINVAL;
    const { faults, world } = this.process;
    if (this.pressed || room <= 0) return -EAGAIN;
    if (world.random.chance(faults.spuriousAgain)) {
      this.press();
      return -EAGAIN;
    }
    const fits = Math.min(wanted, room);
    if (fits < 2 || !world.random.chance(faults.splitWrite)) return fits;
    this.press();
    return 1 + world.random.below(fits - 1);
  }
}
