// How the daemon ends: SIGTERM lets what runs come to its end and takes nothing new, a deadline bounds that, and a second
// signal cuts it short.

import { describe, expect, it } from 'vitest';
import { connectTo } from './harness/client.ts';
import { type Daemon, startDaemon } from './harness/daemon.ts';
import { startFlow } from './harness/flow.ts';
import { echo, MEGABYTE, patternDigest, startOrigin, startServer } from './harness/origin.ts';
import { missing, runDigest } from './harness/programs.ts';
import { until, within } from './harness/until.ts';

async function start(target: number, drain: string): Promise<Daemon> {
  return startDaemon({
    timeouts: { drain },
    inbounds: [
      { tag: 'in', type: 'forward', listen: '127.0.0.1:0', service: 's', target: `127.0.0.1:${target}` },
    ],
  });
}

async function refuses(port: number): Promise<boolean> {
  return connectTo(port).then(
    (client) => {
      client.socket.destroy();
      return false;
    },
    (error: Error) => error.message.includes('ECONNREFUSED'),
  );
}

describe('stopping', () => {
  it.skipIf(missing('curl'))(
    'SIGTERM lets a transfer come to its end, refuses new ones, and ends with 0',
    async () => {
      const bytes = 40 * MEGABYTE;
      const daemon = await start(await startOrigin(), '30s');
      const port = await daemon.port('in');
      const url = `http://127.0.0.1:${port}/bytes/${bytes}`;
      const transfer = runDigest(['curl', '-sS', '--limit-rate', '20M', url]);
      await until('it has begun', async () => (await daemon.status()).totals.bytes_down > MEGABYTE);
      daemon.signal('SIGTERM');
      await until('nobody is let in', () => refuses(port));
      expect((await daemon.api('GET', '/readyz')).status).toBe(503);
      expect((await daemon.status()).phase).toBe('draining');
      expect((await daemon.cli('reload')).code).toBe(1);
      expect(await transfer).toEqual({ code: 0, bytes, sha256: patternDigest(bytes), stderr: '' });
      expect(await within('it ends by itself', daemon.exit)).toBe(0);
      expect(daemon.logged('drain_over')).toMatchObject([{ complete: true }]);
    },
  );

  it('ends at once where nothing is to be waited for', async () => {
    const daemon = await start(await startServer(echo), '30s');
    daemon.signal('SIGTERM');
    expect(await within('it ends', daemon.exit, 5_000)).toBe(0);
  });

  it('cuts what has not ended at timeouts.drain', async () => {
    const daemon = await start(await startServer(echo), '1s');
    const flow = await startFlow(await daemon.port('in'));
    const startedMs = performance.now();
    daemon.signal('SIGTERM');
    await flow.flows();
    await flow.cut();
    expect(performance.now() - startedMs).toBeGreaterThan(900);
    expect(await within('it ends', daemon.exit)).toBe(0);
    expect(daemon.logged('drain_over')).toMatchObject([{ complete: false }]);
  });

  it('lists, evicts and ends single connections while it drains, and leaves the others their time', async () => {
    const target = await startServer(echo);
    const to = `127.0.0.1:${target}`;
    const inbound = (tag: string, service: string) => {
      return { tag, type: 'forward', listen: '127.0.0.1:0', service, target: to };
    };
    const daemon = await startDaemon({
      timeouts: { drain: '6s' },
      inbounds: [inbound('a', 'one'), inbound('b', 'two'), inbound('c', 'three')],
    });
    const evicted = await startFlow(await daemon.port('a'));
    const ended = await startFlow(await daemon.port('b'));
    const kept = await startFlow(await daemon.port('c'));
    const startedMs = performance.now();
    daemon.signal('SIGTERM');
    await until('it drains', async () => (await daemon.status()).phase === 'draining');

    const { status, text } = await daemon.api('GET', '/v1/connections');
    const { connections } = JSON.parse(text) as {
      connections: { id: string; service: string; inbound: string }[];
    };
    expect(status).toBe(200);
    expect(connections.map(({ inbound: tag }) => tag).sort()).toEqual(['a', 'b', 'c']);
    const eviction = await daemon.api('POST', '/v1/evictions', { service: 'one' });
    expect(JSON.parse(eviction.text)).toMatchObject({ matched: 1, closed: 1 });
    await evicted.cut();
    const id = connections.find(({ service }) => service === 'two')?.id;
    expect((await daemon.api('DELETE', `/v1/connections/${id}`)).status).toBeLessThan(300);
    await ended.cut();
    // Of single connections nothing is logged.
    expect(daemon.logged('evicted')).toMatchObject([
      { request: { service: 'one' }, state: 'done', closed: 1 },
    ]);

    await kept.flows();
    await kept.cut();
    expect(performance.now() - startedMs).toBeGreaterThan(5_900);
    expect(await within('it ends', daemon.exit)).toBe(0);
    expect(daemon.logged('fatal')).toEqual([]);
  });

  for (const second of ['SIGTERM', 'SIGINT'] as const) {
    it(`a ${second} after SIGTERM cuts it now`, async () => {
      const daemon = await start(await startServer(echo), '60s');
      const flow = await startFlow(await daemon.port('in'));
      daemon.signal('SIGTERM');
      await until('it drains', () => daemon.logged('drain').length === 1);
      await flow.flows();
      daemon.signal(second);
      await flow.cut();
      expect(await within('it ends', daemon.exit, 5_000)).toBe(0);
    });
  }

  it('resets what it cuts, so that nobody takes it for complete', async () => {
    const daemon = await start(await startServer((socket) => socket.write('half of')), '60s');
    const client = await connectTo(await daemon.port('in'));
    await client.receive(7);
    daemon.signal('SIGINT');
    expect((await client.rest()).end).toBe('reset');
    expect(await within('it ends', daemon.exit, 5_000)).toBe(0);
  });
});
