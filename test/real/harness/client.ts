// A client that says exactly the bytes it is told to, and knows how the other side ended: with a FIN or with a reset.

import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { within } from './until.ts';

/** How the other side ended. */
export type End = 'fin' | 'reset';

export interface Client {
  readonly socket: Socket;
  send(bytes: Uint8Array | readonly number[] | string): void;
  /** The next `length` bytes. Rejects where the other side ends before. */
  receive(length: number): Promise<Buffer>;
  /** Everything up to the end. */
  rest(): Promise<{ readonly bytes: Buffer; readonly end: End }>;
  /** Says FIN. */
  finish(): void;
  /** Says RST. */
  reset(): void;
}

/** Connects to a port of loopback, or as `where` says. */
export async function connectTo(where: number | NetConnectOpts): Promise<Client> {
  const options = typeof where === 'number' ? { host: '127.0.0.1', port: where } : where;
  const socket = connect({ noDelay: true, allowHalfOpen: true, ...options } as NetConnectOpts);
  let received: Buffer = Buffer.alloc(0);
  let end: End | undefined;
  let notify = () => {};
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    notify();
  });
  socket.on('end', () => {
    end ??= 'fin';
    notify();
  });
  const onCut = () => {
    end ??= 'reset';
    notify();
  };
  socket.on('error', onCut);
  // Also where we destroyed it ourselves: nobody is to wait for more.
  socket.on('close', onCut);
  await within(
    'a connection opens',
    new Promise<void>((opened, failed) => {
      socket.once('connect', opened);
      // Refused by a reset at once: as good as connected, for whoever asks how it ended.
      socket.once('error', (error: NodeJS.ErrnoException) =>
        error.code === 'ECONNRESET' ? opened() : failed(error),
      );
    }),
  );

  async function wait(what: string, isThere: () => boolean): Promise<void> {
    if (isThere()) return;
    const there = new Promise<void>((resolve) => {
      notify = () => {
        if (isThere()) resolve();
      };
    });
    await within(what, there);
  }

  function take(length: number): Buffer {
    const taken = received.subarray(0, length);
    received = received.subarray(length);
    return taken;
  }

  return {
    socket,
    send: (bytes) =>
      void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes)),
    async receive(length) {
      await wait(`${length} bytes arrive`, () => received.length >= length || end !== undefined);
      if (received.length < length) throw new Error(`${end} after ${received.length} of ${length} bytes`);
      return take(length);
    },
    async rest() {
      await wait('the other side ends', () => end !== undefined);
      return { bytes: take(received.length), end: end as End };
    },
    finish: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
  };
}
