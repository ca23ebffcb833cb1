// One end of a connection as a test plays it, on the simulated network or the real one: says and hears what comes before the bytes (a
// handshake, a PROXY header, a request head), then sends its stretch of the pattern in pieces and with pauses, checks what
// arrives against the other end's stretch, and ends as its script says. What became of it is in its fields.

import { EAGAIN, SHUT_WR, SO_ERROR, SOL_SOCKET } from '../../src/sys/constants.ts';
import type { Random } from '../../src/sys/simulated/random.ts';
import type { Sys } from '../../src/sys/sys.ts';
import type { SocketAddress } from '../../src/sys/socket-address.ts';
import { isPattern, pattern } from './pattern.ts';

/** `close`: closes at once after its last byte, whatever the other end still sends. */
type HowItEnds = 'fin' | 'fin-after-peer' | 'reset' | 'close';

export interface Script {
  readonly patternAt: number;
  readonly bytes: number;
  readonly end: HowItEnds;
  /** Resets so long after the beginning, wherever it stands; -1: never. */
  readonly resetAfterMs: number;
  readonly pieceBytesMax: number;
  /** Chance of a pause after a piece, and how long at most. */
  readonly pauseChance: number;
  readonly pauseMsMax: number;
  /** Reads nothing for so long, then at most `readBytes` every `readEveryMs` (0: as it comes). */
  readonly readAfterMs: number;
  readonly readBytes: number;
  readonly readEveryMs: number;
}

/** What to make of the bytes heard so far. */
export type Heard = 'more' | 'yes' | 'no';

/** The network as the actors see it. */
export interface Stage {
  readonly sys: Sys;
  /** For calls that do not wait. */
  readonly address: SocketAddress;
  readonly random: Random;
  /** Runs `run` once, and whenever something has happened to `fd`; ends with the descriptor. */
  watch(fd: number, run: () => void): void;
  /** Runs `run` once, so many milliseconds from now. */
  at(delayMs: number, run: () => void): void;
}

interface PeerInit {
  readonly stage: Stage;
  readonly fd: number;
  readonly script: Script;
  /** The stretch that is to arrive. */
  readonly expected: { readonly patternAt: number; readonly bytes: number };
  /** Messages before the bytes; each follows when what `hears` expects so far has been heard, or at once if `eager`. */
  readonly says?: readonly Uint8Array[];
  readonly hears?: readonly ((bytes: Uint8Array) => Heard)[];
  readonly eager?: boolean;
  /** The connection is still being made. */
  readonly isConnecting?: boolean;
}

const SCRATCH_BYTES = 64 * 1024;
const PREFACE_BYTES_MAX = 4096;

export class Peer {
  sent = 0;
  received = 0;
  isWrong = false;
  /** All that comes before the other end's bytes was heard. */
  isEstablished = false;
  /** What was heard was a no. */
  isRefused = false;
  finSent = false;
  closedEarly = false;
  resetSent = false;
  sawFin = false;
  sawReset = false;
  isOver = false;
  /** What was heard before the bytes. */
  readonly heardBytes: number[] = [];
  private readonly init: PeerInit;
  private readonly sys: Sys;
  private readonly fd: number;
  private readonly scratch: Uint8Array;
  private readonly scratchAt: number;
  private readonly patternAt: number;
  private said = 0;
  private saidBytes = 0;
  private heard = 0;
  private sendFailed = false;
  private writePaused = false;
  private readPaused = false;
  private isConnecting: boolean;

  constructor(init: PeerInit) {
    this.init = init;
    const { stage, fd, script } = init;
    const { sys } = stage;
    this.sys = sys;
    this.fd = fd;
    this.scratch = scratchOf(sys);
    this.scratchAt = sys.addressOf(this.scratch);
    this.patternAt = sys.addressOf(pattern) + script.patternAt;
    this.isConnecting = init.isConnecting === true;
    this.isEstablished = (init.hears?.length ?? 0) === 0;
    if (script.readAfterMs > 0) this.pauseReading(script.readAfterMs);
    if (script.resetAfterMs >= 0) stage.at(script.resetAfterMs, () => this.reset());
    stage.watch(fd, () => this.step());
  }

  step(): void {
    if (this.isOver || (this.isConnecting && !this.isConnected())) return;
    this.write();
    if (!this.isOver) this.read();
  }

  private isConnected(): boolean {
    const { sys, fd } = this;
    const { address } = this.init.stage;
    address.resetLength();
    this.isConnecting = sys.getpeername(fd, address.address, address.lengthAddress) < 0;
    if (this.isConnecting && sys.getOptionInt(fd, SOL_SOCKET, SO_ERROR) !== 0) {
      this.sawReset = true;
      this.close();
    }
    return !this.isConnecting;
  }

  reset(): void {
    if (this.isOver) return;
    this.sys.resetOnClose(this.fd);
    this.resetSent = true;
    this.close();
  }

  private close(): void {
    this.isOver = true;
    this.sys.close(this.fd);
  }

