// How connections end, seen from outside: a FIN arrives as a FIN and a reset as a reset, each after every byte before it,
// in both directions, over TCP and over Unix sockets.

import { beforeAll, describe, expect, it } from 'vitest';
import { statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type Client, connectTo } from './harness/client.ts';
import { counting } from './harness/counting.ts';
import { type Daemon, makeDirectory, startDaemon } from './harness/daemon.ts';
import { echo, MEGABYTE, patternBytes, patternDigest, patternStream, startServer } from './harness/origin.ts';
import { missing, run, runDigest } from './harness/programs.ts';
import { until, within } from './harness/until.ts';

const BULK_BYTES = 3 * MEGABYTE + 1;

describe('ends of connections', () => {
  let daemon: Daemon;
  let accepted: Socket[] = [];

  beforeAll(async () => {
    const target = await startServer((socket) => accepted.push(socket));
    daemon = await startDaemon({
      timeouts: { half_close: '2s' },
      inbounds: [
        { tag: 'in', type: 'forward', listen: '127.0.0.1:0', service: 's', target: `127.0.0.1:${target}` },
      ],
    });
  });

  /** A connection through the edge, and the server's end of it. */
  async function pair(): Promise<{ client: Client; server: Socket }> {
    accepted = [];
    const client = await connectTo(await daemon.port('in'));
    await until('the server has accepted', () => accepted.length === 1);
    return { client, server: accepted[0] as Socket };
  }

  /** Everything that reaches the server, and how it ends there. */
  function heard(server: Socket): Promise<{ bytes: Buffer; end: 'fin' | 'reset' }> {
    const chunks: Buffer[] = [];
    server.on('data', (chunk: Buffer) => chunks.push(chunk));
    const end = new Promise<'fin' | 'reset'>((resolve) => {
      server.once('end', () => resolve('fin'));
      server.once('error', () => resolve('reset'));
    });
    return within(
      'the server hears an end',
      end.then((how) => ({ bytes: Buffer.concat(chunks), end: how })),
    );
  }

  it("passes the client's FIN on after its bytes, and then still the server's answer and FIN", async () => {
    const bytes = patternBytes(BULK_BYTES);
    await counting(daemon, { finished: 1 }, async () => {
      const { client, server } = await pair();
      const arriving = heard(server);
      client.send(bytes);
      client.finish();
      const got = await arriving;
      expect([got.end, got.bytes.equals(bytes)]).toEqual(['fin', true]);
      server.end(bytes);
      const rest = await client.rest();
      expect([rest.end, rest.bytes.equals(bytes)]).toEqual(['fin', true]);
    });
  });

  it("passes the server's FIN on first, and then still what the client sends", async () => {
    const bytes = patternBytes(BULK_BYTES);
    await counting(daemon, { finished: 1 }, async () => {
      const { client, server } = await pair();
      const arriving = heard(server);
      server.end('bye');
      const rest = await client.rest();
      expect([rest.end, rest.bytes.toString()]).toEqual(['fin', 'bye']);
      client.send(bytes);
      client.finish();
      const got = await arriving;
      expect([got.end, got.bytes.equals(bytes)]).toEqual(['fin', true]);
    });
  });

  it("passes the client's reset on as a reset", async () => {
    await counting(daemon, { client_reset: 1 }, async () => {
      const { client, server } = await pair();
      const first = new Promise((resolve) => server.once('data', resolve));
      const arriving = heard(server);
      client.send('hello');
      await within('bytes arrive', first);
      client.reset();
      expect(await arriving).toEqual({ bytes: Buffer.from('hello'), end: 'reset' });
    });
  });

  it("passes the server's reset on as a reset", async () => {
    await counting(daemon, { server_reset: 1 }, async () => {
      const { client, server } = await pair();
      server.write('hello');
      expect((await client.receive(5)).toString()).toBe('hello');
      server.resetAndDestroy();
      expect(await client.rest()).toEqual({ bytes: Buffer.alloc(0), end: 'reset' });
    });
  });

  it('resets a half that stays open for too long after the other has ended', async () => {
    await counting(daemon, { half_close_timeout: 1 }, async () => {
      const { client, server } = await pair();
      const arriving = heard(server);
      client.finish();
      expect((await arriving).end).toBe('fin');
      expect((await client.rest()).end).toBe('reset');
    });
  });
});

describe('Unix sockets', () => {
  let daemon: Daemon;
  let directory = '';

  beforeAll(async () => {
    directory = makeDirectory();
    await startServer(echo, join(directory, 'target.sock'));
    const target = `unix:${join(directory, 'target.sock')}`;
    const absent = `unix:${join(directory, 'absent.sock')}`;
    daemon = await startDaemon({
      inbounds: [
        { tag: 'tcp', type: 'forward', listen: '127.0.0.1:0', service: 's', target },
        { tag: 'both', type: 'forward', listen: `unix:${join(directory, 'in.sock')}`, service: 's', target },
        { tag: 'absent', type: 'forward', listen: '127.0.0.1:0', service: 's', target: absent },
      ],
    });
  });

  it.skipIf(missing('nc', 'socat'))('are targets and listeners, with ends passed on', async () => {
    const expected = { code: 0, bytes: BULK_BYTES, sha256: patternDigest(BULK_BYTES), stderr: '' };
    const commands = [
      ['nc', '-N', '127.0.0.1', String(await daemon.port('tcp'))],
      ['nc', '-N', '-U', join(directory, 'in.sock')],
      ['socat', '-t', '5', '-', `UNIX-CONNECT:${join(directory, 'in.sock')}`],
    ];
    for (const command of commands) {
      const got = await runDigest(command, { input: patternStream(BULK_BYTES) });
      expect(got, command.join(' ')).toEqual(expected);
    }
  });

  it('are refused where nobody listens, and closed to other users', async () => {
    await counting(daemon, { connect_refused: 1 }, async () => {
      const client = await connectTo(await daemon.port('absent'));
      expect((await client.rest()).bytes).toHaveLength(0);
    });
    expect(statSync(join(directory, 'in.sock')).mode & 0o777).toBe(0o660);
  });

  it.skipIf(missing('nc'))('are gone after the daemon, and no obstacle to the next one', async () => {
    const path = join(directory, 'second.sock');
    const target = `unix:${join(directory, 'target.sock')}`;
    const written = {
      inbounds: [{ tag: 'in', type: 'forward', listen: `unix:${path}`, service: 's', target }],
    };
    const first = await startDaemon(written);
    // Killed, it leaves its path behind.
    first.signal('SIGKILL');
    await first.exit;
    expect(statSync(path).isSocket()).toBe(true);
    const second = await startDaemon(written);
    const { stdout } = await run(['nc', '-N', '-U', path], { input: Buffer.from('hello') });
    expect(stdout).toBe('hello');
    expect(await second.stop()).toBe(0);
    expect(() => statSync(path)).toThrow('ENOENT');
  });
});
