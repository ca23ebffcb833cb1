// Requests in absolute form: exactly one reaches the server, whatever the client sends behind it.

import { describe, expect, it } from 'vitest';
import { dial } from '../../../test/exactness/actors.ts';
import type { Actor } from '../../../test/exactness/actors.ts';
import { HTTP_PORT, SERVER_PORT, startSmallEdge } from '../../../test/exactness/small-edge.ts';
import type { SmallEdge, SmallEdgeInit } from '../../../test/exactness/small-edge.ts';
import { FINISHED, MALFORMED_HTTP } from '../../layout/reasons.ts';
import { HEAD_DUE } from '../flags.ts';

const URL = `http://127.0.0.1:${SERVER_PORT}`;
const HEAD = (fields: string) => `POST ${URL}/a HTTP/1.1\r\nHost: ignored\r\n${fields}\r\n`;
const FORWARDED = (fields: string) =>
  `POST /a HTTP/1.1\r\nHost: 127.0.0.1:${SERVER_PORT}\r\n${fields}Via: 1.1 sluice\r\nConnection: close\r\n\r\n`;
const SECOND = `GET ${URL}/second HTTP/1.1\r\nHost: x\r\n\r\n`;
const ANSWER = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfine';

function request(init: SmallEdgeInit, ...pieces: string[]): { small: SmallEdge; client: Actor } {
  const small = startSmallEdge(init);
  const client = dial(small.edge, HTTP_PORT);
  for (const piece of pieces) {
    client.say(piece);
    small.pass(3);
  }
  return { small, client };
}

/** The server answers and ends; the client reads it all and ends. */
function conclude(small: SmallEdge, client: Actor): void {
  small.server.last().say(ANSWER).fin();
  small.until(() => client.sawFin);
  expect(client.text).toBe(ANSWER);
  client.fin();
  small.until(() => small.edge.w.slots.live === 0);
  expect(small.server.accepted.length).toBe(1);
  expect(small.edge.ended(FINISHED)).toBe(1);
  small.edge.turn();
  expect(small.edge.leaks()).toEqual([]);
}

describe('a request with a length', () => {
  it('reaches the server alone, also where a second one came in the same packet', () => {
    const { small, client } = request({}, `${HEAD('Content-Length: 5\r\n')}hello${SECOND}`, SECOND);
    small.until(() => small.server.last().heardBytes > 0);
    small.pass(20);
    expect(small.server.last().text).toBe(`${FORWARDED('Content-Length: 5\r\n')}hello`);
    conclude(small, client);
  });

  it('reaches it alone in any pieces', () => {
    const { small, client } = request(
      {},
      'POS',
      `${HEAD('Content-Length: 10\r\n').slice(3)}0123`,
      '456',
      `789${SECOND}`,
    );
    small.pass(20);
    expect(small.server.last().text).toBe(`${FORWARDED('Content-Length: 10\r\n')}0123456789`);
    conclude(small, client);
  });

  it('without a body lets nothing follow', () => {
    const { small, client } = request({}, `${HEAD('')}surplus`, SECOND);
    small.pass(20);
    expect(small.server.last().text).toBe(FORWARDED(''));
    conclude(small, client);
  });

  it('cut short by a FIN ends with a FIN at the server, which knows the length', () => {
    const { small, client } = request({}, `${HEAD('Content-Length: 100\r\n')}half`);
    client.fin();
    small.until(() => small.server.accepted.length === 1 && small.server.last().sawFin);
    expect(small.server.last().text).toBe(`${FORWARDED('Content-Length: 100\r\n')}half`);
    conclude(small, client);
  });

  it('larger than every buffer arrives whole', () => {
    const body = 'b'.repeat(700_000);
    const small = startSmallEdge({ bounds: { buffers: 2 } });
    const client = dial(small.edge, HTTP_PORT).say(
      `${HEAD(`Content-Length: ${body.length}\r\n`)}${body}${SECOND}`,
    );
    const expected = FORWARDED(`Content-Length: ${body.length}\r\n`) + body;
    small.until(() => small.server.accepted.at(-1)?.heardBytes === expected.length);
    small.pass(20);
    expect(small.server.last().text === expected).toBe(true);
    conclude(small, client);
  });
});

