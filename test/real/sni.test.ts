// TLS through the sni inbound: OpenSSL and curl find the right origin by name, whatever pieces their ClientHello arrives
// in, and talk to that origin's own certificate, because nothing is decrypted on the way.

import { beforeAll, describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../bench/process/ports.ts';
import { atEnd } from './harness/at-end.ts';
import { connectTo } from './harness/client.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, makeDirectory, startDaemon } from './harness/daemon.ts';
import { answer, MEGABYTE, patternDigest, type Seen, startServer } from './harness/origin.ts';
import { missing, run, runDigest, start } from './harness/programs.ts';
import { until } from './harness/until.ts';

const NAMES = ['www.example.com', 'wild.example.net'] as const;
const ALERT_UNRECOGNIZED_NAME = 112;
const ALERT_DECODE_ERROR = 50;
const RECORD_HEAD_BYTES = 5;

describe.skipIf(missing('curl', 'openssl'))('sni, with OpenSSL and curl', () => {
  let daemon: Daemon;
  let directory = '';
  let port = 0;

  beforeAll(async () => {
    directory = makeDirectory();
    for (const name of NAMES) await makeCertificate(directory, name);
    const openssl = await startOpensslServer(directory, NAMES[0]);
    const node = await startNodeServer(directory, NAMES[1]);
    daemon = await startDaemon({
      inbounds: [
        { tag: 'tls', type: 'sni', listen: '127.0.0.1:0' },
        { tag: 'behind', type: 'sni', listen: '127.0.0.1:0', accept_proxy_protocol: ['127.0.0.0/8'] },
      ],
      services: [
        { name: 'exact', server_names: [NAMES[0]], target: `127.0.0.1:${openssl}` },
        { name: 'wild', server_names: ['*.example.net'], target: `127.0.0.1:${node}` },
      ],
    });
    port = await daemon.port('tls');
  });

  /** The subject of the certificate that a client is shown. */
  async function shown(name: string, toPort: number, ...words: string[]): Promise<string> {
    const { stdout, stderr } = await run(
      ['openssl', 's_client', '-connect', `127.0.0.1:${toPort}`, '-servername', name, ...words],
      { input: Buffer.from('Q\n') },
    );
    return /subject=CN = (\S+)/.exec(stdout)?.[1] ?? stderr;
  }

  const curl = (name: string, path: string) => [
    ...['curl', '-sS', '-m', '10', '--cacert', join(directory, `${NAMES[1]}.pem`)],
    ...['--resolve', `${name}:${port}:127.0.0.1`, `https://${name}:${port}${path}`],
  ];

  it('leads each name to its origin, whose own certificate the client sees', async () => {
    for (const version of ['-tls1_2', '-tls1_3']) {
      expect(await shown('www.example.com', port, version)).toBe(NAMES[0]);
      expect(await shown('WWW.Example.COM', port, version)).toBe(NAMES[0]);
      expect(await shown('any.example.net', port, version)).toBe(NAMES[1]);
      expect(await shown('a.b.example.net', port, version)).toBe(NAMES[1]);
    }
  });

  it('serves curl, which verifies the origin, with requests and 100 MB', async () => {
    const { code, stdout, stderr } = await run(curl(NAMES[1], '/hello'));
    expect([code, stderr]).toEqual([0, '']);
    expect((JSON.parse(stdout) as Seen).url).toBe('/hello');
    const bytes = 100 * MEGABYTE;
    const got = await runDigest(curl(NAMES[1], `/bytes/${bytes}`));
    expect(got).toEqual({ code: 0, bytes, sha256: patternDigest(bytes), stderr: '' });
  });

  it('answers unknown and missing names with the alert that TLS has for it', async () => {
    await counting(daemon, { server_name_unknown: 4, server_name_missing: 1 }, async () => {
      // The wildcard stands for one label or more, not for none.
      for (const name of ['other.example.org', 'example.net', 'a.example.net.org', 'xwww.example.com']) {
        expect(await shown(name, port), name).toContain('unrecognized name');
      }
      const { stderr } = await run(['openssl', 's_client', '-connect', `127.0.0.1:${port}`, '-noservername']);
      expect(stderr).toContain('unrecognized name');
    });
  });

  it('reads a ClientHello that comes byte by byte, in many TLS records, and both', async () => {
    for (const [recordBytes, segmentBytes] of [
      [Number.POSITIVE_INFINITY, 1],
      [7, Number.POSITIVE_INFINITY],
      [100, 1],
    ] as const) {
      const fragmenter = await startServer((socket) => fragment(socket, port, recordBytes, segmentBytes));
      for (const version of ['-tls1_2', '-tls1_3']) {
        expect(await shown('www.example.com', fragmenter, version), `${recordBytes} ${version}`).toBe(
          NAMES[0],
        );
      }
      expect(await shown('other.example.org', fragmenter)).toContain('unrecognized name');
    }
  });

  it('finds the name behind a PROXY header', async () => {
    const behind = await daemon.port('behind');
    const header = Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n');
    const balancer = await startServer((socket) => {
      const edge = connect({ port: behind, host: '127.0.0.1' });
      edge.on('error', () => socket.destroy());
      edge.write(header);
      edge.pipe(socket).pipe(edge);
    });
    expect(await shown('www.example.com', balancer)).toBe(NAMES[0]);
    expect(await shown('any.example.net', balancer)).toBe(NAMES[1]);
    expect(await shown('other.example.org', balancer)).toContain('unrecognized name');
  });

  it('refuses what is no ClientHello, with an alert, and counts it', async () => {
    const wrong: readonly (readonly number[])[] = [
      [...Buffer.from('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n')],
      [23, 3, 3, 0, 2, 1, 2],
      [22, 3, 1, 0, 4, 2, 0, 0, 0],
      [22, 3, 1, 0, 4, 1, 0, 0, 0],
      [22, 3, 1, 0, 0],
    ];
    await counting(daemon, { malformed_tls: wrong.length }, async () => {
      for (const bytes of wrong) {
        const client = await connectTo(port);
        client.send(bytes);
        const { bytes: alert, end } = await client.rest();
        expect([[...alert], end], String(bytes)).toEqual([[21, 3, 3, 0, 2, 2, ALERT_DECODE_ERROR], 'fin']);
        client.finish();
      }
    });
  });

  it('sends one fatal alert and nothing else', async () => {
    const client = await connectTo(port);
    client.send(helloFor('nobody.example.org'));
    const { bytes, end } = await client.rest();
    expect([[...bytes], end]).toEqual([[21, 3, 3, 0, 2, 2, ALERT_UNRECOGNIZED_NAME], 'fin']);
    client.finish();
  });
});

/** `NAME.key` and `NAME.pem`, signed by itself. */
async function makeCertificate(directory: string, name: string): Promise<void> {
  const { code, stderr } = await run([
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-days', '2'],
    ...['-keyout', join(directory, `${name}.key`), '-out', join(directory, `${name}.pem`)],
  ]);
  if (code !== 0) throw new Error(stderr);
}

async function startOpensslServer(directory: string, name: string): Promise<number> {
  const port = await freePort();
  const files = ['-cert', join(directory, `${name}.pem`), '-key', join(directory, `${name}.key`)];
  const server = start(['openssl', 's_server', '-accept', `127.0.0.1:${port}`, '-www', ...files]);
  await until('s_server listens', () => server.output().includes('ACCEPT'));
  return port;
}

async function startNodeServer(directory: string, name: string): Promise<number> {
  const file = (end: string) => readFileSync(join(directory, `${name}.${end}`));
  const server = createHttpsServer({ cert: file('pem'), key: file('key') }, (request, response) => {
    void answer(request, response).catch(() => {});
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  atEnd(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Passes a connection on to the edge, its first record cut into records, and these into segments, of so many bytes. */
function fragment(client: Socket, port: number, recordBytes: number, segmentBytes: number): void {
  const edge = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  edge.on('error', () => client.destroy());
  edge.pipe(client);
  let head: Buffer = Buffer.alloc(0);
  client.on('data', function collect(chunk: Buffer) {
    head = Buffer.concat([head, chunk]);
    const length = RECORD_HEAD_BYTES + (head.length < RECORD_HEAD_BYTES ? 1 : head.readUInt16BE(3));
    if (head.length < length) return;
    client.off('data', collect);
    client.pause();
    const pieces = Buffer.concat([cutRecord(head.subarray(0, length), recordBytes), head.subarray(length)]);
    void sendSegments(edge, pieces, segmentBytes).then(() => client.pipe(edge));
  });
}

function cutRecord(record: Buffer, recordBytes: number): Buffer {
  const payload = record.subarray(RECORD_HEAD_BYTES);
  const records: Buffer[] = [];
  for (let at = 0; at < payload.length; at += recordBytes) {
    const part = payload.subarray(at, at + recordBytes);
    records.push(record.subarray(0, 3), Buffer.of(part.length >> 8, part.length & 0xff), part);
  }
  return Buffer.concat(records);
}

async function sendSegments(socket: Socket, bytes: Buffer, segmentBytes: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += segmentBytes) {
    await new Promise((written) => socket.write(bytes.subarray(at, at + segmentBytes), written));
    await new Promise(setImmediate);
  }
}

/** The smallest ClientHello that names a server. @source RFC 8446, section 4.1.2; RFC 6066, section 3 */
function helloFor(name: string): Buffer {
  const sized = (sizeBytes: number, ...parts: (Buffer | readonly number[])[]): Buffer => {
    const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
    const size = Buffer.alloc(sizeBytes);
    size.writeUIntBE(body.length, 0, sizeBytes);
    return Buffer.concat([size, body]);
  };
  const serverName = sized(2, [0], sized(2, Buffer.from(name)));
  const extensions = sized(2, [0, 0], sized(2, serverName));
  const random = Buffer.alloc(32, 7);
  const hello = sized(3, [3, 3], random, [0], sized(2, [0x13, 0x01]), [1, 0], extensions);
  return Buffer.concat([Buffer.of(22, 3, 1), sized(2, [1], hello)]);
}
