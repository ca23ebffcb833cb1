// What the keeper's threads report, one after the other: lines of the log, and counts that go on. Control thread.

import type { AccessLog, KeeperReport, KeeperStatistics } from '../layout/keeper-messages.ts';
import type { Log } from './log.ts';

export const NO_STATISTICS: KeeperStatistics = {
  receiptsWritten: 0,
  receiptsFiltered: 0,
  accessLogErrors: 0,
  storeState: 'ok',
  storeError: null,
  lastCommitAtMs: 0,
  lastCommitMs: 0,
  commits: 0,
  evictionsDropped: 0,
};

/** Counts are summed, states are those of the thread that runs. */
export function addedStatistics(before: KeeperStatistics, now: KeeperStatistics): KeeperStatistics {
  return {
    receiptsWritten: before.receiptsWritten + now.receiptsWritten,
    receiptsFiltered: before.receiptsFiltered + now.receiptsFiltered,
    accessLogErrors: before.accessLogErrors + now.accessLogErrors,
    storeState: now.storeState,
    storeError: now.storeError,
    lastCommitAtMs: Math.max(before.lastCommitAtMs, now.lastCommitAtMs),
    lastCommitMs: now.commits > 0 ? now.lastCommitMs : before.lastCommitMs,
    commits: before.commits + now.commits,
    evictionsDropped: before.evictionsDropped + now.evictionsDropped,
  };
}

/** Others of its reports are no lines. */
export function logKeeperReport(
  log: Log,
  report: KeeperReport,
  storePath: string,
  accessLog: AccessLog | null,
): void {
  const path = accessLog?.path ?? 'standard error';
  if (report.kind === 'store_failed') {
    const facts = { event: 'store_failed', file: storePath, error: report.message };
    log.error(facts, 'the store cannot be written; usage is gathered in memory meanwhile');
  } else if (report.kind === 'store_recovered') {
    log.info({ event: 'store_recovered', file: storePath }, 'the store is written again');
  } else if (report.kind === 'access_log_failed') {
    const facts = { event: 'access_log_failed', file: path, error: report.message };
    log.error(facts, 'lines of the access log are lost');
  } else if (report.kind === 'access_log_recovered') {
    log.info({ event: 'access_log_recovered', file: path }, 'the access log is written again');
  }
}
