// Sluice itself, as built in this checkout: one worker, a forward inbound.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from '../checkout.ts';
import type { Child } from '../process/child.ts';
import { freePort, waitUntilReady } from '../process/ports.ts';
import { startProxy } from './start.ts';
import type { Setting, Subject } from './subject.ts';

const MAIN = join(CHECKOUT, 'dist/src/main.js');

interface Prepared {
  readonly port: number;
  readonly file: string;
  readonly isReady: (child: Child) => Promise<void>;
}

/** Writes a configuration that forwards a free port to the setting's target. */
export async function prepareSluice(setting: Setting): Promise<Prepared> {
  const port = await freePort();
  const adminPort = await freePort();
  const file = join(setting.directory, 'sluice.json');
  const configuration = {
    workers: 1,
    admin: { listen: `127.0.0.1:${adminPort}`, token_file: join(setting.directory, 'admin.token') },
    store: join(setting.directory, 'sluice.db'),
    timeouts: { idle: '1h' },
    inbounds: [
      { tag: 'bench', type: 'forward', listen: `127.0.0.1:${port}`, target: `127.0.0.1:${setting.target}` },
    ],
    outbounds: [{ tag: 'direct', type: 'direct', allow_destinations: ['127.0.0.0/8'] }],
  };
  writeFileSync(file, JSON.stringify(configuration, null, 2));
  return { port, file, isReady: (child) => waitUntilReady(`http://127.0.0.1:${adminPort}/readyz`, child) };
}

/** The command that runs it from `file`, with options for Node before it. */
export function sluiceCommand(nodeOptions: readonly string[], file: string): string[] {
  return [process.execPath, ...nodeOptions, MAIN, 'run', '-c', file];
}

export const sluice: Subject = {
  name: 'sluice',
  missing: () => (existsSync(MAIN) ? undefined : 'dist/src/main.js is not built (npm run build)'),
  version() {
    const manifest = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8')) as { version: string };
    return `Sluice ${manifest.version}`;
  },
  async start(setting) {
    const { port, file, isReady } = await prepareSluice(setting);
    return startProxy(setting, port, [join(CHECKOUT, 'bin/sluice'), 'run', '-c', file], isReady);
  },
};
