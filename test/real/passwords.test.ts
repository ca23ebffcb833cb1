// Passwords of which the configuration holds only a scrypt hash, over SOCKS5 and HTTP: right, wrong, and a flood of wrong
// ones, which must cost neither the machine nor the other users much.

import { beforeAll, describe, expect, it } from 'vitest';
import { randomBytes, scryptSync } from 'node:crypto';
import { connectTo } from './harness/client.ts';
import { type Daemon, startDaemon } from './harness/daemon.ts';
import { startOrigin } from './harness/origin.ts';
import { missing, run } from './harness/programs.ts';

const FLOOD_COUNT = 100;
/** Of one source, that may be computed before its others are gated: 10 failures and 8 that were pending then. */
const COMPUTED_MAX = 20;

/** Less than one computation takes anywhere, and far more than the way to the worker and back. */
const SCRYPT_MS_MIN = 8;

/** As an operator would make it with any tool that knows the PHC string format. */
function scryptHash(password: string): string {
  const salt = randomBytes(16);
  const hash = scryptSync(password, salt, 32, { N: 2 ** 14, r: 8, p: 1 });
  const text = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
  return `$scrypt$ln=14,r=8,p=1$${text(salt)}$${text(hash)}`;
}

describe('passwords known by their scrypt hash', () => {
  let daemon: Daemon;
  let socks = 0;
  let http = 0;
  let origin = 0;

  beforeAll(async () => {
    origin = await startOrigin();
    const hashed = ['alice', 'bob', 'carol', 'dave', 'eve'].map((username) => ({
      username,
      password: scryptHash(`of ${username}`),
    }));
    const users = [...hashed, { username: 'plain', password: 'of plain' }];
    daemon = await startDaemon({
      inbounds: [
        { tag: 'socks', type: 'socks5', listen: '0.0.0.0:0' },
        { tag: 'http', type: 'http', listen: '0.0.0.0:0' },
      ],
      services: [{ name: 'people', users }],
    });
    socks = await daemon.port('socks');
    http = await daemon.port('http');
  });

  /** From a source of its own, so that one test's failures gate no other's. */
  const curl = (source: string, user: string, ...proxy: string[]) =>
    run([
      ...['curl', '--silent', '--show-error', '--max-time', '10', '--interface', source],
      ...[...proxy, '--proxy-user', user, '--write-out', '%{http_code}', '--output', '/dev/null'],
      `http://127.0.0.1:${origin}/`,
    ]);

  it.skipIf(missing('curl'))('are taken where right and refused where wrong', async () => {
    const inbounds = [
      ['--socks5', `127.0.0.1:${socks}`],
      ['--proxy', `http://127.0.0.1:${http}`],
      ['--proxytunnel', '--proxy', `http://127.0.0.1:${http}`],
    ];
    for (const proxy of inbounds) {
      const wrong = await curl('127.0.0.11', 'alice:of bob', ...proxy);
      expect(wrong.stdout, proxy.join(' ')).not.toBe('200');
    }
    // Computed once, then remembered among the failures.
    const { passwords } = await daemon.status();
    expect([passwords['wrong'], passwords['remembered']]).toEqual([1, 2]);
    for (const proxy of inbounds) {
      const right = await curl('127.0.0.11', 'alice:of alice', ...proxy);
      expect([right.code, right.stdout], proxy.join(' ')).toEqual([0, '200']);
      const wrong = await curl('127.0.0.11', 'alice:of carol', ...proxy);
      expect(wrong.stdout, proxy.join(' ')).not.toBe('200');
    }
    // Computed once; then the worker has a proof, and takes the right one by itself. A wrong one is computed all the same.
    const { right, wrong } = (await daemon.status()).passwords;
    expect([right, wrong]).toEqual([1, 2]);
  });

  it('cost the same where wrong, whoever they are of, so that names cannot be told by time', async () => {
    const source = '127.0.0.14';
    expect(await offer(socks, source, 'eve', 'of eve')).toBe(0);
    const before = (await daemon.status()).passwords;
    const names = ['nobody', 'noone', 'bob', 'eve', 'plain'];
    const took: [string, number][] = [];
    for (const name of names) {
      const startMs = performance.now();
      expect(await offer(socks, source, name, 'the same guess'), name).toBe(1);
      took.push([name, performance.now() - startMs]);
    }
    const after = (await daemon.status()).passwords;
    // None was answered by the worker alone, nor from what was remembered of another name.
    expect((after['wrong'] ?? 0) - (before['wrong'] ?? 0)).toBe(names.length);
    const fastest = Math.min(...took.map(([, ms]) => ms));
    expect(fastest, JSON.stringify(took)).toBeGreaterThan(SCRYPT_MS_MIN);
  });

  it.skipIf(missing('curl'))('are gated for a source that floods us, and for nobody else', async () => {
    expect((await curl('127.0.0.12', 'bob:of bob', '--socks5', `127.0.0.1:${socks}`)).code).toBe(0);
    const before = (await daemon.status()).passwords;
    const flood = Promise.all(
      Array.from({ length: FLOOD_COUNT }, (_, i) => offer(socks, '127.0.0.12', 'carol', `guess ${i}`)),
    );
    // Beside the flood: a user known already behind the same address, and a new one behind another.
    const [known, fresh] = await Promise.all([
      curl('127.0.0.12', 'bob:of bob', '--socks5', `127.0.0.1:${socks}`),
      curl('127.0.0.13', 'dave:of dave', '--socks5', `127.0.0.1:${socks}`),
    ]);
    expect([known.code, fresh.code]).toEqual([0, 0]);
    expect(await flood).not.toContain(0);
    const after = (await daemon.status()).passwords;
    const gained = (outcome: string) => (after[outcome] ?? 0) - (before[outcome] ?? 0);
    expect(gained('wrong')).toBeLessThanOrEqual(COMPUTED_MAX);
    expect(gained('wrong') + gained('busy') + gained('gated')).toBe(FLOOD_COUNT);
    expect(gained('right')).toBe(1);

    // From now on its guesses are not even computed.
    for (let i = 0; i < COMPUTED_MAX; i++) await offer(socks, '127.0.0.12', 'carol', `again ${i}`);
    expect((await daemon.status()).passwords['gated']).toBeGreaterThan(after['gated'] ?? 0);
  });
});

/** @returns the status of RFC 1929 */
async function offer(port: number, source: string, user: string, password: string): Promise<number> {
  const client = await connectTo({ host: '127.0.0.1', port, localAddress: source });
  client.send([5, 1, 2]);
  await client.receive(2);
  client.send([1, user.length, ...Buffer.from(user), password.length, ...Buffer.from(password)]);
  const { bytes } = await client.rest();
  client.socket.destroy();
  return bytes[1] ?? -1;
}