  private write(): void {
    const { sys, fd } = this;
    const { script } = this.init;
    if (this.sendFailed || this.finSent || this.writePaused || !this.sayAll()) return;
    while (this.sent < script.bytes) {
      const random = this.init.stage.random;
      const piece = Math.min(1 + random.below(script.pieceBytesMax), script.bytes - this.sent);
      const taken = sys.send(fd, this.patternAt + this.sent, piece, 0);
      if (taken < 0) {
        if (taken !== -EAGAIN) this.failSending();
        return;
      }
      this.sent += taken;
      if (random.chance(script.pauseChance)) {
        this.writePaused = true;
        this.init.stage.at(random.next() * script.pauseMsMax, () => {
          this.writePaused = false;
          this.step();
        });
        return;
      }
    }
    this.endWriting();
  }

  private endWriting(): void {
    const { sys, fd } = this;
    const { script } = this.init;
    if (script.end === 'reset') {
      this.reset();
    } else if (script.end === 'close') {
      this.closedEarly = true;
      this.close();
    } else if (script.end === 'fin' || this.sawFin) {
      this.finSent = true;
      if (sys.shutdown(fd, SHUT_WR) < 0) this.failSending();
      this.closeIfDone();
    }
  }

  /** The connection was reset. What arrived before is still read, unless all of it has been. */
  private failSending(): void {
    this.sendFailed = true;
    if (this.sawFin) this.atEnd(0);
  }

  /** @returns whether the bytes may follow */
  private sayAll(): boolean {
    const { sys, fd } = this;
    const { eager } = this.init;
    const says = this.init.says ?? [];
    while (this.said < says.length) {
      if (this.heard < this.said && eager !== true) return false;
      const message = says[this.said] as Uint8Array;
      this.scratch.set(message);
      const length = message.length - this.saidBytes;
      const taken = sys.send(fd, this.scratchAt + this.saidBytes, length, 0);
      if (taken < 0) {
        if (taken !== -EAGAIN) this.failSending();
        return false;
      }
      this.saidBytes += taken;
      if (taken < length) return false;
      this.said++;
      this.saidBytes = 0;
    }
    return this.isEstablished || eager === true;
  }

  private read(): void {
    const { sys, fd } = this;
    const { script, expected } = this.init;
    if (this.readPaused || this.sawFin) return;
    if (!this.isEstablished && !this.hearAll()) return;
    const paced = script.readEveryMs > 0;
    for (;;) {
      const taken = sys.recv(fd, this.scratchAt, paced ? script.readBytes : SCRATCH_BYTES, 0);
      if (taken === -EAGAIN) return;
      if (taken <= 0) {
        this.atEnd(taken);
        return;
      }
      const isExpected =
        this.received + taken <= expected.bytes &&
        isPattern(this.scratch, 0, taken, expected.patternAt + this.received);
      if (!isExpected) this.isWrong = true;
      this.received += taken;
      if (paced) {
        this.pauseReading(script.readEveryMs);
        return;
      }
    }
  }

  private pauseReading(ms: number): void {
    this.readPaused = true;
    this.init.stage.at(ms, () => {
      this.readPaused = false;
      this.step();
    });
  }

  /** Byte by byte, so that nothing behind the last message is taken. @returns whether all was heard */
  private hearAll(): boolean {
    const { sys, fd } = this;
    const hears = this.init.hears ?? [];
    while (this.heard < hears.length) {
      const taken = sys.recv(fd, this.scratchAt, 1, 0);
      if (taken === -EAGAIN) return false;
      if (taken <= 0 || this.heardBytes.length >= PREFACE_BYTES_MAX) {
        this.atEnd(taken);
        // A client that is turned away without a word has nothing to wait for.
        if (this.init.isConnecting === true && !this.isOver) this.close();
        return false;
      }
      this.heardBytes.push(this.scratch[0] as number);
      const verdict = (hears[this.heard] as (bytes: Uint8Array) => Heard)(Uint8Array.from(this.heardBytes));
      if (verdict === 'more') continue;
      if (verdict === 'no') {
        this.isRefused = true;
        this.close();
        return false;
      }
      this.heardBytes.length = 0;
      this.heard++;
      this.isEstablished = this.heard === hears.length;
      this.write();
      if (this.isOver) return false;
    }
    return true;
  }

  /** The other end's FIN or reset. Where a send has failed before, an end of stream is what a reset looks like. */
  private atEnd(answer: number): void {
    if (answer < 0 || this.sendFailed) {
      this.sawReset = true;
      this.close();
      return;
    }
    this.sawFin = true;
    if (this.init.script.end === 'fin-after-peer') this.write();
    this.closeIfDone();
  }

  private closeIfDone(): void {
    if (!this.isOver && this.finSent && this.sawFin) this.close();
  }
}

/** One read buffer a process: nobody keeps what is in it. */
const scratches = new WeakMap<Sys, Uint8Array>();

function scratchOf(sys: Sys): Uint8Array {
  let scratch = scratches.get(sys);
  if (scratch === undefined) {
    scratch = new Uint8Array(new ArrayBuffer(SCRATCH_BYTES));
    scratches.set(sys, scratch);
  }
  return scratch;
}
