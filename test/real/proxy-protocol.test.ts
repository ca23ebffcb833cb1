// The PROXY protocol with the programs that made it common: HAProxy in front of us sends it, HAProxy and nginx behind us
// read it, and the address at the far end is the one that curl has.

import { beforeAll, describe, expect, it } from 'vitest';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../bench/process/ports.ts';
import { connectTo } from './harness/client.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, makeDirectory, startDaemon } from './harness/daemon.ts';
import { echo, startServer } from './harness/origin.ts';
import { missing, run, start } from './harness/programs.ts';
import { until } from './harness/until.ts';

const SENDS = ['none', 'v1', 'v2'] as const;
type Send = (typeof SENDS)[number];
type Behind = 'haproxy' | 'nginx';

/** Sources that may not say who they are; all others of this machine may. */
const STRANGER = '127.0.7.1';
const TRUSTED = ['127.0.0.0/24', '::1/128'];

describe.skipIf(missing('curl', 'haproxy', 'nginx'))(
  'PROXY protocol, between HAProxy and HAProxy or nginx',
  () => {
    let daemon: Daemon;
    let directory = '';
    /** Ports by name. */
    const front: Record<string, number> = {};
    const front6: Record<string, number> = {};
    const behind: Record<Behind, number> = { haproxy: 0, nginx: 0 };

    const inboundTag = (send: Send, version: 'v1' | 'v2', server: Behind) => `${send}-${version}-${server}`;

    beforeAll(async () => {
      directory = makeDirectory();
      behind.nginx = await startNginx(directory);
      behind.haproxy = await freePort();
      const tags: { tag: string; send: Send; version: 'v1' | 'v2'; server: Behind }[] = [];
      for (const send of SENDS) {
        for (const version of ['v1', 'v2'] as const) {
          for (const server of ['haproxy', 'nginx'] as const) {
            tags.push({ tag: inboundTag(send, version, server), send, version, server });
          }
        }
      }
      daemon = await startDaemon({
        inbounds: tags.map(({ tag, send, version, server }) => ({
          ...{ tag, type: 'forward', listen: '127.0.0.1:0', service: 'web' },
          target: `127.0.0.1:${behind[server]}`,
          proxy_protocol: version,
          accept_proxy_protocol: send === 'none' ? [] : TRUSTED,
        })),
        services: [{ name: 'web' }],
      });
      const { inbounds } = await daemon.status();
      for (const { tag } of tags) {
        front[tag] = await freePort();
        front6[tag] = await freePort();
      }
      const configuration = haproxyConfiguration(
        tags.map(({ tag, send }) => ({
          listen: [`127.0.0.1:${front[tag]}`, `[::1]:${front6[tag]}`],
          server: inbounds.find((inbound) => inbound.tag === tag)?.listen ?? '',
          send,
        })),
        behind.haproxy,
      );
      writeFileSync(join(directory, 'haproxy.cfg'), configuration);
      const haproxy = start(['haproxy', '-db', '-f', join(directory, 'haproxy.cfg')]);
      await until('HAProxy listens', () => listens(behind.haproxy)).catch((error: Error) => {
        throw new Error(`${error.message}: ${haproxy.output()}`);
      });
    });

    /** @returns what the far end saw, and curl's own addresses */
    async function ask(url: string, ...words: string[]) {
      const format = '\n%{local_ip} %{local_port} %{remote_ip} %{remote_port}';
      const { code, stdout, stderr } = await run(['curl', '-sS', '-m', '10', '-w', format, ...words, url]);
      expect([code, stderr]).toEqual([0, '']);
      const [seen, own] = stdout.split('\n').filter((line) => line !== '');
      return { seen, own };
    }

    for (const server of ['haproxy', 'nginx'] as const) {
      for (const version of ['v1', 'v2'] as const) {
        for (const send of ['v1', 'v2'] as const) {
          it(`${send} from HAProxy goes on as ${version} to ${server}`, async () => {
            const tag = inboundTag(send, version, server);
            const ipv4 = await ask(`http://127.0.0.1:${front[tag]}/`, '--interface', '127.0.0.77');
            expect(ipv4.seen).toBe(ipv4.own);
            expect(ipv4.seen).toContain('127.0.0.77 ');
            const ipv6 = await ask(`http://[::1]:${front6[tag]}/`);
            expect(ipv6.seen).toBe(ipv6.own);
            expect(ipv6.seen).toMatch(/^::1 \d+ ::1 \d+$/);
          });
        }

        it(`the client's own address goes as ${version} to ${server}`, async () => {
          const tag = inboundTag('none', version, server);
          const port = await daemon.port(tag);
          const { seen, own } = await ask(`http://127.0.0.1:${port}/`, '--interface', STRANGER);
          expect(seen).toBe(own);
          expect(seen).toContain(`${STRANGER} `);
        });
      }
    }

    it('believes no header from a network that is not configured', async () => {
      const tag = inboundTag('v1', 'v1', 'haproxy');
      const port = await daemon.port(tag);
      const lie = 'PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n';
      const request = 'GET / HTTP/1.0\r\n\r\n';
      const trusted = await connectTo({ host: '127.0.0.1', port, localAddress: '127.0.0.9' });
      trusted.send(lie + request);
      expect((await trusted.rest()).bytes.toString()).toContain('192.0.2.1 1000 192.0.2.2 2000');

      // From elsewhere it is the client's own bytes, and reaches the server behind our true header.
      const stranger = await connectTo({ host: '127.0.0.1', port, localAddress: STRANGER });
      stranger.send(lie + request);
      const { bytes } = await stranger.rest();
      expect(bytes.toString()).toContain('400 Bad request');
      expect(bytes.toString()).not.toContain('192.0.2.1');
    });

    it('asks those who must send a header for one', async () => {
      const port = await daemon.port(inboundTag('v2', 'v2', 'nginx'));
      const wrong = [
        'GET / HTTP/1.0\r\n\r\n',
        'PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n',
        'PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n',
        '\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c',
      ];
      await counting(daemon, { malformed_proxy_header: wrong.length }, async () => {
        for (const text of wrong) {
          const client = await connectTo({ host: '127.0.0.1', port, localAddress: '127.0.0.9' });
          client.send(text);
          expect((await client.rest()).bytes, JSON.stringify(text)).toHaveLength(0);
        }
      });
    });
  },
);

