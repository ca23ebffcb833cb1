import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createExternalJudge, type ExternalJudgeInit, type JudgeQuestion } from './external-judge.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const QUESTION: JudgeQuestion = {
  service: 'alice',
  user: 'alice',
  inbound: 'socks',
  network: 'tcp',
  source: '192.0.2.1',
  source_port: 40_000,
  target: 'www.example',
  port: 443,
  protocol: 'tls',
  domain: null,
};
const PATIENCE_MS = 20_000;

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

async function serve(
  handler: Handler,
): Promise<{ readonly url: string; readonly bodies: string[]; readonly server: Server }> {
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      bodies.push(body);
      handler(request, response, body);
    });
  });
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/judge`, bodies, server };
}

function create(init: ExternalJudgeInit = {}) {
  const judge = createExternalJudge(init);
  closing.push(() => judge.close());
  return judge;
}

const answering =
  (text: string, status = 200): Handler =>
  (_request, response) =>
    response.writeHead(status, { location: '/elsewhere' }).end(text);

test('a judge is told of the connection, and its answer is taken', async () => {
  const { url, bodies } = await serve((request, response, body) => {
    expect(request.method).toBe('POST');
    expect(request.headers['content-type']).toBe('application/json');
    response.end(JSON.stringify({ match: (JSON.parse(body) as JudgeQuestion).port === 443 }));
  });
  const judge = create();
  expect(await judge.judge(url, PATIENCE_MS, QUESTION)).toBe(true);
  expect(await judge.judge(url, PATIENCE_MS, { ...QUESTION, port: 80 })).toBe(false);
  expect(JSON.parse(bodies[0] as string)).toEqual(QUESTION);
  expect(judge.statistics()).toMatchObject({ asked: 2, match: 1, no_match: 1, in_flight: 0, queued: 0 });
});

test('an answer stands for its ttl, for the same question from any port', async () => {
  let nowMs = 1_000;
  const { url, bodies } = await serve(answering('{"match":true,"ttl":"60s"}'));
  const judge = create({ now: () => nowMs });
  await judge.judge(url, PATIENCE_MS, QUESTION);
  nowMs = 60_000;
  expect(await judge.judge(url, PATIENCE_MS, { ...QUESTION, source_port: 1 })).toBe(true);
  expect(bodies).toHaveLength(1);
  await judge.judge(url, PATIENCE_MS, { ...QUESTION, user: 'bob' });
  expect(bodies).toHaveLength(2);
  nowMs = 62_000;
  await judge.judge(url, PATIENCE_MS, QUESTION);
  expect(bodies).toHaveLength(3);
  expect(judge.statistics()).toMatchObject({ asked: 4, remembered: 1, match: 3 });
});

test('without a ttl nothing is remembered, but the same question is asked once at a time', async () => {
  const { url, bodies } = await serve(answering('{"match":false}'));
  const judge = create();
  const ask = () => judge.judge(url, PATIENCE_MS, QUESTION);
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([false, false, false]);
  expect(bodies).toHaveLength(1);
  await ask();
  expect(bodies).toHaveLength(2);
  expect(judge.statistics()).toMatchObject({ joined: 2, remembered: 0 });
});

describe('no judgement', () => {
  const LARGE = JSON.stringify({ match: true, padding: 'x'.repeat(70_000) });
  test.each<[string, Handler, string]>([
    ['another status', answering('{"match":true}', 500), 'status'],
    ['a redirect', answering('{"match":true}', 307), 'status'],
    ['not JSON', answering('yes'), 'garbage'],
    ['JSON of another kind', answering('{"match":"true"}'), 'garbage'],
    ['null', answering('null'), 'garbage'],
    ['a ttl that is none', answering('{"match":true,"ttl":"soon"}'), 'garbage'],
    ['too much', answering(LARGE), 'garbage'],
    ['too much of a refusal', answering(LARGE, 404), 'status'],
    ['a connection that ends', (request) => request.socket.destroy(), 'failed'],
    [
      'half an answer',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '14' });
        response.write('{"match":', () => response.destroy());
      },
      'failed',
    ],
  ])('%s', async (_name, handler, counted) => {
    const { url, bodies } = await serve(handler);
    const judge = create();
    expect(await judge.judge(url, PATIENCE_MS, QUESTION)).toBeUndefined();
    expect(bodies).toHaveLength(1);
    expect(judge.statistics()).toMatchObject({ [counted]: 1, match: 0, in_flight: 0 });
  });

  test('nobody listens', async () => {
    const { url, server } = await serve(answering(''));
    server.close();
    const judge = create();
    expect(await judge.judge(url, PATIENCE_MS, QUESTION)).toBeUndefined();
    expect(judge.statistics()).toMatchObject({ failed: 1 });
  });

  test('an address that nobody can ask', async () => {
    const judge = create();
    expect(await judge.judge('ftp://127.0.0.1/', PATIENCE_MS, QUESTION)).toBeUndefined();
    expect(judge.statistics()).toMatchObject({ failed: 1, in_flight: 0 });
  });

  test('no answer in time, and its connection is closed', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1');
    closing.push(() => server.close());
    await once(server, 'listening');
    const judge = create();
    const answer = judge.judge(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, 50, QUESTION);
    const [socket] = (await once(server, 'connection')) as [Socket];
    socket.resume();
    expect(await answer).toBeUndefined();
    await once(socket, 'close');
    expect(judge.statistics()).toMatchObject({ late: 1, failed: 0, in_flight: 0 });
  });

  test('an answer that drips is late as well', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200);
      const dripping = setInterval(() => response.write(' '), 5);
      response.on('close', () => clearInterval(dripping));
    });
    const judge = create();
    expect(await judge.judge(url, 60, QUESTION)).toBeUndefined();
    expect(judge.statistics()).toMatchObject({ late: 1, failed: 0 });
  });
});

test('no more than so many are under way, so many wait, and others are refused', async () => {
  const held: ServerResponse[] = [];
  let arrived: () => void = () => {};
  const { url } = await serve((_request, response) => {
    held.push(response);
    arrived();
  });
  const judge = create({ flightsMax: 2, queueMax: 3 });
  const answers = Array.from({ length: 7 }, (_, port) =>
    judge.judge(url, PATIENCE_MS, { ...QUESTION, port }),
  );
  expect(await Promise.all(answers.slice(5))).toEqual([undefined, undefined]);
  expect(judge.statistics()).toMatchObject({ refused: 2, in_flight: 2, queued: 3 });
  for (let i = 0; i < 5; i++) {
    if (held.length === 0) await new Promise<void>((done) => (arrived = done));
    expect(judge.statistics().in_flight).toBeLessThanOrEqual(2);
    held.shift()?.end('{"match":true}');
  }
  expect(await Promise.all(answers.slice(0, 5))).toEqual([true, true, true, true, true]);
  expect(judge.statistics()).toMatchObject({ match: 5, in_flight: 0, queued: 0 });
});

test('who waits in the queue for too long is late', async () => {
  const { url } = await serve(() => {});
  const judge = create({ flightsMax: 1 });
  const first = judge.judge(url, PATIENCE_MS, QUESTION);
  expect(await judge.judge(url, 30, { ...QUESTION, port: 1 })).toBeUndefined();
  expect(judge.statistics()).toMatchObject({ late: 1, in_flight: 1, queued: 0 });
  judge.close();
  expect(await first).toBeUndefined();
});

test('a kept connection that the judge closed is tried again', async () => {
  // Says that it keeps the connection, and ends it at the next request.
  const perSocket = new WeakMap<object, number>();
  const { url, bodies } = await serve((request, response) => {
    const count = (perSocket.get(request.socket) ?? 0) + 1;
    perSocket.set(request.socket, count);
    if (count === 2) request.socket.resetAndDestroy();
    else response.end('{"match":true}');
  });
  const judge = create();
  expect(await judge.judge(url, PATIENCE_MS, QUESTION)).toBe(true);
  // Until the agent has the connection back.
  await new Promise(setImmediate);
  expect(await judge.judge(url, PATIENCE_MS, QUESTION)).toBe(true);
  expect(bodies).toHaveLength(3);
});

/** A judge that answers when it is told to, the oldest first. */
async function holding() {
  const held: { readonly body: string; readonly response: ServerResponse }[] = [];
  let arrived: () => void = () => {};
  const { url } = await serve((_request, response, body) => {
    held.push({ body, response });
    arrived();
  });
  return {
    url,
    held,
    async next() {
      while (held.length === 0) await new Promise<void>((done) => (arrived = done));
      return held.shift() as (typeof held)[number];
    },
  };
}

test('one source does not keep the others waiting', async () => {
  const { url, next } = await holding();
  const judge = create({ flightsMax: 3, queueMax: 8, sourceFlightsMax: 2, sourceQuestionsMax: 5 });
  const ask = (source: string, source_port: number) =>
    judge.judge(url, PATIENCE_MS, { ...QUESTION, source, source_port });
  // Of one /64, as far as it may.
  const loud = Array.from({ length: 7 }, (_, port) => ask(`2001:db8::${port + 1}`, port));
  expect(await Promise.all(loud.slice(5))).toEqual([undefined, undefined]);
  expect(judge.statistics()).toMatchObject({ refused: 0, refused_source: 2, in_flight: 2, queued: 3 });
  const quiet = [ask('2001:db8:0:1::1', 1), ask('192.0.2.1', 1), ask('192.0.2.2', 1)];
  expect(judge.statistics()).toMatchObject({ in_flight: 3, queued: 5 });
  const order: string[] = [];
  for (let i = 0; i < 8; i++) {
    const { body, response } = await next();
    order.push((JSON.parse(body) as JudgeQuestion).source ?? '');
    response.end('{"match":true}');
    expect(judge.statistics().in_flight).toBeLessThanOrEqual(3);
  }
  expect(await Promise.all([...loud.slice(0, 5), ...quiet])).toEqual(Array.from({ length: 8 }, () => true));
  // Whoever came last has not had to wait for all that the first one had asked.
  const last = order.findLastIndex((source) => source.startsWith('2001:db8::'));
  expect(order.indexOf('192.0.2.1')).toBeLessThan(last);
  expect(order.indexOf('192.0.2.2')).toBeLessThan(last);
  expect(judge.statistics()).toMatchObject({ match: 8, in_flight: 0, queued: 0 });
});

test('whoever joins a question has a time of its own', async () => {
  const { url, next } = await holding();
  const judge = create();
  const first = judge.judge(url, 30, QUESTION);
  const joined = judge.judge(url, PATIENCE_MS, QUESTION);
  expect(await first).toBeUndefined();
  // What the first one has waited for in vain is asked again.
  const again = judge.judge(url, PATIENCE_MS, QUESTION);
  (await next()).response.end('{"match":true}');
  (await next()).response.end('{"match":true}');
  expect([await joined, await again]).toEqual([true, true]);
  expect(judge.statistics()).toMatchObject({ asked: 3, joined: 1, late: 1, match: 2, in_flight: 0 });
});

test('a question is given up when the last one has gone who waited for it', async () => {
  const { url, next } = await holding();
  const judge = create();
  const first = judge.judge(url, 500, QUESTION);
  const joined = judge.judge(url, 250, QUESTION);
  const { response } = await next();
  expect([await first, await joined]).toEqual([undefined, undefined]);
  if (!response.closed) await once(response, 'close');
  expect(judge.statistics()).toMatchObject({ joined: 1, late: 2, failed: 0 });
});

test('connections of Unix sockets are not taken for one', async () => {
  const { url, next } = await holding();
  const judge = create();
  const ask = () => judge.judge(url, PATIENCE_MS, { ...QUESTION, source: null, source_port: 0 });
  const answers = [ask(), ask()];
  (await next()).response.end('{"match":true}');
  (await next()).response.end('{"match":false}');
  expect((await Promise.all(answers)).toSorted()).toEqual([false, true]);
  expect(judge.statistics()).toMatchObject({ joined: 0, match: 1, no_match: 1 });
});

test('whoever still waits when it is closed is answered, joined or not', async () => {
  const { url, next } = await holding();
  const judge = create();
  const first = judge.judge(url, 30, QUESTION);
  const joined = judge.judge(url, PATIENCE_MS, QUESTION);
  await next();
  await first;
  judge.close();
  expect(await joined).toBeUndefined();
});
