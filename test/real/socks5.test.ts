// curl through the socks5 inbound: with and without passwords, both address families, names resolved here and there, and
// bodies of every kind both ways.

import { beforeAll, describe, expect, it } from 'vitest';
import { counting } from './harness/counting.ts';
import { type Daemon, LOCAL, startDaemon } from './harness/daemon.ts';
import { MEGABYTE, patternDigest, patternStream, type Seen, startOrigin } from './harness/origin.ts';
import { missing, run, runDigest } from './harness/programs.ts';

/** What curl answers with when a proxy refuses. @source curl(1), exit codes */
const CURL_PROXY_FAILED = 97;

describe.skipIf(missing('curl'))('socks5, with curl', () => {
  let daemon: Daemon;
  let origin = 0;
  let origin6 = 0;
  let open = '';
  let open6 = '';
  let closed = '';

  beforeAll(async () => {
    origin = await startOrigin();
    origin6 = await startOrigin('::1');
    const services = [{ name: 'alice', users: [{ username: 'alice', password: 's3cret: "ü"' }] }];
    daemon = await startDaemon({
      inbounds: [
        { tag: 'open', type: 'socks5', listen: '127.0.0.1:0', service: 'all' },
        { tag: 'open6', type: 'socks5', listen: '[::1]:0', service: 'all' },
        { tag: 'closed', type: 'socks5', listen: '127.0.0.1:0' },
      ],
      outbounds: [LOCAL],
      services,
    });
    open = `127.0.0.1:${await daemon.port('open')}`;
    open6 = `[::1]:${await daemon.port('open6')}`;
    closed = `127.0.0.1:${await daemon.port('closed')}`;
  });

  const curl = (...words: string[]) =>
    run(['curl', '--silent', '--show-error', '--max-time', '10', ...words]);

  it('relays a request to an IPv4 and to an IPv6 target, from an IPv4 and from an IPv6 listener', async () => {
    for (const proxy of [open, open6]) {
      for (const target of [`127.0.0.1:${origin}`, `[::1]:${origin6}`]) {
        const { code, stdout, stderr } = await curl('--socks5', proxy, `http://${target}/x`);
        expect([code, stderr]).toEqual([0, '']);
        expect((JSON.parse(stdout) as Seen).headers['host']).toBe(target);
      }
    }
  });

  it('resolves host names for the client', async () => {
    const { code, stdout } = await curl('--socks5-hostname', open, `http://localhost:${origin}/named`);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as Seen).url).toBe('/named');
  });

  it('takes a right password, and neither a wrong one nor none nor an unknown user', async () => {
    const proxyUser = (user: string) => ['--socks5-hostname', closed, '--proxy-user', user];
    const url = `http://127.0.0.1:${origin}/`;
    expect((await curl(...proxyUser('alice:s3cret: "ü"'), url)).code).toBe(0);
    await counting(daemon, { auth_failed: 3, auth_required: 1 }, async () => {
      for (const user of ['alice:wrong', 'alice:', 'bob:s3cret: "ü"']) {
        const { code, stdout } = await curl(...proxyUser(user), url);
        expect([code, stdout], user).toEqual([CURL_PROXY_FAILED, '']);
      }
      expect((await curl('--socks5', closed, url)).code).toBe(CURL_PROXY_FAILED);
    });
  });

  it('carries 100 MB down, byte for byte', async () => {
    const bytes = 100 * MEGABYTE;
    const url = `http://127.0.0.1:${origin}/bytes/${bytes}`;
    const got = await runDigest(['curl', '--silent', '--show-error', '--socks5', open, url]);
    expect(got).toEqual({ code: 0, bytes, sha256: patternDigest(bytes), stderr: '' });
  });

  it('carries uploads, with a length and chunked', async () => {
    const bytes = 20 * MEGABYTE + 7;
    for (const words of [
      ['--upload-file', '-'],
      ['--data-binary', '@-'],
    ]) {
      const { code, stdout } = await run(
        ['curl', '--silent', '--show-error', '--socks5', open, ...words, `http://127.0.0.1:${origin}/up`],
        { input: patternStream(bytes) },
      );
      expect(code).toBe(0);
      const { bytes: arrived, sha256, headers } = JSON.parse(stdout) as Seen;
      expect([arrived, sha256]).toEqual([bytes, patternDigest(bytes)]);
      const framing = words[0] === '--data-binary' ? 'content-length' : 'transfer-encoding';
      expect(headers[framing]).toBeDefined();
    }
  });

  it('keeps one connection for many requests', async () => {
    const before = (await daemon.status()).totals.accepted;
    const url = `http://127.0.0.1:${origin}/[1-20]`;
    const { code, stdout } = await curl('--socks5', open, '--write-out', '\n%{num_connects}\n', url);
    expect(code).toBe(0);
    expect(stdout.split('\n').filter((line) => line === '0')).toHaveLength(19);
    expect((await daemon.status()).totals.accepted - before).toBe(1);
  });
});
