// The keeper's thread: what is synchronous or bulky (SQLite, receipts, the access log) and must never delay the control
// thread. It takes messages in their order, and ends when it is told to.
//
//   opening ──► loaded ──► mail, commits, receipts ──close──► rings drained, all committed ──► closed
//      └── the file cannot be used: said, ended
//
// Keeper thread.

import { isDeepStrictEqual } from 'node:util';
import { receiveMessageOnPort } from 'node:worker_threads';
import type {
  KeeperMessage,
  KeeperReport,
  KeeperStart,
  KeeperStatistics,
} from '../layout/keeper-messages.ts';
import { NameBook } from '../layout/name-book.ts';
import { attachTables } from '../layout/tables.ts';
import { createReceipts } from './receipts.ts';
import type { Receipts } from './receipts.ts';
import { openStore, StoreUnusable } from './store.ts';
import type { Store } from './store.ts';
import { createWriter } from './writer.ts';
import type { Writer } from './writer.ts';

const STATISTICS_EVERY_MS = 1_000;

/** Runs until it is told to close; the thread ends by itself then. */
export function runKeeper({ tables, storePath, accessLog, port }: KeeperStart): void {
  const report = (message: KeeperReport) => port.postMessage(message);
  let store: Store;
  try {
    store = openStore(storePath);
    report({ kind: 'loaded', loaded: store.load() });
  } catch (error) {
    if (!(error instanceof StoreUnusable)) throw error;
    report({ kind: 'unusable', message: error.message });
    port.close();
    return;
  }
  // A thread that dies gives the file back: its successor, in this process, wants to have it alone.
  process.on('uncaughtExceptionMonitor', () => store.close());

  const names = new NameBook();
  const writer = createWriter(store, report);
  const receipts = createReceipts({ tables: attachTables(tables), names, readMail, report });
  const reporting = reportStatistics(writer, receipts, report);

  function take(message: KeeperMessage): void {
    switch (message.kind) {
      case 'usage':
        writer.usage(message.deltas);
        break;
      case 'evictions':
        writer.evictions(message.rows);
        break;
      case 'change_services':
        writer.changeServices(message.request, message.put, message.remove);
        break;
      case 'change_rules':
        writer.changeRules(message.request, message.rules);
        break;
      case 'revision':
        writer.revision(message.highest);
        break;
      case 'forget_usage':
        writer.forgetUsage(message.services);
        break;
      case 'flush':
        writer.flush(message.request);
        break;
      case 'names':
        names.add(message.names);
        break;
      case 'configure':
        receipts.configure(message.accessLog);
        break;
      case 'close':
        void close();
        break;
    }
  }

  function readMail(): void {
    for (let mail = receiveMessageOnPort(port); mail !== undefined; mail = receiveMessageOnPort(port)) {
      take(mail.message as KeeperMessage);
    }
  }

  async function close(): Promise<void> {
    clearInterval(reporting.timer);
    await receipts.close();
    writer.close();
    reporting.post();
    report({ kind: 'closed' });
    port.close();
  }

  receipts.configure(accessLog);
  port.on('message', take);
}

function reportStatistics(writer: Writer, receipts: Receipts, report: (report: KeeperReport) => void) {
  let last: KeeperStatistics | undefined;
  const post = (): void => {
    const statistics = { ...receipts.statistics(), ...writer.statistics() };
    if (isDeepStrictEqual(statistics, last)) return;
    last = statistics;
    report({ kind: 'statistics', statistics });
  };
  return { post, timer: setInterval(post, STATISTICS_EVERY_MS) };
}
