import { expect, it } from 'vitest';
import type { ControlMessage, WorkerMessage } from './layout/messages.ts';
import { STOPPED } from './layout/reasons.ts';
import { attachTables, createTables } from './layout/tables.ts';
import { WORKER_DRAINING, WORKER_READY, WORKER_STOPPED } from './layout/worker.ts';
import { DEFAULT_BOUNDS, startDataWorker } from './path/start.ts';
import { createLibc } from './sys/libc/libc.ts';
import { runDataWorker } from './worker-life.ts';

/** @returns the worker's life when it said that it is ready, and at the end */
function livesOf(...mail: ControlMessage[]): number[] {
  const sys = createLibc();
  const limits = { workers: 1, slotsPerWorker: 64, pipesPerWorker: 8 };
  const rows = {
    services: 4,
    credentials: 4,
    serverNames: 4,
    targets: 4,
    sources: 64,
    networkWords: 64,
    ruleWords: 65_536,
    receipts: 16,
    isIndexed: true,
  };
  const tables = attachTables(createTables({ ...limits, ...rows }, new Int32Array(4)));
  tables.machine.setDescriptorsMax(0, 1_000);
  const lives: number[] = [];
  const wakeFd = sys.eventfd();
  const mailbox = {
    receive: () => mail.shift(),
    post: (message: WorkerMessage) => {
      if (message.kind === 'ready') lives.push(tables.workers.life(0));
    },
  };
  runDataWorker(startDataWorker(sys, tables, 0, mailbox, wakeFd, DEFAULT_BOUNDS));
  sys.close(wakeFd);
  return [...lives, tables.workers.life(0)];
}

const stop: ControlMessage = { kind: 'stop', reason: STOPPED };

it('is ready when it is warm, and stopped when it was told to', () => {
  expect(livesOf(stop)).toEqual([WORKER_READY, WORKER_STOPPED]);
});

it('still drains when it is warm, where it was told to before', () => {
  expect(livesOf({ kind: 'drain' }, stop)).toEqual([WORKER_DRAINING, WORKER_STOPPED]);
});
