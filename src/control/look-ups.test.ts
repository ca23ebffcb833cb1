import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { parseIp } from '../layout/ip-address.ts';
import type { ControlMessage } from '../layout/messages.ts';
import {
  deriveNameKeys,
  hashText,
  RULE_PROCESS_NAME_KEY,
  RULE_PROCESS_PATH_KEY,
} from '../layout/name-hash.ts';
import { NEED_EXTERNAL, NEED_PROCESS, PROTOCOL_TLS } from '../layout/rules.ts';
import { CLIENT } from '../layout/slot.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import { AF_INET, AF_UNIX, SOCK_STREAM } from '../sys/constants.ts';
import { createLibc } from '../sys/libc/libc.ts';
import { SocketAddress } from '../sys/socket-address.ts';
import type { Names } from './directory.ts';
import { createExternalJudge } from './external-judge.ts';
import { createLookUps } from './look-ups.ts';
import { createProcessLookup } from './process-lookup.ts';

type LookedUp = Extract<ControlMessage, { kind: 'looked_up' }>;

const sys = createLibc();
const keys = deriveNameKeys(Int32Array.of(1, 2, 3, 4));
const WORKER = 1;
const SLOT = 3;
const GENERATION = 5;
const ROW = 7;
const QUESTION = 5;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const limits = {
  workers: 2,
  slotsPerWorker: 8,
  pipesPerWorker: 4,
  services: 1,
  credentials: 1,
  serverNames: 1,
  targets: 1,
  sources: 1024,
  networkWords: 1024,
  ruleWords: 65_536,
  receipts: 64,
  isIndexed: true,
};

function named(name: string, index: number, generation: number): Names {
  return {
    find: () => undefined,
    nameOf: (i, g) => (i === index && g === generation ? name : undefined),
    all: () => [name],
  };
}

/** A connection of a worker, waiting for its rules. */
function setUp(externals: readonly { url: string; timeoutMs: number }[] = []) {
  const tables = attachTables(createTables(limits, Int32Array.of(1, 2, 3, 4)));
  const slots = tables.slots[WORKER] as (typeof tables.slots)[number];
  const facts = tables.facts[WORKER] as (typeof tables.facts)[number];
  slots.setGeneration(SLOT, GENERATION);
  slots.setService(SLOT, 0);
  slots.setServiceGeneration(SLOT, 9);
  slots.setCredential(SLOT, 4);
  slots.setCredentialGeneration(SLOT, 1);
  slots.setInbound(SLOT, 2);
  slots.setInboundGeneration(SLOT, 3);
  slots.setTargetIndex(SLOT, -1);
  slots.setDestinationPort(SLOT, -1);
  const processes = createProcessLookup({ sys });
  const judge = createExternalJudge();
  const directory = {
    services: named('alice', 0, 9),
    users: named('alice-laptop', 4, 1),
    inbounds: named('socks', 2, 3),
  };
  const lookUps = createLookUps({
    sys,
    tables,
    keys,
    directory,
    processes,
    judge,
    externalsOf: (row) => (row === ROW ? externals : []),
  });
  closing.push(() => lookUps.close());
  const ask = (need: number, external = -1, generation = GENERATION) =>
    new Promise<LookedUp>((reply) => {
      const about = { slot: SLOT, generation, question: QUESTION, need, external, snapshotRow: ROW };
      const message = { kind: 'look_up', ...about } as const;
      lookUps.serve(WORKER, message, reply);
    });
  return { slots, facts, lookUps, ask };
}

function setAddress(set: (slot: number, word: number, value: number) => void, text: string): void {
  for (const [word, value] of (parseIp(text) as Int32Array).entries()) set(SLOT, word, value);
}

/** A listener, a program of its own that connects to it, and the descriptor that was accepted. */
async function acceptFrom(
  family: number,
  address: SocketAddress,
  code: (port: number) => string,
): Promise<number> {
  const listener = sys.socket(family, SOCK_STREAM, 0);
  closing.push(() => sys.close(listener));
  expect(sys.bind(listener, address.address, address.length)).toBe(0);
  expect(sys.listen(listener, 8)).toBe(0);
  address.resetLength();
  sys.getsockname(listener, address.address, address.lengthAddress);
  const child = spawn(process.execPath, ['-e', `${code(address.port)}; setInterval(() => {}, 1e6)`], {
    stdio: 'ignore',
  });
  closing.push(() => child.kill('SIGKILL'));
  for (;;) {
    address.resetLength();
    const fd = sys.accept(listener, address.address, address.lengthAddress);
    if (fd >= 0) {
      closing.push(() => sys.close(fd));
      return fd;
    }
    await new Promise((again) => setTimeout(again, 2));
  }
}

const self = realpathSync(process.execPath);
const SELF = {
  found: true,
  processName: hashText(keys, RULE_PROCESS_NAME_KEY, basename(self)).slice(0, 2),
  processPath: hashText(keys, RULE_PROCESS_PATH_KEY, self).slice(0, 2),
  userId: process.getuid?.(),
};

