// What bad input gets: the answer that its protocol has for it, an end, and a counter with a name. And clients that take
// their time: the handshake has a deadline, however many bytes trickle in.

import { beforeAll, describe, expect, it } from 'vitest';
import { type Client, connectTo } from './harness/client.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, startDaemon } from './harness/daemon.ts';
import { until } from './harness/until.ts';

const HANDSHAKE_MS = 2_000;
const HEAD_BYTES_MAX = 16 * 1024;

describe('bad input', () => {
  let daemon: Daemon;
  const ports: Record<string, number> = {};

  beforeAll(async () => {
    daemon = await startDaemon({
      timeouts: { handshake: `${HANDSHAKE_MS}ms` },
      inbounds: [
        { tag: 'socks5', type: 'socks5', listen: '127.0.0.1:0', service: 'all' },
        { tag: 'closed', type: 'socks5', listen: '127.0.0.1:0' },
        { tag: 'http', type: 'http', listen: '127.0.0.1:0', service: 'all' },
        { tag: 'sni', type: 'sni', listen: '127.0.0.1:0' },
        {
          ...{ tag: 'proxy', type: 'forward', listen: '127.0.0.1:0', service: 'all' },
          ...{ target: '127.0.0.1:1', accept_proxy_protocol: ['127.0.0.0/8'] },
        },
      ],
      services: [{ name: 'alice', users: [{ username: 'alice', password: 'x' }] }, { name: 'all' }],
    });
    for (const { tag } of (await daemon.status()).inbounds) ports[tag] = await daemon.port(tag);
  });

  const to = (tag: string): Promise<Client> => connectTo(ports[tag] as number);

  /** Sends everything at once. @returns what came back before the end */
  async function say(tag: string, bytes: readonly number[] | string): Promise<Buffer> {
    const client = await to(tag);
    client.send(bytes);
    const { bytes: answer, end } = await client.rest();
    // An answer must not be lost to a reset.
    if (answer.length > 0) expect(end, String(bytes)).toBe('fin');
    client.socket.destroy();
    return answer;
  }

  describe('socks5', () => {
    const METHOD = [5, 0];
    const reply = (code: number) => [...METHOD, 5, code, 0, 1, 0, 0, 0, 0, 0, 0];
    const cases: readonly (readonly [
      what: string,
      bytes: readonly number[],
      answer: readonly number[],
      reason: string,
    ])[] = [
      ['version 4', [4, 1, 0, 80, 127, 0, 0, 1, 0], [], 'malformed_socks'],
      ['HTTP', [...Buffer.from('GET / HTTP/1.1\r\n\r\n')], [], 'malformed_socks'],
      ['no method at all', [5, 0], [], 'malformed_socks'],
      ['only methods that we lack', [5, 2, 1, 3], [5, 0xff], 'auth_required'],
      [
        'another version in the request',
        [5, 1, 0, 4, 1, 0, 1, 1, 2, 3, 4, 0, 80],
        reply(1),
        'malformed_socks',
      ],
      ['BIND', [5, 1, 0, 5, 2, 0, 1, 127, 0, 0, 1, 0, 80], reply(7), 'command_unsupported'],
      ['UDP ASSOCIATE', [5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0], reply(7), 'command_unsupported'],
      ['an unknown command', [5, 1, 0, 5, 9, 0, 1, 127, 0, 0, 1, 0, 80], reply(7), 'command_unsupported'],
      [
        'an unknown address type',
        [5, 1, 0, 5, 1, 0, 2, 1, 2, 3, 4, 0, 80],
        reply(8),
        'address_type_unsupported',
      ],
      ['an empty name', [5, 1, 0, 5, 1, 0, 3, 0, 0, 80], reply(1), 'malformed_socks'],
      ['a name that is none', [5, 1, 0, 5, 1, 0, 3, 3, 97, 0, 98, 0, 80], reply(1), 'malformed_socks'],
    ];
    for (const [what, bytes, answer, reason] of cases) {
      it(`answers ${what}: ${reason}`, async () => {
        await counting(daemon, { [reason]: 1 }, async () => {
          expect([...(await say('socks5', bytes))]).toEqual(answer);
        });
      });
    }

    it('answers a malformed and an empty password message with a failure', async () => {
      await counting(daemon, { malformed_socks: 1, auth_failed: 1 }, async () => {
        expect([...(await say('closed', [5, 1, 2, 5, 1, 97, 1, 98]))]).toEqual([5, 2, 1, 1]);
        expect([...(await say('closed', [5, 1, 2, 1, 5, ...Buffer.from('alice'), 0]))]).toEqual([5, 2, 1, 1]);
      });
    });
  });

  describe('http', () => {
    const host = 'Host: a.example\r\n';
    const cases: readonly (readonly [what: string, text: string, status: number, reason: string])[] = [
      ['what is no HTTP', '\x05\x01\x00', 400, 'malformed_http'],
      ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'malformed_http'],
      ['a request to the proxy itself', `GET / HTTP/1.1\r\n${host}\r\n`, 400, 'malformed_http'],
      ['a bare LF', 'GET http://a.example/ HTTP/1.1\nHost: a.example\n\n', 400, 'malformed_http'],
      ['no Host', 'GET http://a.example/ HTTP/1.1\r\n\r\n', 400, 'malformed_http'],
      ['two Hosts', `GET http://a.example/ HTTP/1.1\r\n${host}${host}\r\n`, 400, 'malformed_http'],
      ['a folded line', `GET http://a.example/ HTTP/1.1\r\n${host} x\r\n\r\n`, 400, 'malformed_http'],
      ['a space before a colon', `GET http://a.example/ HTTP/1.1\r\nHost : x\r\n\r\n`, 400, 'malformed_http'],
      [
        'length and coding together',
        `POST http://a.example/ HTTP/1.1\r\n${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n`,
        400,
        'malformed_http',
      ],
      [
        'two lengths',
        `POST http://a.example/ HTTP/1.1\r\n${host}Content-Length: 3\r\nContent-Length: 4\r\n\r\n`,
        400,
        'malformed_http',
      ],
      ['CONNECT without a port', `CONNECT a.example HTTP/1.1\r\n${host}\r\n`, 400, 'malformed_http'],
      [
        'another coding than chunked',
        `POST http://a.example/ HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n`,
        501,
        'transfer_coding_unsupported',
      ],
      ['another scheme', `GET ftp://a.example/ HTTP/1.1\r\n${host}\r\n`, 501, 'command_unsupported'],
      ['TRACE', `TRACE http://a.example/ HTTP/1.1\r\n${host}\r\n`, 501, 'command_unsupported'],
      [
        'a head over its bound',
        `GET http://a.example/ HTTP/1.1\r\n${host}X: ${'x'.repeat(HEAD_BYTES_MAX)}\r\n\r\n`,
        431,
        'header_too_large',
      ],
      [
        'too many fields',
        `GET http://a.example/ HTTP/1.1\r\n${host}${'X: y\r\n'.repeat(200)}\r\n`,
        431,
        'header_too_large',
      ],
      [
        'a head without an end',
        `GET http://a.example/ HTTP/1.1\r\nX: ${'x'.repeat(100_000)}`,
        431,
        'header_too_large',
      ],
    ];
    for (const [what, text, status, reason] of cases) {
      it(`answers ${what} with ${status}: ${reason}`, async () => {
        await counting(daemon, { [reason]: 1 }, async () => {
          const answer = (await say('http', text)).toString('latin1');
          expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
          expect(answer).toContain('\r\nConnection: close\r\n');
          expect(answer).toContain(`\r\n\r\nsluice: ${reason}\n`);
        });
      });
    }

    it('takes a head of just less than the bound, in single bytes and in one piece', async () => {
      const start = `GET http://127.0.0.1:1/ HTTP/1.1\r\n${host}X: `;
      const text = `${start}${'x'.repeat(HEAD_BYTES_MAX - start.length - 4)}\r\n\r\n`;
      expect(text).toHaveLength(HEAD_BYTES_MAX);
      await counting(daemon, { connect_refused: 2 }, async () => {
        expect((await say('http', text)).toString()).toMatch(/^HTTP\/1\.1 502 /);
        const client = await to('http');
        for (const character of text) {
          if (!client.socket.write(character))
            await new Promise((drained) => client.socket.once('drain', drained));
        }
        expect((await client.rest()).bytes.toString()).toMatch(/^HTTP\/1\.1 502 /);
        client.socket.destroy();
      });
    });
  });

  it('counts by reason in the metrics as well', async () => {
    const { text } = await daemon.api('GET', '/metrics');
    expect(text).toMatch(/^sluice_ended_total\{reason="malformed_http"\} [1-9]\d*$/m);
    expect(text).toMatch(/^sluice_ended_total\{reason="malformed_socks"\} [1-9]\d*$/m);
  });

  it('cuts clients that say nothing, or one byte after the other, at the handshake deadline', async () => {
    const answers: readonly (readonly [tag: string, bytes: string, answer: RegExp])[] = [
      ['socks5', '\x05\xff'.padEnd(100, '\x01'), /^$/],
      [
        'http',
        'GET http://a.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n',
        /^HTTP\/1\.1 408 /,
      ],
      ['sni', '\x16\x03\x01\x20\x00\x01\x00\x1f\xfc'.padEnd(100, '\x03'), /^$/],
      ['proxy', 'PROXY TCP4 127.127.127.127 127.127.127.127 65535 65535\r\n', /^$/],
    ];
    await counting(daemon, { handshake_timeout: answers.length * 2 }, async () => {
      const trickling = answers.map(async ([tag, bytes, answer]) => {
        const startedMs = performance.now();
        const silent = await to(tag);
        const client = await to(tag);
        let at = 0;
        // Slow enough not to be through by the deadline, and faster than any deadline that each byte would renew.
        const trickle = setInterval(() => client.send(bytes[at++ % bytes.length] ?? ''), HANDSHAKE_MS / 25);
        const got = await client.rest();
        clearInterval(trickle);
        const tookMs = performance.now() - startedMs;
        expect(got.bytes.toString('latin1'), tag).toMatch(answer);
        expect((await silent.rest()).bytes.toString('latin1'), tag).toMatch(answer);
        expect(tookMs, tag).toBeGreaterThan(HANDSHAKE_MS * 0.9);
        expect(tookMs, tag).toBeLessThan(HANDSHAKE_MS * 2);
        client.socket.destroy();
        silent.socket.destroy();
      });
      await Promise.all(trickling);
    });
  });

  it('holds nothing for clients that are gone', async () => {
    await until('no connection is left', async () => (await daemon.status()).totals.connections === 0);
    const { descriptors, workers } = await daemon.status();
    const idlePipes = workers.reduce((sum, worker) => sum + worker.pipes_open, 0);
    expect(descriptors.used).toBe(2 * idlePipes);
  });
});
