// Byte-exactness on the real network: the built daemon on loopback, thousands of connections through every kind of
// inbound, with the actors, scripts and invariants of the simulated test. SLUICE_SEED=n repeats its choices, though not
// the kernel's.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../src/sys/simulated/random.ts';
import { type Daemon, startDaemon } from '../real/harness/daemon.ts';
import { until } from '../real/harness/until.ts';
import { connect, isComplete, judge, planConnection, serve } from './connections.ts';
import type { Connection } from './connections.ts';
import { createRealStage } from './real-stage.ts';

const CONNECTIONS = 5_000;
/** As many at one time. */
const TOGETHER = 150;
/** A forwarding inbound leads to one server only, so that each of these connections has one of its own. */
const FORWARDED = 150;
const TIME_MS_MAX = 20_000;
const SERVERLESS_CHANCE = 0.03;
const EXPECTATION = { isRough: false, mayRefuse: false };

const seed = Number(process.env['SLUICE_SEED'] ?? 1);

describe('byte-exactness on the real network', () => {
  const random = createRandom(seed);
  const stage = createRealStage(random);
  const connections: Connection[] = [];
  const listenFds = new Map<Connection, number>();
  let daemon: Daemon;

  beforeAll(async () => {
    let forwarded = 0;
    for (let id = 0; connections.length < CONNECTIONS; id++) {
      const connection = planConnection(random, id, random.chance(0.01), SERVERLESS_CHANCE);
      // Names are another test's; here everybody writes addresses.
      if (connection.name !== '' || connection.protocol === 'socks-hashed') continue;
      if (connection.protocol.startsWith('forward') && forwarded++ >= FORWARDED) continue;
      connections.push(connection);
    }
    const forwarding = connections.filter(({ protocol }) => protocol.startsWith('forward'));
    for (const connection of forwarding) listenFds.set(connection, serve(stage, connection));
    daemon = await startDaemon({
      services: [{ name: 's' }, { name: 'known', users: [{ username: 'ann', password: 'secret' }] }],
      inbounds: [
        { tag: 'socks', type: 'socks5', listen: '127.0.0.1:0', service: 's' },
        { tag: 'http', type: 'http', listen: '127.0.0.1:0', service: 's' },
        ...forwarding.map(({ id, serverPort, protocol }) => ({
          tag: `f${id}`,
          type: 'forward',
          listen: '127.0.0.1:0',
          service: 's',
          target: `127.0.0.1:${serverPort}`,
          ...(protocol === 'forward' ? {} : { proxy_protocol: protocol === 'forward-proxy-1' ? 'v1' : 'v2' }),
        })),
      ],
    });
    const { inbounds } = await daemon.status();
    const ports = new Map(inbounds.map(({ tag, listen }) => [tag, Number(listen.split(':').at(-1))]));
    for (const connection of connections) {
      const { id, protocol } = connection;
      const tag = protocol.startsWith('forward') ? `f${id}` : protocol.startsWith('socks') ? 'socks' : 'http';
      connection.edgePort = ports.get(tag) ?? 0;
    }
  });

  afterAll(() => stage.close());

  it(
    `keeps every byte in its place, ${CONNECTIONS} connections`,
    async () => {
      const before = await daemon.status();
      const startMs = performance.now();
      const isOver = ({ clientPeer, serverPeer }: Connection) =>
        clientPeer?.isOver === true && (serverPeer?.isOver ?? true);
      let next = 0;
      let going: Connection[] = [];
      while ((next < connections.length || going.length > 0) && performance.now() - startMs < TIME_MS_MAX) {
        while (going.length < TOGETHER && next < connections.length) {
          const connection = connections[next++] as Connection;
          if (!listenFds.has(connection)) listenFds.set(connection, serve(stage, connection));
          connect(stage, connection);
          going.push(connection);
        }
        stage.turn();
        // The harness reads the daemon's log meanwhile.
        await nextTurn();
        for (const connection of going) if (isOver(connection)) closeListener(connection);
        going = going.filter((connection) => !isOver(connection));
      }
      const seconds = (performance.now() - startMs) / 1000;
      const mistakes: string[] = [];
      if (going.length > 0) mistakes.push(`${going.length} connections are not over after ${seconds} s`);
      for (const connection of connections.slice(0, next)) judge(connection, EXPECTATION, mistakes);
      expect(mistakes, `SLUICE_SEED=${seed}`).toEqual([]);
      await until(
        'the edge has no connections',
        async () => (await daemon.status()).totals.connections === 0,
      );
      const after = await daemon.status();
      const complete = connections.filter(isComplete).length;
      console.log(
        `${next} connections in ${seconds.toFixed(1)} s, ${complete} complete, ` +
          `${after.totals.bytes_up + after.totals.bytes_down} bytes, ended: ${JSON.stringify(after.ended)}`,
      );
      expect(complete).toBeGreaterThan(CONNECTIONS / 2);
      const endedCount = Object.values(after.ended).reduce((sum, count) => sum + count, 0);
      expect(endedCount).toBe(after.totals.accepted);
      expect(after.totals.accepted).toBe(next);
      for (const reason of ['idle_timeout', 'half_close_timeout', 'handshake_timeout', 'kernel_error']) {
        expect(after.ended[reason] ?? 0, reason).toBe(0);
      }
      for (const worker of after.workers) expect(worker.buffers_in_use).toBe(0);
      // What is left in the budget are idle pipes.
      const pipes = after.workers.reduce((sum, { pipes_open }) => sum + pipes_open, 0);
      expect(after.descriptors.used).toBe(pipes * 2);
      expect(after.descriptors.reserved).toBe(before.descriptors.reserved);
    },
    TIME_MS_MAX + 20_000,
  );

  function closeListener(connection: Connection): void {
    const fd = listenFds.get(connection);
    if (fd === undefined || fd < 0) return;
    stage.sys.close(fd);
    listenFds.set(connection, -1);
  }
});
