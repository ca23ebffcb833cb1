// Requests with large bodies to an HTTP API over its Unix socket, from the generator's own loop (api-requests.ts says why): prepared
// before anything is measured, sent at a fixed rate on one connection, one at a time. Those that come due while one is under way
// are left out: the rate that was reached is told.

import { AF_UNIX, EAGAIN, SOCK_STREAM } from '../../src/sys/constants.ts';
import { SocketAddress } from '../../src/sys/socket-address.ts';
import { isComplete } from './api-requests.ts';
import { nowTicks, TICKS_PER_MS } from './clock.ts';
import { Histogram } from './histogram.ts';
import type { Load } from './load.ts';

const RECEIVE_BYTES = 262_144;
const OK = 'HTTP/1.1 200';
const FAILURE_CHARACTERS = 300;

export interface LargeRequestsInit {
  readonly socketPath: string;
  readonly method: string;
  readonly path: string;
  /** Sent in turn. */
  readonly bodies: readonly string[];
  readonly perSecond: number;
}

export class LargeRequests {
  private readonly load: Load;
  private readonly fd: number;
  private readonly requests: readonly { readonly address: number; readonly bytes: Uint8Array }[];
  private readonly received = Buffer.from(new ArrayBuffer(RECEIVE_BYTES));
  private readonly receivedAddress: number;
  private readonly intervalTicks: number;
  private readonly startTicks = nowTicks();
  private due = 0;
  private begun = 0;
  private turn = 0;
  private sent = 0;
  private sentTicks = 0;
  private isBusy = false;
  private pieces: string[] = [];
  readonly durations = new Histogram();
  answered = 0;
  failures = 0;
  /** Beginning of the first answer that was none. */
  failure = '';

  /** @param role of its connection in the poll */
  constructor(load: Load, role: number, init: LargeRequestsInit) {
    this.load = load;
    this.receivedAddress = load.sys.addressOf(this.received);
    this.intervalTicks = (1000 * TICKS_PER_MS) / init.perSecond;
    this.requests = init.bodies.map((body) => {
      const length = Buffer.byteLength(body);
      const head = `${init.method} ${init.path} HTTP/1.1\r\nHost: sluice\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
      const text = Buffer.from(head + body);
      const bytes = new Uint8Array(new ArrayBuffer(text.length));
      bytes.set(text);
      return { bytes, address: load.sys.addressOf(bytes) };
    });
    const address = new SocketAddress(load.sys);
    address.setUnix(Buffer.from(init.socketPath));
    this.fd = load.sys.socket(AF_UNIX, SOCK_STREAM, 0);
    const connected = load.sys.connect(this.fd, address.address, address.length);
    if (connected < 0) throw new Error(`the API can't be reached: errno ${-connected}`);
    const added = load.poll.addConnection(this.fd, role, 0);
    if (added < 0) throw new Error(`the API's connection can't be polled: errno ${-added}`);
  }

  /** Begins what is due by `now`. */
  deal(now: number): void {
    while (this.startTicks + this.due * this.intervalTicks <= now) this.due++;
    if (!this.isBusy && this.begun < this.due) this.begin();
  }

  onEvent(): void {
    if (!this.isBusy) return;
    this.send();
    for (;;) {
      const received = this.load.sys.recv(this.fd, this.receivedAddress, RECEIVE_BYTES, 0);
      if (received === -EAGAIN) break;
      if (received <= 0) {
        this.failures++;
        this.failure ||= `the API ended the connection: ${received}`;
        return;
      }
      this.pieces.push(this.received.toString('latin1', 0, received));
    }
    const text = this.pieces.join('');
    if (!isComplete(text)) return;
    this.durations.record(nowTicks() - this.sentTicks);
    this.answered++;
    if (!text.startsWith(OK)) {
      this.failures++;
      this.failure ||= text.slice(0, FAILURE_CHARACTERS).replaceAll(/\s+/g, ' ');
    }
    this.pieces = [];
    this.isBusy = false;
  }

  close(): void {
    this.load.sys.close(this.fd);
  }

  private begin(): void {
    // Nobody catches up with what was too late: the rate that was reached is told.
    this.begun = this.due;
    this.turn = (this.turn + 1) % this.requests.length;
    this.sent = 0;
    this.isBusy = true;
    this.sentTicks = nowTicks();
    this.send();
  }

  private send(): void {
    const request = this.requests[this.turn];
    if (request === undefined || this.sent >= request.bytes.length) return;
    for (;;) {
      const left = request.bytes.length - this.sent;
      if (left === 0) return;
      const sent = this.load.sys.send(this.fd, request.address + this.sent, left, 0);
      if (sent <= 0) return;
      this.sent += sent;
    }
  }
}
