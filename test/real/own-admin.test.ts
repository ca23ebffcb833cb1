// The admin API is no target for clients: neither on a port that the kernel chose, nor after a reload that speaks of
// another one, or of none, which waits for a restart.

import { expect, it } from 'vitest';
import { connectTo } from './harness/client.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, startDaemon } from './harness/daemon.ts';

const NOT_ALLOWED = 2;

it('cannot be reached through the proxy, as long as it is open', async () => {
  const inbounds = [{ tag: 'socks', type: 'socks5', listen: '127.0.0.1:0', service: 'open' }];
  const services = [{ name: 'open' }];
  const rules = [
    { domain_suffix: 'corp.example', override_address: '127.0.0.1' },
    { domain_suffix: 'name.example', override_address: 'localhost' },
  ];
  const daemon = await startDaemon({ inbounds, services, rules, admin: { listen: '127.0.0.1:0' } });
  const [ready] = daemon.logged('ready');
  const port = Number(/"127\.0\.0\.1:(\d+)"/.exec(JSON.stringify(ready?.['admin']))?.[1]);
  expect(port).toBeGreaterThan(0);
  const expectRefusal = async () => {
    await refused(daemon, [1, 127, 0, 0, 1], port);
    // Nor by what a rule makes of the address, at the port that the client says.
    await refused(daemon, [3, 14, ...Buffer.from('x.corp.example')], port);
    await refused(daemon, [3, 14, ...Buffer.from('x.name.example')], await daemon.port('socks'));
  };
  await expectRefusal();
  for (const admin of [{ listen: '127.0.0.1:9' }, false]) {
    daemon.write({ inbounds, services, rules, admin });
    const { status, text } = await daemon.api('POST', '/v1/reload');
    expect([status, JSON.parse(text)]).toMatchObject([200, { restart_needed: ['admin'] }]);
    await expectRefusal();
  }
});

function refused(daemon: Daemon, host: readonly number[], port: number): Promise<void> {
  return counting(daemon, { target_own_listener: 1 }, async () => {
    const client = await connectTo(await daemon.port('socks'));
    client.send([5, 1, 0]);
    await client.receive(2);
    client.send([5, 1, 0, ...host, port >> 8, port & 0xff]);
    expect((await client.receive(10))[1]).toBe(NOT_ALLOWED);
    client.socket.destroy();
  });
}
