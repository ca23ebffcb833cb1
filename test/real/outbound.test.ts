// The direct outbound on the real network: source addresses by turns, options of sockets, both address families of a name.

import { beforeAll, describe, expect, it } from 'vitest';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { connectTo } from './harness/client.ts';
import { type Daemon, LOCAL, makeDirectory, startDaemon } from './harness/daemon.ts';
import { startOrigin, startServer } from './harness/origin.ts';

const ADDRESSES = ['127.0.5.1', '127.0.5.2', '127.0.5.3'];
/** In /proc/net/tcp: the keepalive timer runs. @source proc_net_tcp.rst */
const TIMER_KEEPALIVE = '02';
const ESTABLISHED = '01';
/** Before a file and a command: that file is /etc/hosts for it. */
const OWN_HOSTS = ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"'] as const;

describe('direct', () => {
  let target = 0;
  const sources: string[] = [];

  beforeAll(async () => {
    target = await startServer((socket) => {
      sources.push(socket.remoteAddress ?? '');
      socket.pipe(socket);
    });
  });

  async function start(outbound: object, prefix: readonly string[] = []): Promise<Daemon> {
    const written = {
      workers: 1,
      inbounds: [
        { tag: 'in', type: 'forward', listen: '127.0.0.1:0', service: 's', target: `127.0.0.1:${target}` },
        { tag: 'socks', type: 'socks5', listen: '127.0.0.1:0', service: 's' },
      ],
      outbounds: [{ ...LOCAL, ...outbound }],
    };
    return startDaemon(written, { prefix });
  }

  it('connects from its addresses by turns', async () => {
    const daemon = await start({ bind: ADDRESSES });
    sources.length = 0;
    for (let i = 0; i < 2 * ADDRESSES.length; i++) {
      const client = await connectTo(await daemon.port('in'));
      client.send('x');
      await client.receive(1);
      client.socket.destroy();
    }
    expect(sources.slice(0, ADDRESSES.length).toSorted()).toEqual(ADDRESSES);
    expect(sources.slice(ADDRESSES.length)).toEqual(sources.slice(0, ADDRESSES.length));
  });

  it('takes every option of its sockets', async () => {
    const isRoot = userInfo().uid === 0;
    if (!isRoot) process.stdout.write('tests without fwmark and interface: they need root\n');
    const daemon = await start({
      ...{
        keepalive: { idle: '45s', interval: '5s', count: 3 },
        tcp_user_timeout: '30s',
        congestion: 'reno',
      },
      ...(isRoot ? { fwmark: 7, interface: 'lo' } : {}),
    });
    const client = await connectTo(await daemon.port('in'));
    client.send('x');
    await client.receive(1);
    expect(timerOf(target)).toBe(TIMER_KEEPALIVE);
    client.socket.destroy();
  });

  it.skipIf(!hasOwnHosts())('tries the other address family of a name where the first refuses', async () => {
    const hosts = join(makeDirectory(), 'hosts');
    writeFileSync(hosts, '127.0.0.1 both.example\n::1 both.example\n');
    const prefix = [...OWN_HOSTS, hosts];
    const only6 = await startOrigin('::1');
    const only4 = await startOrigin('127.0.0.1');
    for (const version of ['prefer4', 'prefer6', 'only4', 'only6'] as const) {
      const daemon = await start({ ip_version: version }, prefix);
      for (const port of [only4, only6]) {
        const client = await connectTo(await daemon.port('socks'));
        const name = 'both.example';
        client.send([5, 1, 0, 5, 1, 0, 3, name.length, ...Buffer.from(name), port >> 8, port & 0xff]);
        const answer = await client.receive(12);
        const isExcluded = (version === 'only4' && port === only6) || (version === 'only6' && port === only4);
        expect(answer[3], `${version} ${port}`).toBe(isExcluded ? 5 : 0);
        client.socket.destroy();
      }
      await daemon.stop();
    }
  });
});

/** Whether a program can be given its own /etc/hosts; says so where it can't. */
function hasOwnHosts(): boolean {
  const [program, ...words] = OWN_HOSTS;
  const { status } = spawnSync(program, [...words, '/etc/hosts', 'true']);
  if (status !== 0) process.stdout.write('tests skipped: no mount namespaces for whoever runs this\n');
  return status === 0;
}

/** The timer of the connection to `port` that has it as its remote end. */
function timerOf(port: number): string | undefined {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1);
  const fields = rows
    .map((row) => row.trim().split(/\s+/))
    .find((row) => row[3] === ESTABLISHED && row[2]?.endsWith(remote));
  return fields?.[5]?.slice(0, 2);
}
