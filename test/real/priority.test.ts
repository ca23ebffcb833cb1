// Niceness of the daemon's threads: data workers have what the process was started with, all others step back, and a
// worker that replaces a dead one comes back to its predecessor's place where that is allowed.

import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { describe, expect, it } from 'vitest';
import { startDaemon } from './harness/daemon.ts';
import { until } from './harness/until.ts';

/** Of every thread. @source proc(5): the 19th field, behind a name that may hold anything */
function niceOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  });
}

describe('the threads of the daemon', () => {
  it.skipIf(process.getuid?.() !== 0)(
    'leave the cores to the data workers first, also to a replaced one',
    async () => {
      const daemon = await startDaemon(
        {
          workers: 2,
          inbounds: [
            { tag: 'in', type: 'forward', listen: '127.0.0.1:0', service: 's', target: '127.0.0.1:1' },
          ],
        },
        { environment: { SLUICE_TEST_FAULTS: '1' }, isFaulty: true },
      );
      const base = getPriority();
      const first = () => niceOf(daemon.pid).filter((nice) => nice === base).length;
      const back = () => niceOf(daemon.pid).filter((nice) => nice === base + 5).length;
      expect(first()).toBe(2);
      expect(back()).toBeGreaterThan(1);
      expect((await daemon.api('POST', '/v1/test/workers/1/fail')).status).toBe(202);
      await until(
        'it was replaced',
        async () => (await daemon.status()).workers[1]?.deaths === 1 && first() === 2,
      );
    },
  );
});
