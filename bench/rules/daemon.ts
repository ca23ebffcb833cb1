// A daemon with all that the rules of the reference set name, and an API: two forward inbounds, the two rule sets as files.
// `compiled` starts without rule sets and rules; the file that a reload is to find has them.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from '../checkout.ts';
import { freePort, waitUntilReady } from '../process/ports.ts';
import { sluice } from '../subjects/sluice.ts';
import { startProxy } from '../subjects/start.ts';
import type { Running, Setting, Subject } from '../subjects/subject.ts';
import {
  INBOUNDS,
  NAMES_SET,
  NETWORKS_SET,
  namesText,
  networksText,
  OUTBOUNDS,
  type ReferenceSet,
  referenceSet,
} from './reference-set.ts';

const SLUICE = join(CHECKOUT, 'bin/sluice');
const FILE = 'sluice.json';
const ROUND_TRIPS_SERVICE = 'round-trips';
const COMINGS_SERVICE = 'comings';
const SEED = 1;
/** Beside the configuration: what a reload is to find. */
export const LATER_FILE = 'later.json';

/** The rules of one generation. Nobody who comes from 127.0.0.0/8 to there is meant by any of them. */
export function rulesOf(setting: Pick<Setting, 'reference'>, generation: number): ReferenceSet['rules'] {
  return referenceSet({ ...setting.reference, names: 0, networks: 0 }, SEED, generation).rules;
}

/** @param hasRuleSets from the start */
export function rulesDaemon(name: string, hasRuleSets: boolean): Subject {
  return { ...sluice, name, start: (setting) => startRulesDaemon(setting, hasRuleSets) };
}

async function startRulesDaemon(setting: Setting, hasRuleSets: boolean): Promise<Running> {
  const [port, churnPort, adminPort, ...clientPorts] = await Promise.all(
    Array.from({ length: 3 + INBOUNDS.length }, freePort),
  );
  if (port === undefined || churnPort === undefined) throw new RangeError('ports were asked for');
  const socketPath = join(setting.directory, 'sluice.sock');
  const target = `127.0.0.1:${setting.target}`;
  const { names, networks } = referenceSet({ ...setting.reference, rules: 0 }, SEED);
  writeFileSync(join(setting.directory, 'names.txt'), namesText(names));
  writeFileSync(join(setting.directory, 'networks.txt'), networksText(networks));
  const forward = (tag: string, at: number, service: string) => {
    return { tag, type: 'forward', listen: `127.0.0.1:${at}`, service, target };
  };
  const without = {
    workers: 1,
    admin: {
      listen: `127.0.0.1:${adminPort}`,
      token_file: join(setting.directory, 'admin.token'),
      socket: socketPath,
    },
    store: join(setting.directory, 'sluice.db'),
    timeouts: { idle: '1h' },
    inbounds: [
      forward('bench', port, ROUND_TRIPS_SERVICE),
      forward('churn', churnPort, COMINGS_SERVICE),
      ...INBOUNDS.map((tag, index) => ({
        tag,
        type: 'socks5',
        listen: `127.0.0.1:${clientPorts[index]}`,
        ask_users: true,
      })),
    ],
    outbounds: OUTBOUNDS.map((tag) => ({ tag, type: 'direct', allow_destinations: ['127.0.0.0/8'] })),
    services: [{ name: ROUND_TRIPS_SERVICE }, { name: COMINGS_SERVICE }],
  };
  const ruleSets = [
    { tag: NAMES_SET, path: 'names.txt', format: 'domains' },
    { tag: NETWORKS_SET, path: 'networks.txt', format: 'networks' },
  ];
  const file = join(setting.directory, FILE);
  const withSets = { ...without, rule_sets: ruleSets };
  writeFileSync(file, JSON.stringify(hasRuleSets ? withSets : without));
  const rules = rulesOf(setting, 0);
  writeFileSync(join(setting.directory, LATER_FILE), JSON.stringify({ ...withSets, rules }));
  const beganMs = performance.now();
  const running = await startProxy(setting, port, [SLUICE, 'run', '-c', file], (child) =>
    waitUntilReady(`http://127.0.0.1:${adminPort}/readyz`, child),
  );
  return {
    ...running,
    governed: { socketPath, churnPort, startMs: performance.now() - beganMs },
    file,
  };
}
