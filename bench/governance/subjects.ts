// What the works of governance start: daemons that are governed while they are measured, one without the index, and
// registries of all sizes in processes of the benchmark's own. Several names of one kind are the sides of a comparison.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT, compiled } from '../checkout.ts';
import { nextMessage, startChild } from '../process/child.ts';
import { freePort, waitUntilReady } from '../process/ports.ts';
import { prepareSluice, sluice } from '../subjects/sluice.ts';
import { startProxy } from '../subjects/start.ts';
import type { Running, Setting, Subject } from '../subjects/subject.ts';
import { serviceNumber } from './service-definitions.ts';

const PROGRAM = join(CHECKOUT, 'bin/sluice');
const SWITCH = 'SLUICE_BENCH_WITHOUT_INDEX=1';

/** Whose connections come and go, and whose are not meant. */
export const CHURN_SERVICE = 'churn';
const UNRELATED_SERVICE = 'unrelated';

export const REGISTRY_SIZES = [1000, 10_000, 100_000, 1_000_000] as const;

export function registryName(size: number): string {
  return `registry-${size}`;
}

/** The same build, whose connections stand in no list: nothing could be evicted. */
function withoutIndex(name: string): Subject {
  return {
    ...sluice,
    name,
    async start(setting) {
      const { port, file, isReady } = await prepareSluice(setting);
      return startProxy(setting, port, ['/usr/bin/env', SWITCH, PROGRAM, 'run', '-c', file], isReady);
    },
  };
}

/** A daemon with two inbounds, an API, and further services in its file. */
function governed(name: string, services: (setting: Setting) => number): Subject {
  return { ...sluice, name, start: (setting) => startGoverned(setting, services(setting)) };
}

async function startGoverned(setting: Setting, services: number): Promise<Running> {
  const port = await freePort();
  const churnPort = await freePort();
  const adminPort = await freePort();
  const usersPort = await freePort();
  const socketPath = join(setting.directory, 'sluice.sock');
  const file = join(setting.directory, 'sluice.json');
  const target = `127.0.0.1:${setting.target}`;
  const inbound = (tag: string, at: number, service: string) => {
    return { tag, type: 'forward', listen: `127.0.0.1:${at}`, service, target };
  };
  const configuration = {
    workers: 1,
    admin: {
      listen: `127.0.0.1:${adminPort}`,
      token_file: join(setting.directory, 'admin.token'),
      socket: socketPath,
    },
    store: join(setting.directory, 'sluice.db'),
    timeouts: { idle: '1h' },
    inbounds: [
      inbound('bench', port, UNRELATED_SERVICE),
      inbound('churn', churnPort, CHURN_SERVICE),
      // Where the users of many services would come: without it the daemon warns of them.
      { tag: 'users', type: 'socks5', listen: `127.0.0.1:${usersPort}`, ask_users: true },
    ],
    outbounds: [{ tag: 'direct', type: 'direct', allow_destinations: ['127.0.0.0/8'] }],
    services: [
      { name: UNRELATED_SERVICE },
      { name: CHURN_SERVICE },
      ...Array.from({ length: services }, (_, number) => serviceNumber(number)),
    ],
  };
  writeFileSync(file, JSON.stringify(configuration));
  const beganMs = performance.now();
  const running = await startProxy(setting, port, [PROGRAM, 'run', '-c', file], (child) =>
    waitUntilReady(`http://127.0.0.1:${adminPort}/readyz`, child),
  );
  return { ...running, governed: { socketPath, churnPort, startMs: performance.now() - beganMs } };
}

/** A process that waits for the order to build a registry. */
function registry(size: number): Subject {
  const program = compiled('./governance/registry/registry-process.js');
  return {
    name: registryName(size),
    missing: () => (existsSync(program) ? undefined : `${program} is not built (npm run build)`),
    version: sluice.version,
    async start(setting) {
      const child = startChild(setting.core, [process.execPath, program], {
        channel: true,
        directory: setting.directory,
      });
      return {
        port: 0,
        pids: [child.pid],
        output: child.output,
        stop: child.stop,
        async ask(order, timeoutMs) {
          child.process.send(order);
          const reply = await nextMessage<{ answer: unknown } | { error: string }>(child, timeoutMs);
          if ('error' in reply) throw new Error(`the registry failed: ${reply.error}`);
          return reply.answer;
        },
      };
    },
  };
}

const none = () => 0;

export const GOVERNANCE_SUBJECTS: readonly Subject[] = [
  withoutIndex('without-index'),
  withoutIndex('without-index-again'),
  ...REGISTRY_SIZES.map(registry),
  governed('evictions', none),
  governed('resets', none),
  governed('resets-again', none),
  governed('resets-and-requests', none),
  governed('services', none),
  governed('services-1', () => 1),
  governed('services-many', (setting) => setting.services),
];
