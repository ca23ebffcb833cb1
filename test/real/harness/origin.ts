// Servers that connections through the edge lead to: an HTTP origin that tells what it got, plain TCP servers, and
// bytes that are the same every time, different at every place, and cheap: the key stream of AES in counter mode.

import { createCipheriv, createHash } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { atEnd } from './at-end.ts';

export const MEGABYTE = 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
const NO_BYTES = Buffer.alloc(CHUNK_BYTES);

/** The first `bytes` of the pattern. */
function* pattern(bytes: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    yield cipher.update(left < CHUNK_BYTES ? NO_BYTES.subarray(0, left) : NO_BYTES);
  }
}

export const patternBytes = (bytes: number): Buffer => Buffer.concat([...pattern(bytes)]);
export const patternStream = (bytes: number): Readable => Readable.from(pattern(bytes));

const digests = new Map<number, string>();

/** SHA-256 of the first `bytes` of the pattern, in hex. */
export function patternDigest(bytes: number): string {
  const known = digests.get(bytes);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  for (const chunk of pattern(bytes)) hash.update(chunk);
  const digest = hash.digest('hex');
  digests.set(bytes, digest);
  return digest;
}

/** What the origin answers to everything that is not /bytes/N. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * GET /bytes/N sends the pattern; anything else is answered with what arrived, as JSON.
 * @returns its port
 */
export async function startOrigin(host = '127.0.0.1', path?: string): Promise<number> {
  const server = createHttpServer((request, response) => void answer(request, response).catch(() => {}));
  closeAfterAll(server);
  const place = path === undefined ? { host, port: 0 } : { path };
  await new Promise<void>((listening) => server.listen(place, listening));
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

export async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const wanted = /^\/bytes\/(\d+)$/.exec(request.url ?? '')?.[1];
  if (wanted !== undefined) {
    response.writeHead(200, { 'content-length': wanted });
    if (request.method === 'HEAD') response.end();
    else await pipeline(patternStream(Number(wanted)), response);
    return;
  }
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of request) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  const { method = '', url = '', headers } = request;
  const seen: Seen = { method, url, headers, bytes, sha256: hash.digest('hex') };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(seen));
}

/** A TCP server for `serve`, which must end its sockets. @returns its port, or 0 on a Unix path */
export async function startServer(serve: (socket: Socket) => void, path?: string): Promise<number> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => {});
    serve(socket);
  });
  closeAfterAll(server);
  const place = path === undefined ? { host: '127.0.0.1', port: 0 } : { path };
  await new Promise<void>((listening) => server.listen(place, listening));
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

/** Sends back what it gets, and its end. */
export function echo(socket: Socket): void {
  socket.pipe(socket);
}

function closeAfterAll(server: Server | HttpServer): void {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  atEnd(async () => {
    const closed = new Promise((done) => server.close(done));
    for (const socket of open) socket.destroy();
    await closed;
  });
}
