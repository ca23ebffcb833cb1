// Three thousand real connections through the built daemon, of several services, users, inbounds and source addresses:
// evictions over the API end exactly those that they name, wherever their bytes are just then, and every byte of all others
// comes as it was sent.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EvictionAnswer } from '../../src/api/evictions.ts';
import { type Client, connectTo, type End } from './harness/client.ts';
import { type Daemon, startDaemon } from './harness/daemon.ts';
import { echo, MEGABYTE, patternBytes, startServer } from './harness/origin.ts';
import { until, within } from './harness/until.ts';

const LINES = 3_000;
const SOURCES = 10;
const AT_ONCE = 100;
const PIECE_BYTES = 2_000;
const OPEN_TIMEOUT_MS = 60_000;
const pattern = patternBytes(MEGABYTE);

/** A connection, what it belongs to, and the bytes that are its own. */
interface Line extends Kind {
  readonly client: Client;
  readonly source: string;
  /** Where its stretch of the pattern begins; pieces sent so far. */
  readonly at: number;
  sent: number;
}

interface Kind {
  readonly service: string;
  /** '' where nobody is asked. */
  readonly user: string;
  readonly inbound: string;
}

const KINDS: readonly Kind[] = [
  { service: 'team', user: 'alice', inbound: 'socks' },
  { service: 'team', user: 'alice', inbound: 'more-socks' },
  { service: 'team', user: 'bob', inbound: 'socks' },
  { service: 'crew', user: 'carol', inbound: 'more-socks' },
  { service: 'web', user: '', inbound: 'web' },
  { service: 'web', user: '', inbound: 'more-web' },
];

let daemon: Daemon;
let target = 0;
/** All that have not been evicted. */
let lines: Line[] = [];

async function open(index: number, port: number): Promise<Line> {
  const kind = KINDS[index % KINDS.length] as Kind;
  // Each source meets each kind.
  const source = `127.0.1.${1 + (Math.floor(index / KINDS.length) % SOURCES)}`;
  const client = await connectTo({ host: '127.0.0.1', port, localAddress: source });
  const { user } = kind;
  if (user !== '') {
    client.send([5, 1, 2]);
    await client.receive(2);
    client.send([1, user.length, ...Buffer.from(user), 1, 0x70]);
    expect([...(await client.receive(2))]).toEqual([1, 0]);
    client.send([5, 1, 0, 1, 127, 0, 0, 1, target >> 8, target & 255]);
    expect((await client.receive(10))[1]).toBe(0);
  }
  return { ...kind, client, source, at: (index * 7_919) % (MEGABYTE / 2), sent: 0 };
}

function nextPiece(line: Line): Buffer {
  const from = (line.at + line.sent * PIECE_BYTES) % (MEGABYTE - PIECE_BYTES);
  line.sent++;
  return pattern.subarray(from, from + PIECE_BYTES);
}

/** The next piece goes out on each. @returns them, to be compared */
function say(some: readonly Line[]): Map<Line, Buffer> {
  const pieces = new Map(some.map((line) => [line, nextPiece(line)]));
  for (const [{ client }, piece] of pieces) client.send(piece);
  return pieces;
}

async function expectExact(pieces: ReadonlyMap<Line, Buffer>): Promise<void> {
  const wrong: string[] = [];
  await Promise.all(
    [...pieces].map(async ([line, piece]) => {
      const got = await line.client.receive(PIECE_BYTES).catch(String);
      if (typeof got === 'string') wrong.push(`${line.service} ${line.user} ${line.source}: ${got}`);
      else if (!got.equals(piece)) wrong.push(`${line.service} ${line.user} ${line.source}: other bytes`);
    }),
  );
  expect(wrong).toEqual([]);
}