test('a worker learns which program its client is', async () => {
  const { slots, lookUps, ask } = setUp();
  const address = new SocketAddress(sys);
  const words = parseIp('127.0.0.1') as Int32Array;
  address.setIp(words[0] as number, words[1] as number, words[2] as number, words[3] as number, 0);
  const fd = await acceptFrom(AF_INET, address, (port) => `require('net').connect(${port}, '127.0.0.1')`);
  slots.setFd(SLOT, CLIENT, fd);
  setAddress(slots.setSource.bind(slots), '127.0.0.1');
  slots.setSourcePort(SLOT, address.port);
  const names = {
    kind: 'looked_up',
    slot: SLOT,
    generation: GENERATION,
    question: QUESTION,
    need: NEED_PROCESS,
  };
  expect(await ask(NEED_PROCESS)).toEqual({ ...names, external: -1, isTrue: false, ...SELF });
  expect(lookUps.statistics().processes).toMatchObject({ asked: 1, found: 1 });
});

test('a client of a Unix socket is known by its socket', async () => {
  const { slots, ask } = setUp();
  const directory = mkdtempSync(join(tmpdir(), 'sluice-look-ups-'));
  closing.push(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'socket');
  const address = new SocketAddress(sys);
  address.setUnix(Buffer.from(path));
  slots.setFd(SLOT, CLIENT, await acceptFrom(AF_UNIX, address, () => `require('net').connect('${path}')`));
  expect(await ask(NEED_PROCESS)).toMatchObject(SELF);
});

test('a client of another machine has no program here, which is an answer', async () => {
  const { slots, ask } = setUp();
  slots.setFd(SLOT, CLIENT, -1);
  setAddress(slots.setSource.bind(slots), '192.0.2.1');
  setAddress(slots.setDestination.bind(slots), '192.0.2.2');
  slots.setDestinationPort(SLOT, 443);
  const nobody = new Int32Array(2);
  expect(await ask(NEED_PROCESS)).toMatchObject({
    found: true,
    processName: nobody,
    processPath: nobody,
    userId: -1,
  });
});

async function serveJudge(answer: string) {
  const bodies: unknown[] = [];
  const server = createHttpServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      bodies.push(JSON.parse(Buffer.concat(parts).toString()));
      response.end(answer);
    });
  });
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, bodies };
}

test('a judge is asked about the connection as its worker knows it', async () => {
  const { url, bodies } = await serveJudge('{"match":true}');
  const { slots, facts, ask } = setUp([
    { url: 'http://127.0.0.1:1/', timeoutMs: 1 },
    { url, timeoutMs: 20_000 },
  ]);
  setAddress(slots.setSource.bind(slots), '2001:db8::7');
  slots.setSourcePort(SLOT, 50_000);
  setAddress(slots.setTarget.bind(slots), '192.0.2.80');
  slots.setTargetPort(SLOT, 443);
  facts.setProtocol(SLOT, PROTOCOL_TLS);
  const name = Buffer.from('www.example\0');
  for (let word = 0; word < 3; word++) facts.setName(SLOT, word, name.readInt32LE(word * 4));
  facts.setNameBytes(SLOT, 11);
  expect(await ask(NEED_EXTERNAL, 1)).toMatchObject({
    found: true,
    isTrue: true,
    external: 1,
    need: NEED_EXTERNAL,
    question: QUESTION,
  });
  const question = {
    service: 'alice',
    user: 'alice-laptop',
    inbound: 'socks',
    network: 'tcp',
    source: '2001:db8::7',
    source_port: 50_000,
    target: '192.0.2.80',
    port: 443,
    protocol: 'tls',
    domain: 'www.example',
  };
  facts.setIsNamed(SLOT, 1);
  await ask(NEED_EXTERNAL, 1);
  expect(bodies).toEqual([question, { ...question, target: 'www.example', domain: null }]);
});

test('a judgement that nobody gives, or that the snapshot does not know, is not found', async () => {
  const { url } = await serveJudge('no');
  const { ask, lookUps } = setUp([{ url, timeoutMs: 20_000 }]);
  expect(await ask(NEED_EXTERNAL, 0)).toMatchObject({ found: false });
  expect(await ask(NEED_EXTERNAL, 1)).toMatchObject({ found: false });
  expect(lookUps.statistics().externals).toMatchObject({ asked: 1, garbage: 1 });
});

test('of a connection that has gone nothing is looked up', () => {
  const { lookUps, ask } = setUp([{ url: 'http://127.0.0.1:1/', timeoutMs: 1_000 }]);
  void ask(NEED_PROCESS, -1, GENERATION + 2);
  void ask(NEED_EXTERNAL, 0, GENERATION + 2);
  expect(lookUps.statistics()).toMatchObject({ gone: 2, processes: { asked: 0 }, externals: { asked: 0 } });
});
