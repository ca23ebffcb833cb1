import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { parseIp } from '../layout/ip-address.ts';
import { createLibc } from '../sys/libc/libc.ts';
import { createProcessLookup, ELSEWHERE } from './process-lookup.ts';

const sys = createLibc();
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listen(host: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer();
  closing.push(() => server.close());
  server.listen(0, host);
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

/** A program of its own that connects and stays. */
async function connectFrom(
  server: Server,
  host: string,
  port: number,
  user?: number,
): Promise<{ readonly socket: Socket; readonly child: ChildProcess }> {
  const code = `require('net').connect(${port}, '${host}').on('error', () => {}); setInterval(() => {}, 1e6)`;
  const child = spawn(process.execPath, ['-e', code], {
    stdio: 'ignore',
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  closing.push(() => child.kill('SIGKILL'));
  const [socket] = (await once(server, 'connection')) as [Socket];
  socket.on('error', () => {});
  closing.push(() => socket.destroy());
  return { socket, child };
}

/** As the slot has them: of the client, and what it connected to. */
function ends(socket: Socket) {
  const endpoint = (address: string | undefined, port: number | undefined) => ({
    words: parseIp(address ?? '') as Int32Array,
    port: port ?? 0,
  });
  return [
    endpoint(socket.remoteAddress, socket.remotePort),
    endpoint(socket.localAddress, socket.localPort),
  ] as const;
}

function lookup(usesNetlink = true) {
  const processes = createProcessLookup({ sys, usesNetlink });
  closing.push(() => processes.close());
  return processes;
}

const self = realpathSync(process.execPath);
const expected = { name: 'node', path: self, userId: process.getuid?.() };

describe.each([
  ['asking the kernel', true],
  ['reading /proc/net', false],
])('%s', (_way, usesNetlink) => {
  test.each(['127.0.0.1', '::1'])('a client on %s is found', async (host) => {
    const { server, port } = await listen(host);
    const { socket } = await connectFrom(server, host, port);
    const processes = lookup(usesNetlink);
    expect(await processes.look(...ends(socket))).toEqual(expected);
    expect(processes.statistics()).toMatchObject({ asked: 1, found: 1, rounds: 1 });
  });

  test('a client whose IPv6 socket speaks IPv4 is found', async () => {
    const { server, port } = await listen('127.0.0.1');
    const { socket } = await connectFrom(server, '::ffff:127.0.0.1', port);
    expect(await lookup(usesNetlink).look(...ends(socket))).toEqual(expected);
  });
});

test.runIf(process.getuid?.() === 0)('the user is the one who connected', async () => {
  const { server, port } = await listen('127.0.0.1');
  const { socket } = await connectFrom(server, '127.0.0.1', port, 65_534);
  expect(await lookup().look(...ends(socket))).toMatchObject({ name: 'node', userId: 65_534 });
});

test('many who ask at once share rounds, and who asks again needs none', async () => {
  const { server, port } = await listen('127.0.0.1');
  const connections = [];
  for (let i = 0; i < 4; i++) connections.push(await connectFrom(server, '127.0.0.1', port));
  const processes = lookup();
  const answers = await Promise.all(
    connections.flatMap(({ socket }) => [processes.look(...ends(socket)), processes.look(...ends(socket))]),
  );
  expect(answers).toEqual(answers.map(() => expected));
  const { rounds } = processes.statistics();
  expect(rounds).toBeLessThanOrEqual(2);
  await processes.look(...ends((connections[0] as { socket: Socket }).socket));
  expect(processes.statistics()).toMatchObject({ rounds, found: 9 });
});

test('of another machine there is no process, and nothing is scanned', async () => {
  const processes = lookup();
  const far = { words: parseIp('192.0.2.7') as Int32Array, port: 40_000 };
  const own = { words: parseIp('127.0.0.1') as Int32Array, port: 1080 };
  expect(await processes.look(far, own)).toBe(ELSEWHERE);
  expect(processes.statistics()).toMatchObject({ asked: 1, elsewhere: 1, rounds: 0 });
});

test('a client that has gone is not found', async () => {
  const { server, port } = await listen('127.0.0.1');
  const { socket, child } = await connectFrom(server, '127.0.0.1', port);
  const [source, destination] = ends(socket);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await lookup().look(source, destination)).toBeUndefined();
});

test('a socket that no other process holds is nobody’s, and is remembered as that', async () => {
  const { server, port } = await listen('127.0.0.1');
  const client = connect(port, '127.0.0.1');
  closing.push(() => client.destroy());
  const [socket] = (await once(server, 'connection')) as [Socket];
  closing.push(() => socket.destroy());
  const processes = lookup();
  expect(await processes.look(...ends(socket))).toBeUndefined();
  expect(await processes.look(...ends(socket))).toBeUndefined();
  expect(processes.statistics()).toMatchObject({ not_found: 2, rounds: 1, remembered: 1 });
});

test('the control thread is never kept for long', async () => {
  const { server, port } = await listen('127.0.0.1');
  const client = connect(port, '127.0.0.1');
  closing.push(() => client.destroy());
  const [socket] = (await once(server, 'connection')) as [Socket];
  closing.push(() => socket.destroy());
  // A process with thousands of links, none of which is the one.
  const hoarder = spawn(
    process.execPath,
    [
      '-e',
      `for (let i = 0; i < 8000; i++) require('fs').openSync('/dev/null'); console.log(1); setInterval(() => {}, 1e6)`,
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  closing.push(() => hoarder.kill('SIGKILL'));
  await once(hoarder.stdout, 'data');
  let turns = 0;
  let isOver = false;
  const turn = () => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  turn();
  await lookup().look(...ends(socket));
  isOver = true;
  // 8,000 links take tens of milliseconds, and nobody has them all in one turn.
  expect(turns).toBeGreaterThan(5);
});
