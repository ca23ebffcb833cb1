// At the bounds of the machine: no descriptors left, in our own budget and in the kernel's count, and a thousand clients
// that read nothing. New connections are refused at once and counted, memory stays bounded, and when the load goes the edge
// is as before.

import { describe, expect, it } from 'vitest';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { AF_INET, AF_UNIX, SO_RCVBUF, SOCK_STREAM, SOL_SOCKET } from '../../src/sys/constants.ts';
import { createLibc } from '../../src/sys/libc/libc.ts';
import { MAPPED_WORD, SocketAddress } from '../../src/sys/socket-address.ts';
import { atEnd } from './harness/at-end.ts';
import { type Client, connectTo } from './harness/client.ts';
import { type Daemon, makeDirectory, startDaemon } from './harness/daemon.ts';
import { echo, MEGABYTE, patternDigest, patternStream, startServer } from './harness/origin.ts';
import { missing, run, runDigest } from './harness/programs.ts';
import { until } from './harness/until.ts';

const DESCRIPTORS_MAX = 400;
/** Of a worker, as the relay has it. */
const IDLE_PIPES_MAX = 16;
const STALLED_COUNT = 1_000;
/** All of it together stays below what the kernel allows TCP on a small machine. */
const FLOOD_BYTES = MEGABYTE;
const STILL_LOOKS = 30;
const READER_BUFFER_BYTES = 4096;
const LOOPBACK = 0x7f000001;
/** What a stalled reader may cost in this process; the rest of its backlog stays in the kernel. */
const RESIDENT_PER_READER_MAX = 64 * 1024;

async function echoes(port: number): Promise<boolean> {
  const client = await connectTo(port);
  client.send('ping');
  const answer = await client.receive(4).then(
    (bytes) => bytes.toString() === 'ping',
    () => false,
  );
  client.socket.destroy();
  return answer;
}

/** Connects `count` times at once. @returns those that got through, and how many were refused */
async function connectMany(port: number, count: number): Promise<{ held: Client[]; refusedCount: number }> {
  const held: Client[] = [];
  let refusedCount = 0;
  for (let i = 0; i < count; i++) {
    const client = await connectTo(port);
    client.send('x');
    const isHeld = await client.receive(1).then(
      () => true,
      () => false,
    );
    if (isHeld) held.push(client);
    else refusedCount++;
  }
  return { held, refusedCount };
}

function lowestFree(pid: number): number {
  const taken = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let number = 0;
  while (taken.has(number)) number++;
  return number;
}

async function expectRecovery(daemon: Daemon, port: number): Promise<void> {
  await until('all have ended', async () => (await daemon.status()).totals.connections === 0);
  for (let i = 0; i < 20; i++) expect(await echoes(port)).toBe(true);
}

describe.skipIf(missing('prlimit'))('descriptors', () => {
  it('run out in the budget: new connections are refused at once, held ones live on, and it recovers', async () => {
    const target = await startServer(echo);
    const daemon = await startDaemon(
      {
        workers: 1,
        inbounds: [
          { tag: 'in', type: 'forward', listen: '127.0.0.1:0', service: 's', target: `127.0.0.1:${target}` },
        ],
      },
      { prefix: ['prlimit', `--nofile=${DESCRIPTORS_MAX}:${DESCRIPTORS_MAX}`] },
    );
    const port = await daemon.port('in');
    const { descriptors } = await daemon.status();
    expect(descriptors.limit).toBe(DESCRIPTORS_MAX);
    // Each takes two; a few may wait in pipes that are kept for bulk.
    const room = Math.floor(descriptors.max / 2);

    for (let round = 0; round < 2; round++) {
      const before = await daemon.ended('descriptors_exhausted');
      const startedMs = performance.now();
      const { held, refusedCount } = await connectMany(port, room + 30);
      expect(held.length).toBeLessThanOrEqual(room);
      expect(held.length).toBeGreaterThan(room - IDLE_PIPES_MAX);
      expect(refusedCount).toBe(room + 30 - held.length);
      expect(performance.now() - startedMs).toBeLessThan(5_000);
      expect((await daemon.ended('descriptors_exhausted')) - before).toBe(refusedCount);
      // The API, the command line and the connections that are held need no luck.
      expect((await daemon.cli('status')).code).toBe(0);
      expect((await daemon.api('GET', '/healthz')).status).toBe(200);
      for (const client of held) {
        client.send('still');
        expect((await client.receive(5)).toString()).toBe('still');
      }
      for (const client of held) client.socket.destroy();
      await expectRecovery(daemon, port);
    }
  });

  it('run out in the kernel: refused with the spare one, counted, and it recovers', async () => {
    const target = await startServer(echo);
    const daemon = await startDaemon({
      workers: 1,
      inbounds: [
        { tag: 'in', type: 'forward', listen: '127.0.0.1:0', service: 's', target: `127.0.0.1:${target}` },
      ],
    });
    const port = await daemon.port('in');
    const setLimit = (softCount: number) =>
      run(['prlimit', '--pid', String(daemon.pid), `--nofile=${softCount}:`]);
    const { limit } = (await daemon.status()).descriptors;
    const keptAlive = await connectTo(port);
    keptAlive.send('x');
    await keptAlive.receive(1);
    // The lowest number that is free becomes the limit: everything below it is taken, also by the spare one.
    await setLimit(lowestFree(daemon.pid));
    const refused = await Promise.all(Array.from({ length: 20 }, () => connectTo(port)));
    for (const client of refused) {
      expect(await client.rest()).toEqual({ bytes: Buffer.alloc(0), end: 'reset' });
    }
    keptAlive.send('still');
    expect((await keptAlive.receive(5)).toString()).toBe('still');
    await setLimit(limit);
    await until('the spare one is back', () => echoes(port));
    expect(await daemon.ended('descriptors_exhausted')).toBeGreaterThanOrEqual(20);
    expect((await daemon.status()).workers[0]?.accept_exhausted).toBeGreaterThanOrEqual(20);
    keptAlive.socket.destroy();
    await expectRecovery(daemon, port);
  });
});

