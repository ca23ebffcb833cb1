// OpenSSH through the edge, as people use it: netcat as ProxyCommand through socks5, and a plain forward inbound. Commands
// run, and 20 MB go up and come back at the same time.

import { beforeAll, describe, expect, it } from 'vitest';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../bench/process/ports.ts';
import { type Daemon, makeDirectory, startDaemon } from './harness/daemon.ts';
import { MEGABYTE, patternDigest, patternStream } from './harness/origin.ts';
import { missing, run, runDigest, start } from './harness/programs.ts';
import { until } from './harness/until.ts';

const PIPED_BYTES = 20 * MEGABYTE + 3;

describe.skipIf(missing('ssh', 'sshd', 'ssh-keygen', 'nc'))('OpenSSH through the edge', () => {
  let daemon: Daemon;
  let directory = '';
  let sshPort = 0;

  beforeAll(async () => {
    directory = makeDirectory();
    sshPort = await startSshd(directory);
    daemon = await startDaemon({
      inbounds: [
        { tag: 'socks', type: 'socks5', listen: '127.0.0.1:0', service: 'all' },
        {
          tag: 'ssh',
          type: 'forward',
          listen: '127.0.0.1:0',
          service: 'ssh',
          target: `127.0.0.1:${sshPort}`,
        },
      ],
    });
  });

  async function ssh(way: 'socks5' | 'forward'): Promise<string[]> {
    const port = way === 'forward' ? await daemon.port('ssh') : sshPort;
    const proxy = `nc -X 5 -x 127.0.0.1:${await daemon.port('socks')} %h %p`;
    const options = [
      ...['-F', '/dev/null', '-i', join(directory, 'client'), '-p', String(port), '-o', 'BatchMode=yes'],
      ...['-o', 'StrictHostKeyChecking=yes', '-o', `UserKnownHostsFile=${join(directory, 'known_hosts')}`],
      ...['-o', 'HostKeyAlias=origin', '-o', 'IdentitiesOnly=yes'],
      ...(way === 'socks5' ? ['-o', `ProxyCommand=${proxy}`] : []),
    ];
    return ['ssh', ...options, `${userInfo().username}@127.0.0.1`];
  }

  for (const way of ['socks5', 'forward'] as const) {
    it(`runs a command through ${way}, and its exit code comes back`, async () => {
      const outcome = await run([...(await ssh(way)), 'echo "said $SSH_CONNECTION"; exit 7']);
      expect(outcome.stderr).toBe('');
      expect(outcome.code).toBe(7);
      expect(outcome.stdout).toMatch(new RegExp(`^said 127.0.0.1 \\d+ 127.0.0.1 ${sshPort}$`, 'm'));
    });

    it(`pipes ${PIPED_BYTES} bytes through ${way} both ways at once`, async () => {
      const got = await runDigest([...(await ssh(way)), 'cat'], { input: patternStream(PIPED_BYTES) });
      expect(got).toEqual({ code: 0, bytes: PIPED_BYTES, sha256: patternDigest(PIPED_BYTES), stderr: '' });
    });
  }
});

/** An sshd with keys of its own, for the user who runs the tests. @returns its port */
async function startSshd(directory: string): Promise<number> {
  for (const name of ['host', 'client']) {
    await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(directory, name)]);
  }
  const publicKey = (await run(['cat', join(directory, 'host.pub')])).stdout;
  writeFileSync(join(directory, 'known_hosts'), `origin ${publicKey}`);
  // Without it sshd does not start as root; a service manager would have made it.
  if (userInfo().uid === 0 && !existsSync('/run/sshd')) mkdirSync('/run/sshd', { mode: 0o755 });
  const port = await freePort();
  writeFileSync(
    join(directory, 'sshd_config'),
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${join(directory, 'host')}`,
      `AuthorizedKeysFile ${join(directory, 'client.pub')}`,
      'StrictModes no',
      'UsePAM no',
      'PidFile none',
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      '',
    ].join('\n'),
  );
  const path = (await run(['which', 'sshd'])).stdout.trim();
  const sshd = start([path, '-D', '-e', '-f', join(directory, 'sshd_config')]);
  await until('sshd listens', () => sshd.output().includes('Server listening'));
  return port;
}