describe('PROXY protocol, without HAProxy', () => {
  it('takes a header that comes byte by byte, and what follows it', async () => {
    const target = await startServer(echo);
    const daemon = await startDaemon({
      inbounds: [
        {
          ...{ tag: 'echo', type: 'forward', listen: '127.0.0.1:0', service: 'echo' },
          ...{ target: `127.0.0.1:${target}`, proxy_protocol: 'v1', accept_proxy_protocol: TRUSTED },
        },
      ],
    });
    const client = await connectTo(await daemon.port('echo'));
    const header = 'PROXY TCP6 2001:db8::1 2001:db8::2 1234 443\r\n';
    for (const character of `${header}abc`) {
      client.send(character);
      await new Promise(setImmediate);
    }
    client.finish();
    const { bytes, end } = await client.rest();
    expect([bytes.toString(), end]).toEqual([`${header}abc`, 'fin']);
  });
});

interface Frontend {
  readonly listen: readonly string[];
  readonly server: string;
  readonly send: Send;
}

function haproxyConfiguration(frontends: readonly Frontend[], acceptPort: number): string {
  const timeouts = 'timeout connect 5s\n  timeout client 10s\n  timeout server 10s\n';
  const sections = frontends.map(({ listen, server, send }, index) => {
    const binds = listen.map((address) => `  bind ${address}\n`).join('');
    const option = { none: '', v1: 'send-proxy', v2: 'send-proxy-v2' }[send];
    return `listen front-${index}\n  mode tcp\n${binds}  server sluice ${server} ${option}\n`;
  });
  return `global
  maxconn 200
defaults
  ${timeouts}${sections.join('')}frontend behind
  mode http
  bind 127.0.0.1:${acceptPort} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]\\n"
`;
}

/** @returns the port where it answers with the addresses of a PROXY header */
async function startNginx(directory: string): Promise<number> {
  const port = await freePort();
  const address =
    '$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port';
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${join(directory, name)};\n`,
  );
  const configuration = `daemon off;
pid ${join(directory, 'nginx.pid')};
error_log stderr;
worker_processes 1;
events { worker_connections 100; }
http {
  access_log off;
${paths.join('')}  server {
    listen 127.0.0.1:${port} proxy_protocol;
    location / { default_type text/plain; return 200 "${address}\\n"; }
  }
}
`;
  writeFileSync(join(directory, 'nginx.conf'), configuration);
  const nginx = start(['nginx', '-p', directory, '-e', 'stderr', '-c', join(directory, 'nginx.conf')]);
  await until('nginx listens', () => listens(port)).catch((error: Error) => {
    throw new Error(`${error.message}: ${nginx.output()}`);
  });
  return port;
}

function listens(port: number): Promise<boolean> {
  return connectTo(port).then(
    (client) => {
      client.socket.destroy();
      return true;
    },
    () => false,
  );
}
