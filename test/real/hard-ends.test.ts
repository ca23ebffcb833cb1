// Ends that only a real kernel makes hard: urgent data behind a spliced stream, bytes that the kernel still delivers when
// a deadline comes, a Unix client that is gone before its target is there.

import { beforeAll, describe, expect, it } from 'vitest';
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../../bench/process/ports.ts';
import { atEnd } from './harness/at-end.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, makeDirectory, startDaemon } from './harness/daemon.ts';
import { startServer } from './harness/origin.ts';
import { missing, run } from './harness/programs.ts';
import { within } from './harness/until.ts';

const URGENT = join(import.meta.dirname, 'harness/urgent.py');
const HALF_CLOSE_MS = 1_000;
const READ_EVERY_MS = 50;
const READ_BYTES = 20_000;

describe('hard ends', () => {
  let daemon: Daemon;
  let urgentTarget = 0;
  const directory = makeDirectory();
  const unixInbound = join(directory, 'in.sock');
  const heardByUnixTarget: Promise<string>[] = [];

  beforeAll(async () => {
    urgentTarget = await freePort();
    const unixTarget = await startServer((socket) => {
      heardByUnixTarget.push(
        new Promise((resolve) => {
          let text = '';
          socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
          socket.once('end', () => {
            resolve(`${text} fin`);
            socket.end();
          });
          socket.once('error', () => resolve(`${text} reset`));
        }),
      );
    });
    const bulk = Buffer.alloc(1_500_000, 'x');
    const slowTarget = await startServer((socket) => socket.end(bulk));
    daemon = await startDaemon({
      timeouts: { half_close: `${HALF_CLOSE_MS}ms` },
      inbounds: [
        { tag: 'urgent', type: 'forward', listen: '127.0.0.1:0', target: `127.0.0.1:${urgentTarget}` },
        { tag: 'slow', type: 'forward', listen: '127.0.0.1:0', target: `127.0.0.1:${slowTarget}` },
        // A name, so that the target is connected only after the client has gone.
        { tag: 'unix', type: 'forward', listen: `unix:${unixInbound}`, target: `localhost:${unixTarget}` },
      ],
    });
  });

  it.skipIf(missing('python3')).each(['up', 'down'])(
    'keeps every byte around urgent data in a spliced stream, %s',
    async (direction) => {
      await counting(daemon, { finished: 1 }, async () => {
        const port = await daemon.port('urgent');
        const { code, stdout, stderr } = await run([
          'python3',
          URGENT,
          direction,
          `${urgentTarget}`,
          `${port}`,
        ]);
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        const [sent, heard, , end] = stdout.trim().split(' ');
        expect(end).toBe('fin');
        expect(heard).toBe(sent);
      });
    },
  );

  it('does not cut off what the kernel still delivers to a slow reader, however short half_close is', async () => {
    await counting(daemon, { finished: 1 }, async () => {
      const socket = createConnection({ host: '127.0.0.1', port: await daemon.port('slow') });
      atEnd(() => void socket.destroy());
      let bytes = 0;
      const beganMs = performance.now();
      const end = new Promise<string>((resolve) => {
        socket.once('end', () => resolve('fin'));
        socket.once('error', (error) => resolve(error.message));
      });
      socket.pause();
      const reading = readSlowly(socket, (chunk) => (bytes += chunk.length));
      expect(await within('the slow reader hears the end', end, 15_000)).toBe('fin');
      await reading;
      expect(bytes).toBe(1_500_000);
      // Or the test has shown nothing.
      expect(performance.now() - beganMs).toBeGreaterThan(2 * HALF_CLOSE_MS);
      socket.end();
    });
  });

  it('delivers what a Unix client sent that closed before its target was connected', async () => {
    await counting(daemon, { finished: 3 }, async () => {
      for (let i = 0; i < 3; i++) {
        const socket = createConnection(unixInbound);
        await within(
          'the client has closed',
          new Promise((resolve) => {
            socket.once('close', resolve);
            socket.end('hello');
            socket.resume();
          }),
        );
      }
      await within(
        'the target heard all three',
        (async () => {
          while (heardByUnixTarget.length < 3) await pause(5);
        })(),
      );
      expect(await Promise.all(heardByUnixTarget)).toEqual(['hello fin', 'hello fin', 'hello fin']);
    });
  });
});

/** Reads at a steady, slow pace, whatever has come; a pace, not a wait for something to become true. */
async function readSlowly(socket: Socket, take: (chunk: Buffer) => void): Promise<void> {
  while (!socket.readableEnded && !socket.destroyed) {
    const chunk = (socket.read(Math.min(READ_BYTES, socket.readableLength)) ?? Buffer.alloc(0)) as Buffer;
    take(chunk);
    await pause(READ_EVERY_MS);
  }
}