async function evict(filter: object): Promise<EvictionAnswer> {
  const { status, text } = await daemon.api('POST', '/v1/evictions', filter);
  expect([status, text]).toEqual([200, expect.anything()]);
  return JSON.parse(text) as EvictionAnswer;
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/**
 * Where the last bytes and a reset come in one event, libuv reads the bytes and then calls it an end of file.
 * @source libuv, src/unix/stream.c, uv__stream_io: the short cut for POLLHUP after a partial read
 */
function looksReset(bytes: Buffer, end: End): boolean {
  return end === 'reset' || bytes.length > 0;
}

/** Evicts while bytes are on their way on every line, and compares with what is meant. */
async function expectExactlyGone(filter: object, isMeant: (line: Line) => boolean): Promise<EvictionAnswer> {
  const meant = lines.filter(isMeant);
  const rest = lines.filter((line) => !isMeant(line));
  expect(meant.length).toBeGreaterThan(20);
  const expected = {
    matched: meant.length,
    by_service: tally(meant.map(({ service }) => service)),
    by_inbound: tally(meant.map(({ inbound }) => inbound)),
  };
  expect(await evict({ ...filter, dry_run: true })).toMatchObject({
    ...expected,
    closed: 0,
    last_gone_at: null,
  });
  const before = say(lines);
  await expectExact(before);
  const pieces = say(lines);
  const answer = await evict(filter);
  expect(answer).toMatchObject({ ...expected, state: 'done', closed: meant.length });
  lines = rest;
  const ends = await Promise.all(
    meant.map(async (line) => {
      const { bytes, end } = await line.client.rest();
      // What still came was right, as far as it came.
      const isPrefix = bytes.equals((pieces.get(line) as Buffer).subarray(0, bytes.length));
      return `${isPrefix ? 'right' : 'wrong'} bytes, ${looksReset(bytes, end) ? 'reset' : end}`;
    }),
  );
  expect(tally(ends)).toEqual({ 'right bytes, reset': meant.length });
  for (const line of meant) pieces.delete(line);
  await expectExact(pieces);
  await expectExact(say(rest));
  expect((await daemon.status()).ended['evicted']).toBe(LINES - rest.length);
  return answer;
}

describe('an eviction among thousands of real connections', () => {
  beforeAll(async () => {
    target = await startServer(echo);
    const to = `127.0.0.1:${target}`;
    const user = (username: string) => ({ username, password: 'p' });
    daemon = await startDaemon({
      inbounds: [
        { tag: 'socks', type: 'socks5', listen: '127.0.0.1:0' },
        { tag: 'more-socks', type: 'socks5', listen: '127.0.0.1:0' },
        { tag: 'web', type: 'forward', listen: '127.0.0.1:0', service: 'web', target: to },
        { tag: 'more-web', type: 'forward', listen: '127.0.0.1:0', service: 'web', target: to },
      ],
      services: [
        { name: 'team', users: [user('alice'), user('bob')] },
        { name: 'crew', users: [user('carol')] },
        { name: 'web' },
      ],
    });
    const ports = new Map<string, number>();
    for (const { inbound } of KINDS) ports.set(inbound, await daemon.port(inbound));
    for (let first = 0; first < LINES; first += AT_ONCE) {
      const indexes = Array.from({ length: AT_ONCE }, (_, i) => first + i);
      const opened = indexes.map((index) =>
        open(index, ports.get(KINDS[index % KINDS.length]?.inbound ?? '') as number),
      );
      lines.push(...(await Promise.all(opened)));
    }
    await expectExact(say(lines));
  }, OPEN_TIMEOUT_MS);

  afterAll(() => {
    for (const { client } of lines) client.socket.destroy();
  });

  it('ends one source of one service', async () => {
    const answer = await expectExactlyGone(
      { service: 'team', source: '127.0.1.3' },
      ({ service, source }) => service === 'team' && source === '127.0.1.3',
    );
    expect(answer.worker_us).toBeGreaterThan(0);
    expect(Date.parse(answer.last_gone_at ?? '')).toBeGreaterThanOrEqual(Date.parse(answer.started_at));
  });

  it('ends one user, and not the other one of the service', async () => {
    await expectExactlyGone({ user: 'bob' }, ({ user }) => user === 'bob');
  });

  it('ends one inbound, and not the other one of the service', async () => {
    await expectExactlyGone({ inbound: 'more-web' }, ({ inbound }) => inbound === 'more-web');
  });

  it('ends a source over all services', async () => {
    await expectExactlyGone({ source: '127.0.1.7' }, ({ source }) => source === '127.0.1.7');
  });

  it('ends the sources of a prefix', async () => {
    await expectExactlyGone({ source: '127.0.1.8/31' }, ({ source }) => /\.[89]$/.test(source));
  });

  it('ends what all of several keys name', async () => {
    const filter = {
      service: 'team',
      user: 'alice',
      inbound: 'socks',
      outbound: 'direct',
      source: '127.0.1.1',
    };
    await expectExactlyGone(
      filter,
      ({ user, inbound, source }) => user === 'alice' && inbound === 'socks' && source === '127.0.1.1',
    );
  });

  it('spreads them by a rate, can be followed, and leaves the rest alone when it is cancelled', async () => {
    const meant = lines.filter(({ service }) => service === 'crew');
    const rest = lines.filter(({ service }) => service !== 'crew');
    const askedMs = performance.now();
    const { status, text } = await daemon.api('POST', '/v1/evictions', { service: 'crew', rate: '50/s' });
    const elapsedMs = performance.now() - askedMs;
    expect(status).toBe(202);
    const { id, state, closed } = JSON.parse(text) as EvictionAnswer;
    expect(state).toBe('running');
    expect(closed).toBeGreaterThan(20);
    // One at once on each worker.
    expect(closed).toBeLessThan(10 + (50 * elapsedMs) / 1_000);
    expect((await daemon.api('DELETE', `/v1/evictions/${id}`)).status).toBe(200);
    let last = JSON.parse(text) as EvictionAnswer;
    await until('it is over', async () => {
      const { matched } = last;
      last = JSON.parse((await daemon.api('GET', `/v1/evictions/${id}`)).text) as EvictionAnswer;
      return (
        last.state === 'cancelled' && matched === last.matched && Object.keys(last.by_service).length > 0
      );
    });
    const isGone = ({ client }: Line) => client.socket.destroyed || client.socket.readableEnded;
    await until('the ended ones hear of it', () => meant.filter(isGone).length === last.closed);
    expect(meant.length - last.closed).toBeGreaterThan(50);
    lines = lines.filter((line) => !isGone(line));
    expect(lines.length).toBe(rest.length + meant.length - last.closed);
    await expectExact(say(lines));
  });

  it('ends everybody, and says FIN where that is asked for', async () => {
    const { closed } = await evict({ all: true, close: 'fin' });
    expect(closed).toBe(lines.length);
    const ends = await within('all hear of it', Promise.all(lines.map(({ client }) => client.rest())));
    expect(tally(ends.map(({ bytes, end }) => `${bytes.length} ${end}`))).toEqual({ '0 fin': lines.length });
    expect((await daemon.status()).totals.connections).toBe(0);
    lines = [];
  });
});