describe('a chunked request', () => {
  const body = '5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nTrailer: t\r\n\r\n';

  it('ends where its last chunk ends', () => {
    const { small, client } = request(
      {},
      `${HEAD('Transfer-Encoding: chunked\r\n')}${body}${SECOND}`,
      SECOND,
    );
    small.pass(20);
    expect(small.server.last().text).toBe(`${FORWARDED('Transfer-Encoding: chunked\r\n')}${body}`);
    conclude(small, client);
  });

  it('is followed byte by byte', () => {
    const { small, client } = request({}, HEAD('Transfer-Encoding: chunked\r\n'), ...body, SECOND);
    small.pass(20);
    expect(small.server.last().text).toBe(`${FORWARDED('Transfer-Encoding: chunked\r\n')}${body}`);
    conclude(small, client);
  });

  it('that breaks its framing is reset on both sides, and nothing of the breach is forwarded', () => {
    const { small, client } = request({}, `${HEAD('Transfer-Encoding: chunked\r\n')}2\r\nok\r\n`, 'nonsense');
    small.until(() => client.isOver && small.server.last().isOver);
    const server = small.server.last();
    expect([client.sawReset, server.sawReset]).toEqual([true, true]);
    expect(server.text).toBe(`${FORWARDED('Transfer-Encoding: chunked\r\n')}2\r\nok\r\n`);
    expect(small.edge.ended(MALFORMED_HTTP)).toBe(1);
    small.edge.turn();
    expect(small.edge.leaks()).toEqual([]);
  });
});

