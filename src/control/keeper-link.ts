// The control thread's side of the keeper (keeper/keeper.ts): starts its thread, sends it what is to be kept, replaces it
// when it dies. Control thread only.
//
//          start             'loaded'              close
//   absent ─────► starting ───────────► running ─────────► closing ──► gone
//      ▲              │ exit               │ exit               (3 s at most)
//      └── back-off ──┴────────────────────┘
//
// Invariants: requests are answered or fail, never forgotten; what is sent between two threads waits in the channel of
// the next one; a thread that keeps an access log knows every name.

import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import type {
  AccessLog,
  EvictionRow,
  KeeperMessage,
  KeeperReport,
  KeeperStart,
  KeeperStatistics,
  Loaded,
  StoredRuleList,
  StoredService,
  UsageDelta,
} from '../layout/keeper-messages.ts';
import { NameBook } from '../layout/name-book.ts';
import type { ObjectName } from '../layout/name-book.ts';
import type { Tables } from '../layout/tables.ts';
import { RECEIPTS_WHOLE } from '../layout/worker.ts';
import { SluiceError } from './errors.ts';
import { addedStatistics, logKeeperReport, NO_STATISTICS } from './keeper-reports.ts';
import type { Log } from './log.ts';

/** A message costs as much as many rows do. What came within this time, a crash loses. */
const GATHER_EVICTIONS_MS = 50;
const CLOSE_TIMEOUT_MS = 3_000;
const RESTART_DELAY_FIRST_MS = 100;
const RESTART_DELAY_MAX_MS = 5_000;
/** A keeper that lived this long has recovered: its next death is a first one again. */
const HEALTHY_AFTER_MS = 60_000;

/** What the link needs of a `Worker`. */
export interface KeeperThread {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
  terminate(): Promise<unknown>;
}

export interface KeeperInit {
  readonly tables: Tables;
  /** Absolute. */
  readonly storePath: string;
  readonly accessLog: AccessLog | null;
  readonly log: Log;
  /** Starts a thread; `start.port` is to be transferred. */
  readonly spawn: (start: KeeperStart) => KeeperThread;
}

export interface KeeperLink {
  /** Once. @throws SluiceError store_unusable, keeper_failed: no thread is left then */
  start(): Promise<Loaded>;
  /** Objects that were given an index; before connections can have it. */
  names(names: readonly ObjectName[]): void;
  usage(deltas: readonly UsageDelta[]): void;
  /** Sent with others, a little later, or ahead of the next `flush` or `close`. */
  eviction(row: EvictionRow): void;
  /** As one change, in the store when it resolves; `remove` first. @throws SluiceError store_failed: nothing changed */
  changeServices(put: readonly StoredService[], remove: readonly string[]): Promise<void>;
  /** In the store when it resolves. @throws SluiceError store_failed: nothing changed */
  changeRules(rules: StoredRuleList): Promise<void>;
  /** Highest revision that a service was given. */
  revision(highest: number): void;
  /** What these services have used; they are gone. */
  forgetUsage(services: readonly string[]): void;
  putServices(services: readonly StoredService[]): Promise<void>;
  deleteServices(names: readonly string[]): Promise<void>;
  /** Also opens the log's file anew. Workers write receipts from now on, or no more. */
  configure(accessLog: AccessLog | null): void;
  statistics(): KeeperStatistics;
  /** All that was sent before is in the store when it resolves. @throws SluiceError store_failed */
  flush(): Promise<void>;
  /** Keeps what has been sent, then ends the thread. Never rejects; safe to call twice. */
  close(): Promise<void>;
}

type Phase = 'absent' | 'starting' | 'running' | 'closing' | 'gone';

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: SluiceError) => void;
}

