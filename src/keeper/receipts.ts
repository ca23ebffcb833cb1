// Takes receipts out of the workers' rings and puts them into the access log. Nobody says that a receipt has come: that
// would cost workers a system call each time. So the rings are looked at, often while there is traffic and seldom while
// there is none; without an access log not at all. Keeper thread.

import type { AccessLog, KeeperReport } from '../layout/keeper-messages.ts';
import type { NameBook } from '../layout/name-book.ts';
import type { Tables } from '../layout/tables.ts';
import { createAccessLogWriter } from './access-log.ts';
import type { AccessLogWriter } from './access-log.ts';
import { createLineSink } from './line-sink.ts';
import type { LineSink } from './line-sink.ts';

const LOOK_AFTER_TRAFFIC_MS = 50;
/** A ring of 16,384 lasts for 80,000 connections a second and worker. */
const LOOK_MS = 200;
/** Of each ring: some 20 ms. Between two turns, the thread looks at everything else. */
const RECEIPTS_PER_TURN = 2_048;

export interface ReceiptsStatistics {
  readonly receiptsWritten: number;
  readonly receiptsFiltered: number;
  readonly accessLogErrors: number;
}

export interface Receipts {
  /** Opens the file anew, also where nothing changed. What lies in the rings goes to where it would have gone before. */
  configure(accessLog: AccessLog | null): void;
  statistics(): ReceiptsStatistics;
  /** Takes all that is there now. */
  close(): Promise<void>;
}

export interface ReceiptsInit {
  readonly tables: Tables;
  readonly names: NameBook;
  /** Takes in what the control thread has sent: names come before the receipts that need them. */
  readonly readMail: () => void;
  readonly report: (report: KeeperReport) => void;
}

export function createReceipts({ tables, names, readMail, report }: ReceiptsInit): Receipts {
  let sink: LineSink | undefined;
  let log: AccessLogWriter | undefined;
  let timer: NodeJS.Timeout | undefined;
  let monotonicToWallMs = 0;
  let receiptsWritten = 0;
  let receiptsFiltered = 0;
  /** Of sinks that were closed. */
  let lostBefore = 0;

  const countAll = (): number[] => tables.receiptRings.map((ring) => ring.count);

  /** @param counts of each ring; @returns how many were taken, at most `max` of each ring */
  function drain(counts: readonly number[], max: number): number {
    monotonicToWallMs = Date.now() - Number(process.hrtime.bigint() / 1_000n) / 1_000;
    let taken = 0;
    for (const [worker, ring] of tables.receiptRings.entries()) {
      const receipts = tables.receipts[worker];
      for (let left = Math.min(max, counts[worker] ?? 0); left > 0 && receipts !== undefined; left--) {
        try {
          if (log?.write(receipts, worker, ring.first()) === true) receiptsWritten++;
          else receiptsFiltered++;
        } finally {
          // Whatever ends this thread, its successor does not meet the same receipt.
          ring.release();
        }
        taken++;
      }
    }
    sink?.endTurn();
    return taken;
  }

  function turn(): void {
    timer = undefined;
    // Before the mail: what is counted here ended before the mail was read, and its names were sent before it began.
    const counts = countAll();
    readMail();
    // The mail may have ended the access log.
    if (log === undefined || timer !== undefined) return;
    const taken = drain(counts, RECEIPTS_PER_TURN);
    const isMore = tables.receiptRings.some((ring) => ring.count > 0);
    timer = setTimeout(turn, isMore ? 0 : taken > 0 ? LOOK_AFTER_TRAFFIC_MS : LOOK_MS);
  }

  async function closeSink(): Promise<void> {
    const closing = sink;
    sink = undefined;
    await closing?.close();
    lostBefore += closing?.lost ?? 0;
  }

  return {
    configure(accessLog) {
      if (log !== undefined) drain(countAll(), Infinity);
      clearTimeout(timer);
      timer = undefined;
      void closeSink();
      log = undefined;
      if (accessLog === null) return;
      sink = createLineSink({
        path: accessLog.path,
        onFailure: (message) => report({ kind: 'access_log_failed', message }),
        onRecovery: () => report({ kind: 'access_log_recovered' }),
      });
      log = createAccessLogWriter(accessLog, names, sink, () => monotonicToWallMs);
      timer = setTimeout(turn, LOOK_AFTER_TRAFFIC_MS);
    },
    statistics: () => ({
      receiptsWritten,
      receiptsFiltered,
      accessLogErrors: lostBefore + (sink?.lost ?? 0),
    }),
    async close() {
      clearTimeout(timer);
      if (log !== undefined) drain(countAll(), Infinity);
      log = undefined;
      await closeSink();
    },
  };
}
