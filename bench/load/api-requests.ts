// Requests to an HTTP API over its Unix socket, from the generator's own loop: a client with threads or a process of its own
// would fight with the generator for its core. Some connections are kept alive, each with one request at a time; more
// requests wait, first in, first out.

import { AF_UNIX, EAGAIN, SOCK_STREAM } from '../../src/sys/constants.ts';
import { SocketAddress } from '../../src/sys/socket-address.ts';
import type { Poll } from './poll.ts';
import type { Load } from './load.ts';

const CONNECTIONS = 16;
const BUFFER_BYTES = 65_536;
const HEAD_END = '\r\n\r\n';

interface Line {
  readonly fd: number;
  isBusy: boolean;
  /** What came of an answer that is not complete. */
  text: string;
}

export class ApiRequests {
  private readonly load: Load;
  private readonly lines: Line[] = [];
  private readonly waiting: string[] = [];
  private readonly bytes = Buffer.from(new ArrayBuffer(BUFFER_BYTES));
  private readonly bytesAddress: number;
  private readonly isRight: (answer: string) => boolean;
  private turn = 0;
  answered = 0;
  /** Answers that were not as they should be, and connections that ended. */
  failures = 0;

  /** @param role of its connections in the poll @param isRight whether an answer, head and body, is what was asked for */
  constructor(load: Load, role: number, socketPath: string, isRight: (answer: string) => boolean) {
    this.load = load;
    this.isRight = isRight;
    this.bytesAddress = load.sys.addressOf(this.bytes);
    const address = new SocketAddress(load.sys);
    address.setUnix(Buffer.from(socketPath));
    for (let index = 0; index < CONNECTIONS; index++) {
      const fd = load.sys.socket(AF_UNIX, SOCK_STREAM, 0);
      const connected = load.sys.connect(fd, address.address, address.length);
      if (connected < 0) throw new Error(`the API can't be reached: errno ${-connected}`);
      this.lines.push({ fd, isBusy: false, text: '' });
      register(load.poll, fd, role, index);
    }
  }

  post(path: string, body: string): void {
    this.waiting.push(
      `POST ${path} HTTP/1.1\r\nHost: sluice\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    // In turn: a server ends a connection that is quiet for long.
    for (let tried = 0; tried < CONNECTIONS; tried++) {
      const line = this.lines[this.turn++ % CONNECTIONS];
      if (line !== undefined && !line.isBusy) return this.sendNext(line);
    }
  }

  onEvent(index: number): void {
    const line = this.lines[index];
    if (line === undefined || !line.isBusy) return;
    for (;;) {
      const received = this.load.sys.recv(line.fd, this.bytesAddress, BUFFER_BYTES, 0);
      if (received === -EAGAIN) break;
      if (received <= 0) {
        this.failures++;
        return;
      }
      line.text += this.bytes.toString('latin1', 0, received);
    }
    if (!isComplete(line.text)) return;
    this.answered++;
    if (!this.isRight(line.text)) this.failures++;
    line.text = '';
    line.isBusy = false;
    this.sendNext(line);
  }

  close(): void {
    for (const { fd } of this.lines) this.load.sys.close(fd);
  }

  private sendNext(line: Line): void {
    const request = this.waiting.shift();
    if (request === undefined) return;
    line.isBusy = true;
    const length = this.bytes.write(request, 'latin1');
    // One short request on a connection that is otherwise idle: the kernel takes all of it.
    if (this.load.sys.send(line.fd, this.bytesAddress, length, 0) !== length) this.failures++;
  }
}

function register(poll: Poll, fd: number, role: number, index: number): void {
  const added = poll.addConnection(fd, role, index);
  if (added < 0) throw new Error(`the API's connection can't be polled: errno ${-added}`);
}

/** Whether head and body are there; an answer without a length has no body. */
export function isComplete(text: string): boolean {
  const head = text.indexOf(HEAD_END);
  if (head < 0) return false;
  const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, head))?.[1] ?? 0);
  return text.length >= head + HEAD_END.length + length;
}
