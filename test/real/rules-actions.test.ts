// Each action of a rule and each kind of condition, met by curl through the inbounds: what it says to the client, where the
// connection comes out, and which rule the daemon says it was.

import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ListedConnection } from '../../src/api/connection-answer.ts';
import { atEnd } from './harness/at-end.ts';
import { connectTo } from './harness/client.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, makeDirectory, startDaemon } from './harness/daemon.ts';
import { echo, startServer } from './harness/origin.ts';
import { missing, run } from './harness/programs.ts';

/** What curl answers with. @source curl(1), exit codes */
const CURL_EMPTY_REPLY = 52;
const CURL_RECEIVE_FAILED = 56;
const CURL_TIMED_OUT = 28;
const CURL_PROXY_FAILED = 97;
/** How long a client that hears nothing waits here, at most: the handshake's deadline. */
const HANDSHAKE = '1500ms';

/** An origin that answers with the address that it was reached from, its own port, and its Host. */
async function startMirror(): Promise<number> {
  const server = createServer((request, response) => {
    const { remoteAddress, localPort } = request.socket;
    response.end(`${remoteAddress} ${localPort} ${request.headers.host}`);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe.skipIf(missing('curl'))('rules, met by curl', () => {
  let daemon: Daemon;
  let mirror = 0;
  let other = 0;
  let echoing = 0;
  let socks = '';
  let web = '';

  beforeAll(async () => {
    mirror = await startMirror();
    other = await startMirror();
    echoing = await startServer(echo);
    const directory = makeDirectory();
    writeFileSync(join(directory, 'list.txt'), '||listed.test^\n');
    writeFileSync(
      join(directory, 'source.json'),
      JSON.stringify({ version: 3, rules: [{ domain_suffix: 'json.test', port: mirror }] }),
    );
    daemon = await startDaemon({
      timeouts: { handshake: HANDSHAKE },
      inbounds: [
        { tag: 'socks', type: 'socks5', listen: '127.0.0.1:0', service: 'default' },
        { tag: 'web', type: 'http', listen: '127.0.0.1:0', service: 'default' },
        { tag: 'guarded', type: 'forward', listen: '127.0.0.1:0', target: `127.0.0.1:${echoing}` },
      ],
      outbounds: [
        { tag: 'direct', type: 'direct', allow_destinations: ['127.0.0.0/8', '::1/128'] },
        { tag: 'second', type: 'direct', bind: ['127.0.0.2'], allow_destinations: ['127.0.0.0/8'] },
      ],
      rule_sets: [
        { tag: 'list', path: join(directory, 'list.txt') },
        { tag: 'source', path: join(directory, 'source.json') },
      ],
      rules: [
        { id: 'reply', domain: 'reply.test', action: 'reject' },
        { id: 'reset', domain: 'reset.test', action: 'reject', method: 'reset' },
        { id: 'fin', domain: 'fin.test', action: 'reject', method: 'fin' },
        { id: 'drop', domain: 'drop.test', action: 'reject', method: 'drop' },
        { id: 'list', rule_set: 'list', action: 'reject' },
        { id: 'source', rule_set: 'source', action: 'reject' },
        { id: 'regex', domain_regex: '^r[0-9]{2}\\.test$', action: 'reject' },
        { id: 'keyword', domain_keyword: 'forbidden', action: 'reject' },
        { id: 'guard', inbound: 'guarded', source_ip_cidr: '127.0.0.3', action: 'reject', method: 'fin' },
        {
          id: 'elsewhere',
          domain_suffix: 'moved.test',
          override_address: '127.0.0.1',
          override_port: other,
        },
        { id: 'name', domain: 'named.test', override_address: 'localhost', outbound: 'second' },
        { id: 'resolved', domain: 'localhost', action: 'resolve' },
        { id: 'range', port_range: `${other}:${other}`, ip_cidr: '127.0.0.0/8', outbound: 'second' },
        { id: 'sniff', ip_cidr: '127.0.0.0/8', action: 'sniff', sniffer: ['http', 'tls'] },
        { id: 'sniffed', protocol: 'http', domain: 'inside.test', action: 'reject', method: 'reset' },
      ],
    });
    socks = `socks5h://127.0.0.1:${await daemon.port('socks')}`;
    web = `http://127.0.0.1:${await daemon.port('web')}`;
  });

  const curl = (...words: string[]) =>
    run(['curl', '--silent', '--show-error', '--max-time', '10', ...words]);
  const seen = async (proxy: string, url: string, ...words: string[]) => {
    const { code, stdout, stderr } = await curl('--proxy', proxy, ...words, url);
    expect([code, stderr], url).toEqual([0, '']);
    const [from, port, host] = stdout.split(' ');
    return { from, port: Number(port), host };
  };

  it('reject in the words of the protocol', async () => {
    await counting(daemon, { rule_rejected: 2 }, async () => {
      const bySocks = await curl('--proxy', socks, `http://reply.test:${mirror}/`);
      expect(bySocks.code).toBe(CURL_PROXY_FAILED);
      // 2: connection not allowed by ruleset.
      expect(bySocks.stderr).toContain('(2)');
      const words = ['--output', '/dev/null', '--write-out', '%{http_code}'];
      const { stdout } = await curl('--proxy', web, ...words, `http://reply.test:${mirror}/`);
      expect(stdout).toBe('403');
    });
  });

  it('reject by a reset, by an end, and by silence until the deadline', async () => {
    await counting(daemon, { rule_rejected: 3 }, async () => {
      expect((await curl('--proxy', web, 'http://reset.test/')).code).toBe(CURL_RECEIVE_FAILED);
      expect((await curl('--proxy', web, 'http://fin.test/')).code).toBe(CURL_EMPTY_REPLY);
      const silent = await curl('--proxy', web, '--max-time', '0.7', 'http://drop.test/');
      expect(silent.code).toBe(CURL_TIMED_OUT);
    });
    const client = await connectTo(await daemon.port('web'));
    client.send('GET http://drop.test/ HTTP/1.1\r\nHost: drop.test\r\n\r\n');
    expect((await client.rest()).bytes).toHaveLength(0);
  });

  it('reject what rule sets, expressions and keywords hold, and nothing beside them', async () => {
    const refused = ['listed.test', 'a.listed.test', 'json.test', 'r17.test', 'my-forbidden-thing.test'];
    await counting(daemon, { rule_rejected: refused.length }, async () => {
      for (const name of refused) {
        const { code } = await curl('--proxy', socks, `http://${name}:${mirror}/`);
        expect(code, name).toBe(CURL_PROXY_FAILED);
      }
    });
    await counting(daemon, { name_not_found: 2 }, async () => {
      // Nobody has these names; no rule has anything against them.
      for (const name of ['unlisted.invalid', 'r1.invalid']) {
        await curl('--proxy', socks, `http://${name}:${mirror}/`);
      }
    });
  });

  it('reject a source, of a forward inbound too', async () => {
    const port = await daemon.port('guarded');
    await counting(daemon, { rule_rejected: 1 }, async () => {
      const barred = await connectTo({ host: '127.0.0.1', port, localAddress: '127.0.0.3' });
      expect((await barred.rest()).end).toBe('fin');
    });
    const welcome = await connectTo({ host: '127.0.0.1', port, localAddress: '127.0.0.4' });
    welcome.send('ping');
    expect((await welcome.receive(4)).toString()).toBe('ping');
    const { stdout } = await daemon.cli('ps', '--inbound', 'guarded', '--json');
    const [listed] = (JSON.parse(stdout) as { connections: ListedConnection[] }).connections;
    expect([listed?.rule, typeof listed?.snapshot]).toEqual(['final', 'number']);
    welcome.reset();
  });

  it('route by another outbound, and to another address, port or name', async () => {
    expect(await seen(socks, `http://a.moved.test:${mirror}/`)).toEqual({
      from: '127.0.0.1',
      port: other,
      host: `a.moved.test:${mirror}`,
    });
    expect(await seen(web, `http://named.test:${mirror}/`)).toMatchObject({
      from: '127.0.0.2',
      port: mirror,
    });
    expect(await seen(socks, `http://127.0.0.1:${other}/`)).toMatchObject({ from: '127.0.0.2' });
    expect(await seen(socks, `http://127.0.0.1:${mirror}/`)).toMatchObject({ from: '127.0.0.1' });
  });

  it('look at addresses of a name once it is resolved', async () => {
    expect(await seen(socks, `http://localhost:${other}/`)).toMatchObject({ from: '127.0.0.2' });
  });

  it('look at what a client says first, and let it through unharmed', async () => {
    const url = `http://127.0.0.1:${mirror}/`;
    await counting(daemon, { rule_rejected: 1 }, async () => {
      const { code } = await curl('--proxy', socks, '--header', 'Host: inside.test', url);
      expect(code).toBe(CURL_RECEIVE_FAILED);
    });
    expect(await seen(socks, url, '--header', 'Host: outside.test')).toMatchObject({ host: 'outside.test' });
  });

  it('are named by what the daemon lists and explains', async () => {
    const client = await connectTo(await daemon.port('web'));
    client.send(`CONNECT 127.0.0.1:${other} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await client.receive('HTTP/1.1 200'.length);
    const { stdout } = await daemon.cli('ps', '--rule', 'range', '--json');
    const { connections } = JSON.parse(stdout) as { connections: ListedConnection[] };
    expect(connections).toMatchObject([{ rule: 'range', outbound: 'second', inbound: 'web' }]);
    const evicted = await daemon.cli('evict', '--rule', 'range');
    expect(evicted.stdout).toContain('1 closed of 1 matched');
    expect((await client.rest()).end).toBe('reset');
    for (const [target, port, rule] of [
      ['reply.test', 80, 'reply'],
      ['127.0.0.1', other, 'range'],
      ['a.listed.test', 443, 'list'],
    ] as const) {
      const words = ['--target', target, '--port', String(port), '--inbound', 'socks', '--json'];
      const explained = await daemon.cli('rules', 'explain', ...words);
      expect(JSON.parse(explained.stdout), target).toMatchObject({ rule });
    }
  });
});
