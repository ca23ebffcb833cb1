// A forward inbound is nothing but bytes: curl downloads and uploads through it, netcat ends its half and still hears the
// rest, and the target may be a name or of the other address family.

import { beforeAll, describe, expect, it } from 'vitest';
import { type Daemon, startDaemon } from './harness/daemon.ts';
import {
  echo,
  MEGABYTE,
  patternDigest,
  patternStream,
  type Seen,
  startOrigin,
  startServer,
} from './harness/origin.ts';
import { missing, run, runDigest } from './harness/programs.ts';
import { until } from './harness/until.ts';

const PIPED_BYTES = 20 * MEGABYTE + 3;

describe.skipIf(missing('curl'))('curl through forward', () => {
  let daemon: Daemon;
  const ports: Record<string, number> = {};

  beforeAll(async () => {
    const origin = await startOrigin();
    const origin6 = await startOrigin('::1');
    const forward = (tag: string, target: string, listen = '127.0.0.1:0') => ({
      ...{ tag, type: 'forward', listen, service: 's', target },
    });
    daemon = await startDaemon({
      inbounds: [
        forward('address', `127.0.0.1:${origin}`),
        forward('name', `localhost:${origin}`),
        forward('to6', `[::1]:${origin6}`),
        forward('from6', `127.0.0.1:${origin}`, '[::1]:0'),
        forward('any', `127.0.0.1:${origin}`, '[::]:0'),
      ],
    });
    for (const { tag } of (await daemon.status()).inbounds) ports[tag] = await daemon.port(tag);
  });

  it('reaches addresses and names, across address families', async () => {
    const urls = [
      `http://127.0.0.1:${ports['address']}/`,
      `http://127.0.0.1:${ports['name']}/`,
      `http://127.0.0.1:${ports['to6']}/`,
      `http://[::1]:${ports['from6']}/`,
      `http://[::1]:${ports['any']}/`,
      `http://127.0.0.1:${ports['any']}/`,
    ];
    for (const url of urls) {
      const { code, stdout, stderr } = await run(['curl', '-sS', '-m', '10', url]);
      expect([code, stderr], url).toEqual([0, '']);
      expect((JSON.parse(stdout) as Seen).url).toBe('/');
    }
  });

  it('carries 100 MB down and 100 MB up, byte for byte', async () => {
    const bytes = 100 * MEGABYTE;
    const url = `http://127.0.0.1:${ports['address']}`;
    const down = await runDigest(['curl', '-sS', `${url}/bytes/${bytes}`]);
    expect(down).toEqual({ code: 0, bytes, sha256: patternDigest(bytes), stderr: '' });
    const up = await run(['curl', '-sS', '-T', '-', url], { input: patternStream(bytes) });
    const seen = JSON.parse(up.stdout) as Seen;
    expect([seen.bytes, seen.sha256]).toEqual([bytes, patternDigest(bytes)]);
    const { totals } = await daemon.status();
    expect(totals.bytes_down).toBeGreaterThan(bytes);
    expect(totals.bytes_up).toBeGreaterThan(bytes);
  });

  it('carries many transfers at once', async () => {
    const bytes = 5 * MEGABYTE + 1;
    const urls = Array.from({ length: 20 }, () => `http://127.0.0.1:${ports['address']}/bytes/${bytes}`);
    const all = await runDigest([
      'curl',
      '-sS',
      '--parallel',
      '--parallel-max',
      '20',
      '--no-buffer',
      ...urls,
    ]);
    expect([all.code, all.bytes]).toEqual([0, 20 * bytes]);
    const each = await Promise.all(urls.slice(0, 8).map((url) => runDigest(['curl', '-sS', url])));
    for (const { sha256 } of each) expect(sha256).toBe(patternDigest(bytes));
  });
});

describe.skipIf(missing('nc'))('netcat through the edge', () => {
  it('ends its half and still hears the rest, through forward and through socks5', async () => {
    const port = await startServer(echo);
    const daemon = await startDaemon({
      inbounds: [
        { tag: 'socks', type: 'socks5', listen: '127.0.0.1:0', service: 'all' },
        { tag: 'echo', type: 'forward', listen: '127.0.0.1:0', service: 'echo', target: `127.0.0.1:${port}` },
      ],
    });
    const ways = [
      ['127.0.0.1', String(await daemon.port('echo'))],
      ['-X', '5', '-x', `127.0.0.1:${await daemon.port('socks')}`, '127.0.0.1', String(port)],
    ];
    for (const words of ways) {
      const got = await runDigest(['nc', '-N', ...words], { input: patternStream(PIPED_BYTES) });
      expect(got).toEqual({ code: 0, bytes: PIPED_BYTES, sha256: patternDigest(PIPED_BYTES), stderr: '' });
    }
    await until('both are counted', async () => (await daemon.ended('finished')) === 2);
  });
});
