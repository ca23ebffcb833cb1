// Rules over an edge without workers, with the real compiler on the test's own thread: what workers would read stands in the
// tables. Whoever tests plays the workers' part: they sleep unless it says otherwise, and hold pins.

import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { checkFileRules } from '../compile/check/check-rules.ts';
import { createCompiler } from '../compile/thread.ts';
import { checkConfiguration } from '../config/check.ts';
import type { Configuration } from '../config/configuration.ts';
import type { CompilerAnswer, CompilerRequest, CompilerStart } from '../layout/compiler-messages.ts';
import type { ControlMessage } from '../layout/messages.ts';
import type { ObjectName } from '../layout/name-book.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import { createLibc } from '../sys/libc/libc.ts';
import { SocketAddress } from '../sys/socket-address.ts';
import type { CompilerThread } from './compiler-link.ts';
import { createEdge } from './edge.ts';
import { SluiceError } from './errors.ts';
import type { RejudgeJob, RejudgementResult } from './evictions.ts';
import { createRules } from './rules.ts';
import type { StoredRules } from './rules.ts';

const sys = createLibc();
const KEY = Int32Array.of(1, 2, 3, 4);
const RULE_WORDS = 2 ** 20;

export const NOBODY: RejudgementResult = {
  matched: 0,
  ended: 0,
  undecided: 0,
  workerUs: 0,
  durationUs: 0,
  lastGoneUs: 0,
  byService: {},
  byInbound: {},
  sample: [],
  isCancelled: false,
};

export interface RulesSetUp {
  /** Where the configuration and the store would be. */
  readonly directory: string;
  readonly stored?: StoredRules;
  readonly ruleWords?: number;
  /** What a walk comes to; default: nobody is concerned. */
  readonly rejudge?: (job: RejudgeJob) => { over: Promise<RejudgementResult>; cancel: () => void };
}

export type PlayedRules = ReturnType<typeof setUpRules>;

export function setUpRules({ directory, stored, ruleWords = RULE_WORDS, rejudge }: RulesSetUp) {
  const limits = {
    workers: 2,
    slotsPerWorker: 8,
    pipesPerWorker: 1,
    services: 8,
    credentials: 8,
    serverNames: 8,
    targets: 8,
    sources: 1024,
    networkWords: 1024,
    ruleWords,
    receipts: 64,
    isIndexed: true,
  };
  const tables = attachTables(createTables(limits, KEY));
  for (let worker = 0; worker < limits.workers; worker++) tables.workers.setOffline(worker, 1);
  const kept: StoredRules[] = [];
  const named: ObjectName[] = [];
  const logged: Record<string, unknown>[] = [];
  const jobs: RejudgeJob[] = [];
  const asking: string[] = [];
  const compilers: PlayedCompiler[] = [];
  const told: { readonly worker: number; readonly message: ControlMessage }[] = [];
  const state = { isStoreFailing: false, isPlanLate: false };
  const record = (facts: object) => void logged.push(facts as Record<string, unknown>);
  const rules = createRules({
    tables,
    log: { info: record, warn: record, error: record },
    storePath: join(directory, 'sluice.db'),
    stored: stored ?? { revision: 0, rules: [] },
    spawn(known) {
      const compiler = playCompiler({ arena: tables.shared.rules, hashKey: KEY, nice: 0, ...known });
      compilers.push(compiler);
      return compiler.thread;
    },
    named: (names) => void named.push(...names),
    async keep(one) {
      if (state.isStoreFailing) throw new Error('the disk is full');
      kept.push(one);
    },
    edge: () => edge,
    evictions: () => ({
      rejudge(job) {
        jobs.push(job);
        return rejudge?.(job) ?? { over: Promise.resolve(NOBODY), cancel: () => {} };
      },
    }),
    tell: (worker, message) => void told.push({ worker, message }),
  });
  const edge = createEdge({
    sys,
    tables,
    address: new SocketAddress(sys),
    descriptorLimit: 10_000,
    async distribute(version) {
      if (!state.isPlanLate) return;
      throw new SluiceError('plan_not_applied', 'a worker is late', { version, workers: [1] });
    },
    asks: (tag) => void asking.push(tag),
    rules,
  });
  return {
    tables,
    rules,
    edge,
    kept,
    named,
    logged,
    jobs,
    /** Inbounds that began to. */
    asking,
    compilers,
    told,
    state,
    apply: (text: string) => edge.apply(configured(directory, text)),
    /** Begins of the snapshot in force; undefined: there is none. */
    inForce() {
      const row = tables.machine.snapshot(0) - 1;
      return row < 0 ? undefined : { row, id: tables.snapshots.id(row), at: tables.snapshots.at(row) };
    },
    async close() {
      edge.closeListeners();
      await rules.close();
    },
  };
}

/** @throws where it has mistakes */
function configured(directory: string, text: string): Configuration {
  const { configuration, mistakes } = checkConfiguration(text, join(directory, 'edge.yaml'), checkFileRules);
  if (configuration === undefined) throw new Error(JSON.stringify(mistakes));
  return configuration;
}

interface PlayedCompiler {
  readonly thread: CompilerThread;
  readonly start: CompilerStart;
  /** Requests as they came. */
  readonly requests: CompilerRequest[];
  /** It takes no more requests, until `go`. */
  hold(): void;
  go(): void;
  /** It ends without an answer. */
  die(): void;
}

/** A thread that is none: requests are taken in later turns, in their order, structured-cloned. */
function playCompiler(start: CompilerStart): PlayedCompiler {
  const requests: CompilerRequest[] = [];
  let hear: (answer: CompilerAnswer) => void = () => {};
  let end: (code: number) => void = () => {};
  let isOver = false;
  let isHeld = false;
  const held: CompilerRequest[] = [];
  const over = (code: number) => {
    if (isOver) return;
    isOver = true;
    end(code);
  };
  const answer = (one: CompilerAnswer) => {
    if (!isOver) hear(structuredClone(one));
  };
  const compiler = createCompiler(start, answer, () => over(0));
  const thread: CompilerThread = {
    on(event: string, listener: never) {
      if (event === 'message') hear = listener;
      if (event === 'exit') end = listener;
    },
    postMessage(request) {
      const taken = structuredClone(request);
      requests.push(taken);
      void turn().then(() => {
        if (isOver) return;
        if (isHeld) held.push(taken);
        else compiler.take(taken);
      });
    },
    async terminate() {
      over(1);
    },
  };
  return {
    thread,
    start,
    requests,
    hold() {
      isHeld = true;
    },
    go() {
      isHeld = false;
      for (const request of held.splice(0)) compiler.take(request);
    },
    die: () => over(1),
  };
}
