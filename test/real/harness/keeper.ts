// The keeper's thread as the daemon starts it, without a daemon: over tables of its own, with the built program.

import { Worker } from 'node:worker_threads';
import { createKeeper } from '../../../src/control/keeper-link.ts';
import type { KeeperLink } from '../../../src/control/keeper-link.ts';
import type { AccessLog, KeeperStart } from '../../../src/layout/keeper-messages.ts';
import { attachTables, createTables } from '../../../src/layout/tables.ts';
import type { Tables } from '../../../src/layout/tables.ts';
import { atEnd } from './at-end.ts';

const ENTRY = new URL('../../../dist/src/keeper.js', import.meta.url);

export interface KeptTables {
  readonly link: KeeperLink;
  readonly tables: Tables;
  /** Facts of what was logged. */
  readonly logged: Readonly<Record<string, unknown>>[];
  /** Every thread that was started; the last one runs. */
  readonly threads: Worker[];
}

export function createKeptTables(
  storePath: string,
  accessLog: AccessLog | null = null,
  workers = 2,
): KeptTables {
  const limits = {
    workers,
    slotsPerWorker: 4,
    pipesPerWorker: 1,
    services: 4,
    credentials: 4,
    serverNames: 4,
    targets: 4,
    sources: 1024,
    networkWords: 1024,
    ruleWords: 65_536,
    receipts: 4096,
    isIndexed: true,
  };
  const tables = attachTables(createTables(limits, new Int32Array(4)));
  const logged: Record<string, unknown>[] = [];
  const threads: Worker[] = [];
  const note = (facts: object) => logged.push(facts as Record<string, unknown>);
  const spawn = (start: KeeperStart) => {
    const thread = new Worker(ENTRY, { workerData: start, transferList: [start.port] });
    threads.push(thread);
    return thread;
  };
  const log = { info: note, warn: note, error: note };
  const link = createKeeper({ tables, storePath, accessLog, log, spawn });
  atEnd(() => link.close());
  return { link, tables, logged, threads };
}
