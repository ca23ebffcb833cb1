// A new configuration for a running daemon, by SIGHUP and by `sluice reload`: what did not change keeps flowing, what is
// gone ends with its reason, and a file with mistakes changes nothing.

import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeFileSync } from 'node:fs';
import { type Client, connectTo } from './harness/client.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, startDaemon, type Written } from './harness/daemon.ts';
import { type Flow, startFlow } from './harness/flow.ts';
import { echo, startServer } from './harness/origin.ts';
import { until } from './harness/until.ts';

describe('reload', () => {
  let target = 0;
  let daemon: Daemon;
  let written: Written;

  const forward = (tag: string, to = target) => ({
    ...{ tag, type: 'forward', listen: '127.0.0.1:0', service: 's', target: `127.0.0.1:${to}` },
  });
  const user = (username: string, password = `of ${username}`) => ({ username, password });
  const services = (...users: readonly object[]) => [{ name: 's' }, { name: 'people', users }];

  beforeAll(async () => {
    target = await startServer(echo);
    daemon = await startDaemon(base());
  });

  beforeEach(async () => {
    written = base();
    daemon.write(written);
    expect((await daemon.api('POST', '/v1/reload')).status).toBe(200);
  });

  const base = (): Written => ({
    inbounds: [forward('kept'), forward('gone'), { tag: 'socks', type: 'socks5', listen: '127.0.0.1:0' }],
    services: services(user('alice'), user('bob'), user('carol')),
  });

  /** A flow to the echo as a user of the socks inbound. */
  async function flowOf(name: string, password = `of ${name}`): Promise<Flow> {
    return startFlow(await login(name, password));
  }

  async function login(name: string, password: string): Promise<Client> {
    const client = await connectTo(await daemon.port('socks'));
    client.send([5, 1, 2]);
    await client.receive(2);
    client.send([1, name.length, ...Buffer.from(name), password.length, ...Buffer.from(password)]);
    if ((await client.receive(2))[1] !== 0) throw new Error('not let in');
    client.send([5, 1, 0, 1, 127, 0, 0, 1, target >> 8, target & 0xff]);
    if ((await client.receive(10))[1] !== 0) throw new Error('not connected');
    return client;
  }

  /** @param change what is to differ from the file as it is */
  async function reload(change: Written): Promise<string> {
    written = { ...written, ...change };
    daemon.write(written);
    const { code, stdout, stderr } = await daemon.cli('reload');
    expect([code, stderr]).toEqual([0, '']);
    return stdout;
  }

  async function hangUp(): Promise<void> {
    const before = (await daemon.status()).last_reload?.at;
    daemon.signal('SIGHUP');
    await until('the signal was heard', async () => {
      const last = (await daemon.status()).last_reload;
      return last?.trigger === 'signal' && last.at !== before;
    });
  }

  it('leaves connections of unchanged objects alone, whoever asks for it', async () => {
    const flows = [await startFlow(await daemon.port('kept')), await flowOf('alice')];
    const port = await daemon.port('kept');
    await counting(daemon, {}, async () => {
      for (let round = 0; round < 5; round++) {
        daemon.write({
          ...written,
          inbounds: [...(written['inbounds'] as object[]), forward(`new-${round}`)],
        });
        await hangUp();
        const { code, stdout } = await daemon.cli('reload', '--json');
        expect(code).toBe(0);
        expect(JSON.parse(stdout)).toMatchObject({ inbounds: { added: [], changed: [], removed: [] } });
        for (const flow of flows) await flow.flows();
      }
    });
    expect(await daemon.port('kept')).toBe(port);
    expect((await daemon.status()).last_reload).toMatchObject({ trigger: 'api', ok: true });
    for (const flow of flows) await flow.stop();
  });

  it('ends the connections of an inbound that was removed, and no others; nobody listens there any more', async () => {
    const [kept, gone] = [
      await startFlow(await daemon.port('kept')),
      await startFlow(await daemon.port('gone')),
    ];
    const port = await daemon.port('gone');
    await counting(daemon, { inbound_removed: 1 }, async () => {
      const said = await reload({
        inbounds: (written['inbounds'] as { tag: string }[]).filter(({ tag }) => tag !== 'gone'),
      });
      expect(said).toContain('inbounds removed: gone');
      await gone.cut();
      await expect(connectTo(port)).rejects.toThrow('ECONNREFUSED');
    });
    await kept.flows();
    await kept.stop();
  });

  it('serves a new inbound at once, and a changed target for new connections', async () => {
    const kept = await startFlow(await daemon.port('kept'));
    await reload({ inbounds: [...(written['inbounds'] as object[]), forward('new')] });
    const flow = await startFlow(await daemon.port('new'));
    await flow.flows();
    await flow.stop();

    const other = await startServer((socket) => socket.end('the other'));
    const inbounds = written['inbounds'] as { tag: string }[];
    await reload({
      inbounds: inbounds.map((inbound) => (inbound.tag === 'gone' ? forward('gone', other) : inbound)),
    });
    const client = await connectTo(await daemon.port('gone'));
    expect((await client.rest()).bytes.toString()).toBe('the other');
    await kept.flows();
    await kept.stop();
  });

  it('ends exactly the sessions of a changed password and of a removed user', async () => {
    const flows = { alice: await flowOf('alice'), bob: await flowOf('bob'), carol: await flowOf('carol') };
    const anonymous = await startFlow(await daemon.port('kept'));
    await counting(daemon, { credential_removed: 2, auth_failed: 2 }, async () => {
      const said = await reload({ services: services(user('alice'), user('bob', 'another')) });
      expect(said).toContain('users changed: 1');
      expect(said).toContain('users removed: 1');
      await flows.bob.cut();
      await flows.carol.cut();
      await expect(flowOf('bob')).rejects.toThrow('not let in');
      await expect(flowOf('carol')).rejects.toThrow('not let in');
    });
    await flows.alice.flows();
    await anonymous.flows();
    const bob = await flowOf('bob', 'another');
    await bob.flows();
    for (const flow of [flows.alice, anonymous, bob]) await flow.stop();
  });

  it('changes nothing for a file with mistakes, and lists them all', async () => {
    const flow = await startFlow(await daemon.port('kept'));
    const plan = (await daemon.status()).plan;
    writeFileSync(
      daemon.file,
      `inbounds:
  - { tag: kept, type: foward, listen: "127.0.0.1:0" }
  - { tag: two, type: socks5, listen: "127.0.0.1:99999" }
timeouts: { idle: 10 minutes }
finl: direct
`,
    );
    const { code, stderr } = await daemon.cli('reload');
    expect(code).toBe(1);
    for (const path of ['inbounds[0].type', 'inbounds[1].listen', 'timeouts.idle', 'finl'])
      expect(stderr).toContain(path);
    expect(stderr).toContain('forward');
    expect(stderr).toContain('final');
    await hangUp();
    const refused = daemon.logged('reload_failed').at(-1);
    expect(refused).toMatchObject({ trigger: 'signal', code: 'configuration_invalid' });
    expect(refused?.['mistakes']).toHaveLength(4);
    const status = await daemon.status();
    expect([status.plan, status.inbounds.length]).toEqual([plan, 3]);
    expect(status.last_reload).toMatchObject({ ok: false, trigger: 'signal' });
    await flow.flows();
    await flow.stop();
  });

  it('changes nothing where a new address is taken', async () => {
    const flow = await startFlow(await daemon.port('kept'));
    daemon.write({
      ...written,
      inbounds: [{ ...forward('kept'), listen: `127.0.0.1:${target}` }, forward('new')],
    });
    const { code, stderr } = await daemon.cli('reload');
    expect(code).toBe(1);
    expect(stderr).toContain(`127.0.0.1:${target}`);
    expect((await daemon.status()).inbounds.map(({ tag }) => tag)).toEqual(['kept', 'gone', 'socks']);
    await flow.flows();
    await flow.stop();
  });
});
