import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EvictionRow, KeeperMessage, KeeperReport } from '../layout/keeper-messages.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import { createKeeper } from './keeper-link.ts';
import type { KeeperThread } from './keeper-link.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A keeper's thread that only holds its end of the channel. */
async function setUp() {
  const limits = {
    workers: 1,
    slotsPerWorker: 4,
    pipesPerWorker: 1,
    services: 4,
    credentials: 4,
    serverNames: 4,
    targets: 4,
    sources: 1024,
    networkWords: 64,
    ruleWords: 65_536,
    receipts: 64,
    isIndexed: true,
  };
  let port: MessagePort | undefined;
  let exit: (code: number) => void = () => {};
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const link = createKeeper({
    tables: attachTables(createTables(limits, new Int32Array(4))),
    storePath: '/tmp/never-opened.db',
    accessLog: null,
    log,
    spawn(start) {
      port = start.port;
      const thread: KeeperThread = {
        on(event: string, listener: (argument: never) => void) {
          if (event === 'exit') exit = listener as (code: number) => void;
        },
        terminate: async () => exit(1),
      };
      return thread;
    },
  });
  const started = link.start();
  const loaded = {
    services: [],
    rules: { revision: 0, rules: '[]' },
    usage: [],
    evictions: [],
    revisionHighest: 0,
    lastEvictionId: 0,
  };
  (port as MessagePort | undefined)?.postMessage({ kind: 'loaded', loaded } satisfies KeeperReport);
  await started;
  const received = (): KeeperMessage[] => {
    const messages: KeeperMessage[] = [];
    const from = port as MessagePort;
    for (let one = receiveMessageOnPort(from); one !== undefined; one = receiveMessageOnPort(from)) {
      messages.push(one.message as KeeperMessage);
    }
    return messages;
  };
  return { link, received, exit: () => exit(0) };
}

function row(id: number): EvictionRow {
  return {
    id,
    atMs: 1,
    request: '{}',
    matched: 1,
    closed: 1,
    durationUs: 1,
    workerUs: 1,
    state: 'done',
    total: 1,
    note: null,
    lastGoneAtMs: null,
  };
}

const idsOf = (messages: readonly KeeperMessage[]) =>
  messages.map((message) => (message.kind === 'evictions' ? message.rows.map(({ id }) => id) : message.kind));

describe('evictions on their way to the keeper', () => {
  it('are sent together, fifty milliseconds after the first of them at the latest', async () => {
    const { link, received, exit } = await setUp();
    for (const id of [1, 2, 3]) link.eviction(row(id));
    vi.advanceTimersByTime(30);
    link.eviction(row(4));
    expect(received()).toEqual([]);
    vi.advanceTimersByTime(20);
    expect(idsOf(received())).toEqual([[1, 2, 3, 4]]);
    vi.advanceTimersByTime(1_000);
    expect(received()).toEqual([]);
    link.eviction(row(5));
    vi.advanceTimersByTime(50);
    expect(idsOf(received())).toEqual([[5]]);
    const closed = link.close();
    exit();
    await closed;
  });

  it('go ahead of a flush and of the end', async () => {
    const { link, received, exit } = await setUp();
    link.eviction(row(1));
    const flushed = link.flush();
    expect(idsOf(received())).toEqual([[1], 'flush']);
    link.eviction(row(2));
    const closed = link.close();
    expect(idsOf(received())).toEqual([[2], 'close']);
    exit();
    await closed;
    await expect(flushed).rejects.toMatchObject({ code: 'store_failed' });
  });
});