describe('when leftover buffers are spent', () => {
  /** Somebody who does not read holds the only one. */
  function hog(small: SmallEdge): { client: Actor; server: Actor } {
    const pair = small.relayed();
    pair.server.hold();
    pair.client.say(new Uint8Array(400_000));
    small.pass(50);
    expect(small.edge.w.buffers.exhausted).toBe(true);
    return pair;
  }

  function concludeBeside(small: SmallEdge, client: Actor, pair: { client: Actor; server: Actor }): void {
    small.server.last().say(ANSWER).fin();
    small.until(() => client.sawFin);
    expect(client.text).toBe(ANSWER);
    client.fin();
    small.until(() => small.edge.ended(FINISHED) === 1);
    pair.client.reset();
    pair.server.reset();
    small.until(() => small.edge.w.slots.live === 0);
    small.edge.turn();
    expect(small.edge.leaks()).toEqual([]);
  }

  const long = 'b'.repeat(700_000);
  const chunks = Array.from({ length: 3_000 }, (_, i) => {
    const size = (i * 37) % 300;
    return `${(size + 1).toString(16)}${i % 5 === 0 ? ';x=y' : ''}\r\n${'c'.repeat(size + 1)}\r\n`;
  }).join('');
  const chunked = `${chunks}0\r\nTrailer: t\r\n\r\n`;

  it.each([
    ['with a length', `Content-Length: ${long.length}\r\n`, long],
    ['in chunks', 'Transfer-Encoding: chunked\r\n', chunked],
  ])('a body %s arrives whole and alone, also at a server that takes it slowly', (_, field, body) => {
    const small = startSmallEdge({ bounds: { buffers: 2 }, faults: { smallBuffers: 1 } });
    const pair = hog(small);
    const client = dial(small.edge, HTTP_PORT).say(`${HEAD(field)}${body}${SECOND}`);
    small.until(() => small.server.accepted.length === 2);
    const server = small.server.last().hold();
    small.pass(20);
    expect(client.waitingBytes).toBeGreaterThan(0);
    server.release();
    const expected = FORWARDED(field) + body;
    small.until(() => server.heardBytes >= expected.length);
    small.pass(20);
    expect(server.text === expected).toBe(true);
    expect(small.edge.tables.workers.peekedReads(0)).toBeGreaterThan(1);
    concludeBeside(small, client, pair);
  });

  it('a breach of the framing ends both sides, after what stood before it was sent', () => {
    const small = startSmallEdge({ bounds: { buffers: 2 } });
    const pair = hog(small);
    const field = 'Transfer-Encoding: chunked\r\n';
    const client = dial(small.edge, HTTP_PORT).say(`${HEAD(field)}2\r\nok\r\n5\r\nagain\r\nnonsense`);
    small.until(() => client.isOver);
    const server = small.server.last();
    small.until(() => server.isOver);
    expect([client.sawReset, server.sawReset, server.sawFin]).toEqual([true, true, false]);
    expect(server.text).toBe(`${FORWARDED(field)}2\r\nok\r\n5\r\nagain\r\n`);
    expect(small.edge.ended(MALFORMED_HTTP)).toBe(1);
    pair.client.reset();
    pair.server.reset();
    small.until(() => small.edge.w.slots.live === 0);
    expect(small.edge.leaks()).toEqual([]);
  });

  it('a body cut short by a FIN ends with a FIN', () => {
    const small = startSmallEdge({ bounds: { buffers: 2 } });
    const pair = hog(small);
    const client = dial(small.edge, HTTP_PORT)
      .say(`${HEAD('Content-Length: 9\r\n')}part`)
      .fin();
    small.until(() => small.server.accepted.length === 2 && small.server.last().sawFin);
    expect(small.server.last().text).toBe(`${FORWARDED('Content-Length: 9\r\n')}part`);
    concludeBeside(small, client, pair);
  });

  it('a head that the server takes in parts waits in the client, and arrives whole', () => {
    const small = startSmallEdge({ bounds: { buffers: 2 }, faults: { splitWrite: 1 } });
    const pair = hog(small);
    const fields = `X-Long: ${'h'.repeat(15_000)}\r\nContent-Length: 5\r\n`;
    const client = dial(small.edge, HTTP_PORT).say(`${HEAD(fields)}hello${SECOND}`);
    small.until(() => (small.edge.w.table.flags(1) & HEAD_DUE) !== 0);
    small.until(() => small.server.accepted.length === 2);
    const server = small.server.last();
    const expected = `${FORWARDED(fields)}hello`;
    small.until(() => server.heardBytes >= expected.length);
    small.pass(20);
    expect(server.text).toBe(expected);
    concludeBeside(small, client, pair);
  });

  it('a head that is due becomes a leftover when a buffer is free again', () => {
    const small = startSmallEdge({ bounds: { buffers: 2 }, faults: { splitWrite: 1 } });
    const pair = hog(small);
    const fields = `X-Long: ${'h'.repeat(15_000)}\r\nContent-Length: 5\r\n`;
    const client = dial(small.edge, HTTP_PORT).say(`${HEAD(fields)}hello`);
    small.until(() => (small.edge.w.table.flags(1) & HEAD_DUE) !== 0);
    pair.client.reset();
    pair.server.reset();
    const expected = `${FORWARDED(fields)}hello`;
    small.until(() => small.server.accepted.at(-1)?.heardBytes === expected.length);
    expect(small.server.last().text).toBe(expected);
    concludeBeside(small, client, pair);
  });

  it.each(['client', 'server'])('a %s that goes while a head is due leaves nothing behind', (who) => {
    const small = startSmallEdge({ bounds: { buffers: 2 }, faults: { splitWrite: 1 } });
    const pair = hog(small);
    const client = dial(small.edge, HTTP_PORT).say(HEAD(`X-Long: ${'h'.repeat(15_000)}\r\n`));
    small.until(() => small.server.accepted.length === 2);
    expect(small.edge.w.table.flags(1) & HEAD_DUE).toBe(HEAD_DUE);
    const server = small.server.last();
    const [leaver, other] = who === 'client' ? [client, server] : [server, client];
    leaver.reset();
    small.until(() => other.isOver);
    expect(other).toMatchObject({ sawReset: true, sawFin: false });
    pair.client.reset();
    pair.server.reset();
    small.until(() => small.edge.w.slots.live === 0);
    expect(small.edge.leaks()).toEqual([]);
  });

  it('what follows a request is dropped all the same, and its answer arrives', () => {
    const small = startSmallEdge({ bounds: { buffers: 2 } });
    const client = dial(small.edge, HTTP_PORT).say(`${HEAD('')}`);
    small.until(() => small.server.accepted.length === 1);
    const server = small.server.last();
    const pair = hog(small);
    client.say('more').fin();
    small.pass(20);
    server.say(ANSWER).fin();
    small.until(() => client.sawFin);
    expect(client.text).toBe(ANSWER);
    pair.client.reset();
    pair.server.reset();
    small.until(() => small.edge.w.slots.live === 0);
    expect(small.edge.leaks()).toEqual([]);
  });
});
