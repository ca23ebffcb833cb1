// A proxy that lets in everybody while nobody has users, and what must never open it again without a word of the file.

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { connectTo } from './harness/client.ts';
import { type Daemon, startDaemon } from './harness/daemon.ts';
import { startFlow } from './harness/flow.ts';
import { echo, startServer } from './harness/origin.ts';

const inbound = (tag: string) => ({ tag, type: 'socks5', listen: '127.0.0.1:0' });
const ALICE = { users: [{ username: 'alice', password: 'a' }] };

/** The method that the proxy chooses of "none" and "password". */
async function methodOf(daemon: Daemon, tag: string): Promise<number | undefined> {
  const client = await connectTo(await daemon.port(tag));
  client.send([5, 2, 0, 2]);
  const [, method] = await client.receive(2);
  client.socket.destroy();
  return method;
}

const NONE = 0;
const PASSWORD = 2;

describe('an open proxy', () => {
  it('asks from the first user of the API on: at once, under a new tag, after a restart', async () => {
    const target = await startServer(echo);
    const first = await startDaemon({ inbounds: [inbound('socks')] });
    expect(await methodOf(first, 'socks')).toBe(NONE);
    const anonymous = await connectTo(await first.port('socks'));
    anonymous.send([5, 1, 0]);
    await anonymous.receive(2);
    anonymous.send([5, 1, 0, 1, 127, 0, 0, 1, target >> 8, target & 0xff]);
    await anonymous.receive(10);
    const flow = await startFlow(anonymous);

    const put = await first.api('PUT', '/v1/services/alice', ALICE);
    expect(JSON.parse(put.text)).toMatchObject({ reconciled: { ended: 1 } });
    await flow.cut();
    expect(await methodOf(first, 'socks')).toBe(PASSWORD);
    expect(first.logged('inbound_asks')).toMatchObject([{ inbound: 'socks' }]);
    first.write({ inbounds: [inbound('renamed')] });
    expect((await first.api('POST', '/v1/reload')).status).toBe(200);
    expect(await methodOf(first, 'renamed')).toBe(PASSWORD);
    await first.stop();

    const store = join(first.directory, 'sluice.db');
    const admin = { socket: './sluice.sock' };
    const second = await startDaemon({ admin, store, inbounds: [inbound('socks')] });
    expect(await methodOf(second, 'socks')).toBe(PASSWORD);
    expect(second.logged('inbound_asks')).toMatchObject([{ inbound: 'socks' }]);
    expect((await second.api('DELETE', '/v1/services/alice')).status).toBe(204);
    expect(await methodOf(second, 'socks')).toBe(PASSWORD);
    second.write({ admin, store, inbounds: [{ ...inbound('socks'), service: 'default' }] });
    expect((await second.api('POST', '/v1/reload')).status).toBe(200);
    expect(await methodOf(second, 'socks')).toBe(NONE);
  });
});