export function createKeeper(init: KeeperInit): KeeperLink {
  const { tables, storePath, log } = init;
  const book = new NameBook();
  const waiting = new Map<number, Waiting>();
  let { accessLog } = init;
  let phase: Phase = 'absent';
  /** A keeper that cannot even start is a reason not to run, not one to try again. */
  let hasStarted = false;
  let thread: KeeperThread | undefined;
  let channel = new MessageChannel();
  let spawnedMs = 0;
  let deathsInRow = 0;
  let cause: Error | undefined;
  let restart: NodeJS.Timeout | undefined;
  let lastRequest = 0;
  let evictions: EvictionRow[] = [];
  let gathering: NodeJS.Timeout | undefined;
  let statistics = NO_STATISTICS;
  /** What the threads before have counted. */
  let before = NO_STATISTICS;
  let closing: Promise<void> | undefined;
  let onLoaded: (loaded: Loaded) => void = () => {};
  let onNotStarted: (error: SluiceError) => void = () => {};
  let onGone: () => void = () => {};

  function spawn(): void {
    phase = 'starting';
    spawnedMs = performance.now();
    cause = undefined;
    const { port1, port2 } = channel;
    port1.on('message', (message: KeeperReport) => {
      // What a dead thread had still in its channel is about a store that nobody has open.
      if (port1 === channel.port1) receive(message);
    });
    thread = init.spawn({ tables: tables.shared, storePath, accessLog, port: port2 });
    thread.on('error', (error) => {
      cause = error;
    });
    thread.on('exit', bury);
  }

  function receive(message: KeeperReport): void {
    switch (message.kind) {
      case 'loaded':
        hasStarted = true;
        if (phase === 'starting') phase = 'running';
        onLoaded(message.loaded);
        break;
      case 'unusable':
        cause = new SluiceError('store_unusable', message.message, { fileName: storePath });
        break;
      case 'committed':
        waiting.get(message.request)?.resolve();
        waiting.delete(message.request);
        break;
      case 'not_committed':
        waiting.get(message.request)?.reject(storeFailed(message.message));
        waiting.delete(message.request);
        break;
      case 'statistics':
        statistics = message.statistics;
        break;
      default:
        logKeeperReport(log, message, storePath, accessLog);
    }
  }

  function storeFailed(why: string): SluiceError {
    return new SluiceError('store_failed', `the store did not take it: ${why}`, { fileName: storePath });
  }

  /** The thread has ended, wanted or not. */
  function bury(code: number): void {
    thread = undefined;
    readRest();
    channel.port1.close();
    before = addedStatistics(before, statistics);
    statistics = NO_STATISTICS;
    for (const { reject } of waiting.values()) reject(storeFailed('its thread ended'));
    waiting.clear();
    if (phase === 'closing' || !hasStarted) {
      phase = 'gone';
      onGone();
      onNotStarted(startError(cause, code));
      return;
    }
    phase = 'absent';
    deathsInRow = performance.now() - spawnedMs > HEALTHY_AFTER_MS ? 1 : deathsInRow + 1;
    const delayMs = Math.min(RESTART_DELAY_MAX_MS, RESTART_DELAY_FIRST_MS * 2 ** (deathsInRow - 1));
    const facts = { event: 'keeper_died', exit_code: code, err: cause, restart_in_ms: delayMs };
    log.error(facts, 'the keeper died; it will be replaced');
    // Opened now: what is sent until there is a thread waits in it.
    channel = new MessageChannel();
    if (accessLog !== null) send({ kind: 'names', names: book.all() });
    restart = setTimeout(spawn, delayMs);
  }

  /** The end of a thread may be known before its last words have been delivered. */
  function readRest(): void {
    for (let mail = receiveMessageOnPort(channel.port1); mail; mail = receiveMessageOnPort(channel.port1)) {
      receive(mail.message as KeeperReport);
    }
  }

  function send(message: KeeperMessage): void {
    if (phase !== 'gone' && phase !== 'closing') channel.port1.postMessage(message);
  }

  function ask(message: (request: number) => KeeperMessage): Promise<void> {
    // While there is no thread, whoever waits for an answer is told so at once.
    if (phase !== 'running' && phase !== 'starting') return Promise.reject(storeFailed('its thread is gone'));
    const request = ++lastRequest;
    return new Promise((resolve, reject) => {
      waiting.set(request, { resolve, reject });
      send(message(request));
    });
  }

  function sendEvictions(): void {
    clearTimeout(gathering);
    gathering = undefined;
    if (evictions.length > 0) send({ kind: 'evictions', rows: evictions });
    evictions = [];
  }

  async function closeNow(): Promise<void> {
    clearTimeout(restart);
    sendEvictions();
    if (thread === undefined) {
      phase = 'gone';
      channel.port1.close();
      return;
    }
    const gone = new Promise<void>((resolve) => {
      onGone = resolve;
    });
    send({ kind: 'close' });
    phase = 'closing';
    const late = setTimeout(() => {
      log.warn({ event: 'keeper_terminated' }, 'the keeper did not end in time');
      void thread?.terminate();
    }, CLOSE_TIMEOUT_MS);
    await gone;
    clearTimeout(late);
  }

  function setReceipts(): void {
    const share = Math.round((accessLog?.sample ?? 1) * RECEIPTS_WHOLE);
    tables.machine.setReceiptsShare(0, Math.max(1, share));
    tables.machine.setReceipts(0, accessLog === null ? 0 : 1);
  }

  return {
    start() {
      setReceipts();
      return new Promise((resolve, reject) => {
        onLoaded = resolve;
        onNotStarted = reject;
        spawn();
      });
    },
    names(names) {
      book.add(names);
      if (accessLog !== null) send({ kind: 'names', names });
    },
    usage: (deltas) => send({ kind: 'usage', deltas }),
    eviction(row) {
      evictions.push(row);
      gathering ??= setTimeout(sendEvictions, GATHER_EVICTIONS_MS);
    },
    changeServices: (put, remove) => ask((request) => ({ kind: 'change_services', request, put, remove })),
    changeRules: (rules) => ask((request) => ({ kind: 'change_rules', request, rules })),
    revision: (highest) => send({ kind: 'revision', highest }),
    forgetUsage: (services) => send({ kind: 'forget_usage', services }),
    putServices(services) {
      return this.changeServices(services, []);
    },
    deleteServices(names) {
      return this.changeServices([], names);
    },
    configure(next) {
      if (accessLog === null && next !== null) send({ kind: 'names', names: book.all() });
      accessLog = next;
      setReceipts();
      send({ kind: 'configure', accessLog });
    },
    statistics: () => addedStatistics(before, statistics),
    flush() {
      sendEvictions();
      return ask((request) => ({ kind: 'flush', request }));
    },
    close() {
      closing ??= closeNow();
      return closing;
    },
  };
}

function startError(cause: Error | undefined, code: number): SluiceError {
  if (cause instanceof SluiceError) return cause;
  const why = cause?.message ?? `exit code ${code}`;
  return new SluiceError('keeper_failed', `the keeper died at start: ${why}`, {}, cause);
}
