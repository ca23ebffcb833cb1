// curl through the http inbound: CONNECT and absolute-form, with and without passwords, names and both address families,
// bodies of every kind both ways.

import { beforeAll, describe, expect, it } from 'vitest';
import { connectTo } from './harness/client.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, startDaemon } from './harness/daemon.ts';
import { MEGABYTE, patternDigest, patternStream, type Seen, startOrigin } from './harness/origin.ts';
import { missing, run, runDigest } from './harness/programs.ts';

/** What curl answers with when a CONNECT is refused. @source curl(1), exit codes */
const CURL_RECV_ERROR = 56;
const CURL = ['curl', '--silent', '--show-error', '--max-time', '10'];

describe.skipIf(missing('curl'))('http, with curl', () => {
  let daemon: Daemon;
  let origin = 0;
  let origin6 = 0;
  let open = '';
  let open6 = '';
  let closed = '';

  beforeAll(async () => {
    origin = await startOrigin();
    origin6 = await startOrigin('::1');
    daemon = await startDaemon({
      inbounds: [
        { tag: 'open', type: 'http', listen: '127.0.0.1:0', service: 'all' },
        { tag: 'open6', type: 'http', listen: '[::1]:0', service: 'all' },
        { tag: 'closed', type: 'http', listen: '127.0.0.1:0' },
      ],
      services: [{ name: 'alice', users: [{ username: 'alice', password: 's3cret: "ü"' }] }],
    });
    open = `http://127.0.0.1:${await daemon.port('open')}`;
    open6 = `http://[::1]:${await daemon.port('open6')}`;
    closed = `http://127.0.0.1:${await daemon.port('closed')}`;
  });

  const curl = (...words: string[]) => run([...CURL, ...words]);
  const forms: readonly (readonly [form: string, ...words: string[]])[] = [
    ['CONNECT', '--proxytunnel'],
    ['absolute-form'],
  ];

  for (const [form, ...words] of forms) {
    describe(form, () => {
      it('reaches IPv4, IPv6 and named targets, from an IPv4 and from an IPv6 listener', async () => {
        for (const proxy of [open, open6]) {
          for (const target of [`127.0.0.1:${origin}`, `[::1]:${origin6}`, `localhost:${origin}`]) {
            const { code, stdout, stderr } = await curl(...words, '--proxy', proxy, `http://${target}/x?y=1`);
            expect([code, stderr]).toEqual([0, '']);
            const { url, headers } = JSON.parse(stdout) as Seen;
            expect([url, headers['host']]).toEqual(['/x?y=1', target]);
            expect(Object.keys(headers).filter((name) => name.startsWith('proxy'))).toEqual([]);
          }
        }
      });

      it('takes a right password, and answers 407 to a wrong one, to none and to an unknown user', async () => {
        const ask = (...more: string[]) =>
          curl(...words, ...more, '--proxy', closed, '--write-out', '\n%{http_connect} %{http_code}', url);
        const url = `http://127.0.0.1:${origin}/`;
        const right = await ask('--proxy-user', 'alice:s3cret: "ü"');
        expect(right.code).toBe(0);
        expect(right.stdout).not.toContain('authorization');
        const refused = form === 'CONNECT' ? [CURL_RECV_ERROR, '407 000'] : [0, '000 407'];
        await counting(daemon, { auth_failed: 3, auth_required: 1 }, async () => {
          for (const user of ['alice:wrong', 'alice:', 'bob:s3cret: "ü"']) {
            const { code, stdout } = await ask('--proxy-user', user);
            expect([code, stdout.split('\n').at(-1)], user).toEqual(refused);
          }
          const { code, stdout } = await ask();
          expect([code, stdout.split('\n').at(-1)]).toEqual(refused);
        });
      });

      it('carries 100 MB down, byte for byte', async () => {
        const bytes = 100 * MEGABYTE;
        const url = `http://127.0.0.1:${origin}/bytes/${bytes}`;
        const got = await runDigest([...CURL, ...words, '--proxy', open, url]);
        expect(got).toEqual({ code: 0, bytes, sha256: patternDigest(bytes), stderr: '' });
      });

      it('carries uploads, with a length and chunked, by PUT and POST', async () => {
        const bytes = 20 * MEGABYTE + 7;
        for (const upload of [
          ['--upload-file', '-'],
          ['--data-binary', '@-'],
        ]) {
          const { code, stdout, stderr } = await run(
            [...CURL, ...words, ...upload, '--proxy', open, `http://127.0.0.1:${origin}/up`],
            { input: patternStream(bytes) },
          );
          expect([code, stderr]).toEqual([0, '']);
          const seen = JSON.parse(stdout) as Seen;
          expect([seen.bytes, seen.sha256]).toEqual([bytes, patternDigest(bytes)]);
          expect(seen.method).toBe(upload[0] === '--upload-file' ? 'PUT' : 'POST');
        }
      });

      it('passes a HEAD and its answer without a body', async () => {
        const { code, stdout } = await curl(
          ...words,
          '--head',
          '--proxy',
          open,
          `http://127.0.0.1:${origin}/bytes/12345`,
        );
        expect(code).toBe(0);
        expect(stdout).toMatch(/content-length: 12345/i);
      });

      it('serves a client that asks again and again', async () => {
        const url = `http://127.0.0.1:${origin}/[1-20]`;
        const { code, stdout } = await curl(...words, '--proxy', open, '--write-out', '%{http_code}\n', url);
        expect(code).toBe(0);
        expect(stdout.match(/200$/gm)).toHaveLength(20);
      });
    });
  }

  it('answers a client that first asks which authentication there is', async () => {
    const { code, stdout } = await curl(
      ...['--proxy-anyauth', '--proxy', closed, '--proxy-user', 'alice:s3cret: "ü"', '--data', 'hello'],
      `http://127.0.0.1:${origin}/any`,
    );
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as Seen).bytes).toBe(5);
  });

  it('answers HTTP/1.0, and a client that ends its half after the request', async () => {
    const requests = [
      `GET http://127.0.0.1:${origin}/old HTTP/1.0\r\n\r\n`,
      `POST http://127.0.0.1:${origin}/old HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello`,
      `POST http://127.0.0.1:${origin}/old HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
      `CONNECT 127.0.0.1:${origin} HTTP/1.0\r\n\r\nGET /old HTTP/1.0\r\n\r\n`,
    ];
    for (const text of requests) {
      const client = await connectTo(await daemon.port('open'));
      client.send(text);
      client.finish();
      const { bytes, end } = await client.rest();
      expect([bytes.toString().match(/"url":"\/old"/g)?.length, end], text).toEqual([1, 'fin']);
    }
  });

  it('forwards one absolute-form request a connection, and nothing that comes after it', async () => {
    const client = await connectTo(await daemon.port('open'));
    const request = (path: string) =>
      `POST http://127.0.0.1:${origin}/${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello`;
    client.send(request('first') + request('second'));
    const { bytes, end } = await client.rest();
    expect(end).toBe('fin');
    const text = bytes.toString('latin1');
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
    expect(text).toContain('"url":"/first"');
    expect(text).not.toContain('second');
    expect(text.toLowerCase()).toContain('connection: close');
  });
});
