// A worker dies under load, as by a fault of ours: only its own connections end, with a reason; the others' bytes are
// right; its replacement serves; and no descriptor is left behind.

import { beforeAll, describe, expect, it } from 'vitest';
import { connectTo } from './harness/client.ts';
import { type Daemon, startDaemon } from './harness/daemon.ts';
import { type Flow, startFlow } from './harness/flow.ts';
import { echo, startServer } from './harness/origin.ts';
import { until } from './harness/until.ts';

/** So many that no worker is left without, whatever the kernel's hash says. */
const FLOWS_COUNT = 24;
const IDLE_COUNT = 100;
const DEATHS = 3;

describe('a worker that dies', () => {
  let daemon: Daemon;
  let port = 0;

  beforeAll(async () => {
    const target = await startServer(echo);
    daemon = await startDaemon(
      {
        workers: 2,
        inbounds: [
          { tag: 'in', type: 'forward', listen: '127.0.0.1:0', service: 's', target: `127.0.0.1:${target}` },
        ],
      },
      { environment: { SLUICE_TEST_FAULTS: '1' }, isFaulty: true },
    );
    port = await daemon.port('in');
  });

  /** What the process holds beyond pipes that are kept for later. */
  async function descriptorsBut(): Promise<number> {
    const pipes = (await daemon.status()).workers.reduce((sum, worker) => sum + worker.pipes_open, 0);
    return daemon.descriptors() - 2 * pipes;
  }

  it('takes only its own connections with it, and is replaced', async () => {
    const before = await descriptorsBut();
    for (let death = 0; death < DEATHS; death++) {
      const idle = await Promise.all(Array.from({ length: IDLE_COUNT }, () => connectTo(port)));
      const flows = await Promise.all(Array.from({ length: FLOWS_COUNT }, () => startFlow(port)));
      await Promise.all(flows.map((flow) => flow.flows()));
      await until(
        'all are there',
        async () => (await daemon.status()).totals.connections === FLOWS_COUNT + IDLE_COUNT,
      );
      const mortal = death % 2;
      const { workers } = await daemon.status();
      const doomedCount = workers[mortal]?.connections ?? 0;
      expect(doomedCount).toBeGreaterThan(0);
      expect(doomedCount).toBeLessThan(FLOWS_COUNT + IDLE_COUNT);
      const diedBefore = await daemon.ended('worker_died');

      expect((await daemon.api('POST', `/v1/test/workers/${mortal}/fail`)).status).toBe(202);
      await until('it has died', () => daemon.logged('worker_died').length === death + 1);
      const isCut = (flow: Flow) => flow.failure !== undefined;
      const ends = await Promise.all(
        idle.map((client) => Promise.race([client.rest().then(() => true), survives(client)])),
      );
      const idleCut = ends.filter(Boolean).length;
      await until('its flows are cut', () => flows.filter(isCut).length === doomedCount - idleCut);
      const living = flows.filter((flow) => !isCut(flow));
      await Promise.all(living.map((flow) => flow.flows()));
      expect((await daemon.ended('worker_died')) - diedBefore).toBe(doomedCount);
      for (const flow of flows.filter(isCut)) expect(flow.failure).toMatch(/^(fin|reset) after/);

      await until(
        'the replacement is ready',
        async () => (await daemon.status()).workers[mortal]?.life === 'ready',
      );
      const acceptedBefore = (await daemon.status()).workers[mortal]?.accepted ?? 0;
      const fresh = await Promise.all(Array.from({ length: FLOWS_COUNT }, () => startFlow(port)));
      await Promise.all(fresh.map((flow) => flow.flows()));
      expect((await daemon.status()).workers[mortal]?.accepted).toBeGreaterThan(acceptedBefore);

      await Promise.all([...flows, ...fresh].map((flow) => flow.stop()));
      for (const client of idle) client.socket.destroy();
      await until('all have ended', async () => (await daemon.status()).totals.connections === 0);
    }
    const { workers, descriptors } = await daemon.status();
    expect(workers.reduce((sum, worker) => sum + worker.deaths, 0)).toBe(DEATHS);
    expect(descriptors.used).toBe(2 * workers.reduce((sum, worker) => sum + worker.pipes_open, 0));
    await until('no descriptor is left behind', async () => (await descriptorsBut()) <= before);
    const { text } = await daemon.api('GET', '/metrics');
    expect(text).toMatch(new RegExp(`^sluice_worker_deaths_total\\{worker="0"\\} 2$`, 'm'));
  });

  it('refuses the fault where it was not asked for at start', async () => {
    const target = await startServer(echo);
    const sane = await startDaemon({
      inbounds: [
        { tag: 'in', type: 'forward', listen: '127.0.0.1:0', service: 's', target: `127.0.0.1:${target}` },
      ],
    });
    expect((await sane.api('POST', '/v1/test/workers/0/fail')).status).toBe(404);
  });
});

/** Resolves to false when an idle connection has carried a byte there and back: its worker lives. */
async function survives(client: Awaited<ReturnType<typeof connectTo>>): Promise<boolean> {
  client.send('x');
  return client.receive(1).then(
    () => false,
    () => true,
  );
}