describe('memory', () => {
  it(`stays bounded under ${STALLED_COUNT} clients that read nothing, while others are served`, async () => {
    const flood = Buffer.alloc(FLOOD_BYTES, 0x55);
    const floodTarget = await startServer((socket) => socket.write(flood));
    const echoTarget = await startServer(echo);
    const unixPath = join(makeDirectory(), 'flood.sock');
    const forward = (tag: string, port: number, listen = '127.0.0.1:0') => ({
      ...{ tag, type: 'forward', listen, service: 's', target: `127.0.0.1:${port}` },
    });
    const daemon = await startDaemon({
      inbounds: [
        forward('flood', floodTarget),
        forward('flood-unix', floodTarget, `unix:${unixPath}`),
        forward('echo', echoTarget),
      ],
    });
    const before = daemon.resident();
    // A TCP socket takes so much at once that the rest is bulk, and waits in a pipe; a Unix socket takes less.
    const readers = openReaders(await daemon.port('flood'), unixPath, STALLED_COUNT);
    // Until nothing has moved for a while: everything on the way is full.
    let moved = 0;
    let looks = 0;
    await until('all are stalled', async () => {
      const { totals } = await daemon.status();
      looks = totals.bytes_down === moved ? looks + 1 : 0;
      moved = totals.bytes_down;
      return looks > STILL_LOOKS && totals.connections === STALLED_COUNT;
    });
    const grown = daemon.resident() - before;
    const { workers } = await daemon.status();
    const sum = (field: 'buffers_in_use' | 'pipes_open') =>
      workers.reduce((total, worker) => total + worker[field], 0);
    process.stdout.write(
      `${STALLED_COUNT} stalled readers: resident ${(before / MEGABYTE).toFixed(1)} MiB before, ` +
        `${((before + grown) / MEGABYTE).toFixed(1)} MiB after (${(grown / STALLED_COUNT / 1024).toFixed(1)} KiB each), ` +
        `${sum('buffers_in_use')} leftover buffers and ${sum('pipes_open')} pipes in use\n`,
    );
    expect(sum('buffers_in_use')).toBeGreaterThan(0);
    expect(sum('pipes_open')).toBeGreaterThan(0);
    expect(grown).toBeLessThan(STALLED_COUNT * RESIDENT_PER_READER_MAX);

    // Others don't notice.
    const bytes = 10 * MEGABYTE;
    if (!missing('nc')) {
      const got = await runDigest(['nc', '-N', '127.0.0.1', String(await daemon.port('echo'))], {
        input: patternStream(bytes),
      });
      expect([got.code, got.sha256]).toEqual([0, patternDigest(bytes)]);
    }
    readers.close();
    await until('all have ended', async () => (await daemon.status()).totals.connections === 0);
    const after = (await daemon.status()).workers;
    expect(after.map((worker) => worker.buffers_in_use)).toEqual([0, 0]);
  });
});

/** Clients with the smallest window there is, which never read: what is sent to them waits in the edge, not in them. */
function openReaders(port: number, unixPath: string, count: number): { close: () => void } {
  const sys = createLibc();
  const address = new SocketAddress(sys);
  const open: number[] = [];
  for (let i = 0; i < count; i++) {
    const isUnix = i % 2 === 1;
    const fd = sys.socket(isUnix ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    sys.setOptionInt(fd, SOL_SOCKET, SO_RCVBUF, READER_BUFFER_BYTES);
    const length = isUnix
      ? address.setUnix(Buffer.from(unixPath))
      : address.setIp(0, 0, MAPPED_WORD, LOOPBACK, port);
    sys.connect(fd, address.address, length);
    open.push(fd);
  }
  const close = () => {
    for (const fd of open.splice(0)) sys.close(fd);
  };
  atEnd(close);
  return { close };
}
