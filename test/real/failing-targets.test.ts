// Targets that refuse, don't answer, don't exist, or may not be reached: each gives the SOCKS5 reply and the HTTP status
// that its protocol has for it, and a reason of its own.

import { beforeAll, describe, expect, it } from 'vitest';
import { networkInterfaces } from 'node:os';
import { createLibc } from '../../src/sys/libc/libc.ts';
import { AF_INET, SOCK_STREAM } from '../../src/sys/constants.ts';
import { MAPPED_WORD, SocketAddress } from '../../src/sys/socket-address.ts';
import { atEnd } from './harness/at-end.ts';
import { connectTo } from './harness/client.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, startDaemon } from './harness/daemon.ts';
import { startOrigin } from './harness/origin.ts';
import { missing, run } from './harness/programs.ts';

const CONNECT_MS = 1_500;
const LOOPBACK = 0x7f000001;

describe('targets that cannot be reached', () => {
  let daemon: Daemon;
  let strict: Daemon;
  let origin = 0;

  beforeAll(async () => {
    origin = await startOrigin('0.0.0.0');
    const inbounds = [
      { tag: 'socks5', type: 'socks5', listen: '127.0.0.1:0', service: 'all' },
      { tag: 'http', type: 'http', listen: '127.0.0.1:0', service: 'all' },
      { tag: 'wild', type: 'forward', listen: '0.0.0.0:0', service: 'all', target: `127.0.0.1:${origin}` },
    ];
    const timeouts = { connect: `${CONNECT_MS}ms` };
    [daemon, strict] = await Promise.all([
      startDaemon({ inbounds, timeouts }),
      startDaemon({ inbounds, timeouts, outbounds: [{ tag: 'direct', type: 'direct' }] }),
    ]);
  });

  /** Asks for a target by name. @returns the reply code, and the whole answer of CONNECT and of an absolute-form request */
  async function ask(edge: Daemon, host: string, port: number) {
    const socks = await connectTo(await edge.port('socks5'));
    socks.send([5, 1, 0, 5, 1, 0, 3, host.length, ...Buffer.from(host), port >> 8, port & 0xff]);
    const code = (await socks.rest()).bytes[3];
    socks.socket.destroy();
    const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const answers: string[] = [];
    for (const target of [`CONNECT ${authority}`, `GET http://${authority}/`]) {
      const http = await connectTo(await edge.port('http'));
      http.send(`${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
      answers.push((await http.rest()).bytes.toString('latin1'));
      http.socket.destroy();
    }
    return { code, answers };
  }

  async function expectRefusal(
    edge: Daemon,
    target: readonly [host: string, port: number],
    reason: string,
    code: number,
    status: number,
  ): Promise<void> {
    await counting(edge, { [reason]: 3 }, async () => {
      const got = await ask(edge, ...target);
      expect(got.code, target[0]).toBe(code);
      for (const answer of got.answers) {
        expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
        expect(answer).toContain(`\r\n\r\nsluice: ${reason}\n`);
      }
    });
  }

  it('says refused: 0x05 and 502', async () => {
    await expectRefusal(daemon, ['127.0.0.1', 1], 'connect_refused', 0x05, 502);
    await expectRefusal(daemon, ['localhost', 1], 'connect_refused', 0x05, 502);
  });

  it('says that a name does not exist: 0x04 and 502', async () => {
    // Reserved for this (RFC 6761): whether the machine's resolver answers or is absent, there is no such name.
    const got = await ask(daemon, 'no-such-name.invalid', 80);
    expect(got.code).toBe(0x04);
    for (const answer of got.answers) expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    const { ended } = await daemon.status();
    expect((ended['name_not_found'] ?? 0) + (ended['name_failed'] ?? 0)).toBe(3);
  });

  it('says that nobody answered in time: 0x06 and 504', async () => {
    const startedMs = performance.now();
    await expectRefusal(daemon, ['127.0.0.1', openBlackHole()], 'connect_timeout', 0x06, 504);
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThan(3 * CONNECT_MS * 0.9);
    expect(tookMs).toBeLessThan(3 * CONNECT_MS * 2);
  }, 20_000);

  it('forbids special-purpose targets that are not allowed, also behind a name: 0x02 and 403', async () => {
    const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
    const hosts = [
      '127.0.0.1',
      '::1',
      '::ffff:127.0.0.1',
      'localhost',
      '169.254.169.254',
      '10.0.0.1',
      'fe80::1',
    ];
    hosts.push(...own.filter(({ address }) => /^(10|172|192)\./.test(address)).map(({ address }) => address));
    for (const host of hosts) await expectRefusal(strict, [host, origin], 'target_forbidden', 0x02, 403);
    // What the operator wrote is no client's choice.
    const client = await connectTo(await strict.port('wild'));
    client.send('GET / HTTP/1.0\r\n\r\n');
    expect((await client.rest()).bytes.toString()).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('never leads back to one of our own listeners: 0x02 and 403', async () => {
    const socks = await daemon.port('socks5');
    const wild = await daemon.port('wild');
    for (const target of [
      ['127.0.0.1', socks],
      ['localhost', socks],
      ['::ffff:127.0.0.1', socks],
      ['127.0.0.1', wild],
      ['127.9.9.9', wild],
      ['0.0.0.0', wild],
    ] as const) {
      await expectRefusal(daemon, target, 'target_own_listener', 0x02, 403);
    }
  });

  it.skipIf(missing('curl'))('is understood by curl', async () => {
    const curl = async (...words: string[]) => {
      const { code, stderr } = await run(['curl', '-sS', '-m', '10', ...words, 'http://127.0.0.1:1/']);
      return `${code} ${stderr.trim()}`;
    };
    const socks = `127.0.0.1:${await daemon.port('socks5')}`;
    expect(await curl('--socks5', socks)).toMatch(/^97 .*\(5\)/);
    expect(await curl('--proxytunnel', '--proxy', `http://127.0.0.1:${await daemon.port('http')}`)).toMatch(
      /^56 .*502/,
    );
  });
});

/** A listening socket of ours whose queue is full: the kernel drops every further SYN. @returns its port */
function openBlackHole(): number {
  const sys = createLibc();
  const address = new SocketAddress(sys);
  const listener = sys.socket(AF_INET, SOCK_STREAM, 0);
  sys.bind(listener, address.address, address.setIp(0, 0, MAPPED_WORD, LOOPBACK, 0));
  sys.listen(listener, 0);
  address.resetLength();
  sys.getsockname(listener, address.address, address.lengthAddress);
  const port = address.port;
  const open = [listener];
  atEnd(() => {
    for (const fd of open) sys.close(fd);
  });
  for (let i = 0; i < 4; i++) {
    const fd = sys.socket(AF_INET, SOCK_STREAM, 0);
    sys.connect(fd, address.address, address.setIp(0, 0, MAPPED_WORD, LOOPBACK, port));
    open.push(fd);
  }
  return port;
}
