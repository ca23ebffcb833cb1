// When what goes to the store is committed, and what happens while that fails. Keeper thread.
//
//   usage, evictions ──► backlog ──300 ms──► commit ──fails──► back into the backlog, again after a second
//   changes of services ──────────────────► commit at once, answered with how it went
//
// Invariant: usage is lost with the process only, and then at most what came within COMMIT_AFTER_MS.

import type {
  EvictionRow,
  KeeperReport,
  StoredRuleList,
  StoredService,
  UsageDelta,
} from '../layout/keeper-messages.ts';
import { Backlog } from './backlog.ts';
import type { Store } from './store.ts';

/** From the arrival of usage until it is committed. */
const COMMIT_AFTER_MS = 300;
const RETRY_AFTER_MS = 1_000;
/** Of one transaction: some 100 ms. Between two, the thread looks at everything else. */
const ROWS_PER_COMMIT = 20_000;

export interface WriterStatistics {
  readonly storeState: 'ok' | 'failed';
  readonly storeError: string | null;
  readonly lastCommitAtMs: number;
  readonly lastCommitMs: number;
  readonly commits: number;
  readonly evictionsDropped: number;
}

export interface Writer {
  usage(deltas: readonly UsageDelta[]): void;
  evictions(rows: readonly EvictionRow[]): void;
  changeServices(request: number, put: readonly StoredService[], remove: readonly string[]): void;
  changeRules(request: number, rules: StoredRuleList): void;
  revision(highest: number): void;
  forgetUsage(services: readonly string[]): void;
  flush(request: number): void;
  statistics(): WriterStatistics;
  /** Commits what it can, and closes the store. */
  close(): void;
}

export function createWriter(store: Store, report: (report: KeeperReport) => void): Writer {
  const backlog = new Backlog();
  let timer: NodeJS.Timeout | undefined;
  let storeError: string | null = null;
  let lastCommitAtMs = 0;
  let lastCommitMs = 0;
  let commits = 0;

  /** @returns whether it went well; what the store says is remembered, and reported where it is news */
  function attempt(work: () => void): boolean {
    const startedMs = performance.now();
    try {
      work();
    } catch (error) {
      const wasWell = storeError === null;
      storeError = (error as Error).message;
      if (wasWell) report({ kind: 'store_failed', message: storeError });
      return false;
    }
    commits++;
    lastCommitAtMs = Date.now();
    lastCommitMs = Math.round(performance.now() - startedMs);
    if (storeError !== null) report({ kind: 'store_recovered' });
    storeError = null;
    return true;
  }

  function commitSome(): boolean {
    const batch = backlog.take(ROWS_PER_COMMIT);
    if (attempt(() => store.commit(batch))) return true;
    backlog.putBack(batch);
    return false;
  }

  function onTimer(): void {
    timer = undefined;
    if (backlog.isEmpty) return;
    const isWell = commitSome();
    if (!backlog.isEmpty) schedule(isWell ? 0 : RETRY_AFTER_MS);
  }

  function schedule(delayMs: number): void {
    timer ??= setTimeout(onTimer, delayMs);
  }

  function commitAll(): boolean {
    while (!backlog.isEmpty) if (!commitSome()) return false;
    return true;
  }

  function answer(request: number, isCommitted: boolean): void {
    if (isCommitted) report({ kind: 'committed', request });
    else report({ kind: 'not_committed', request, message: storeError ?? 'unknown error' });
  }

  return {
    usage(deltas) {
      backlog.add(deltas);
      schedule(COMMIT_AFTER_MS);
    },
    evictions(rows) {
      for (const row of rows) backlog.addEviction(row);
      schedule(COMMIT_AFTER_MS);
    },
    changeServices(request, put, remove) {
      answer(
        request,
        attempt(() => store.changeServices(put, remove)),
      );
    },
    changeRules(request, rules) {
      answer(
        request,
        attempt(() => store.changeRules(rules)),
      );
    },
    // What fails here comes again: with the next change, after the next start.
    revision: (highest) => void attempt(() => store.keepRevision(highest)),
    forgetUsage(services) {
      // What still waits of theirs goes with it.
      commitAll();
      attempt(() => store.forgetUsage(services));
    },
    flush: (request) => answer(request, commitAll()),
    statistics: () => ({
      storeState: storeError === null ? 'ok' : 'failed',
      storeError,
      lastCommitAtMs,
      lastCommitMs,
      commits,
      evictionsDropped: backlog.evictionsDropped,
    }),
    close() {
      clearTimeout(timer);
      commitAll();
      store.close();
    },
  };
}
