// node-net-proxy PORT TARGET: relays TCP with `net` and `pipe`, half-close included.

import { connect, createServer } from 'node:net';

const port = Number(process.argv[2]);
const target = Number(process.argv[3]);

const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const upstream = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  client.on('error', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
  client.pipe(upstream);
  upstream.pipe(client);
});
server.listen({ port, host: '127.0.0.1', backlog: 4096 });
