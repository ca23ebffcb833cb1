// What stands behind the example edge: an echo, an HTTP origin, and a TLS one if openssl is there to make a certificate.
//
//   127.0.0.1:7007   echo: every byte comes back
//   127.0.0.1:8081   HTTP: / says hello, /bytes/N answers N bytes
//   127.0.0.1:8444   the same over TLS, for www.example.com (self-signed)

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const HOST = '127.0.0.1';
const BYTES_MAX = 10 ** 10;
const block = Buffer.alloc(65_536, 'sluice ');

function answer(request, response) {
  const bytes = /^\/bytes\/(\d{1,11})$/.exec(request.url ?? '');
  if (bytes === null) {
    response.end(`hello from the origin: ${request.method} ${request.url}\n`);
    return;
  }
  let left = Math.min(Number(bytes[1]), BYTES_MAX);
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': left });
  const push = () => {
    while (left > 0) {
      const part = block.subarray(0, Math.min(left, block.length));
      left -= part.length;
      if (!response.write(part)) return response.once('drain', push);
    }
    response.end();
  };
  push();
}

/** A key and a certificate for a day, or undefined without openssl. */
function certificate() {
  const folder = fileURLToPath(new URL('./run/', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const [key, cert] = [`${folder}origin.key`, `${folder}origin.crt`];
  const names = 'subjectAltName=DNS:www.example.com,DNS:*.example.com';
  const words = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '1',
  ];
  try {
    execFileSync(
      'openssl',
      [...words, '-keyout', key, '-out', cert, '-subj', '/CN=www.example.com', '-addext', names],
      {
        stdio: 'ignore',
      },
    );
  } catch {
    return undefined;
  }
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

const servers = [
  [
    createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => socket.destroy());
      socket.pipe(socket);
    }),
    7007,
  ],
  [createHttpServer(answer), 8081],
];
const pair = certificate();
if (pair === undefined) console.log('origin: no openssl, so no TLS origin on 8444');
else servers.push([createHttpsServer(pair, answer), 8444]);

for (const [server, port] of servers) {
  server.on('error', (error) => {
    console.error(`origin: ${HOST}:${port}: ${error.message}`);
    process.exit(1);
  });
  server.listen(port, HOST, () => console.log(`origin: listening on ${HOST}:${port}`));
}
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
