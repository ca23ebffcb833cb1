// The control thread's side of the compiler (compile/thread.ts): starts its thread when there is something to compile, and
// not before; sends it jobs, hears its answers. A thread that dies fails the jobs that it had; the next one starts another,
// which is told what of the arena is still read. Control thread only.

import type {
  BoundObject,
  Compiled,
  CompileJob,
  CompilerAnswer,
  CompilerRequest,
  CompilerStart,
  ExplainedConnection,
  Explanation,
  RuleComplaint,
  RuleSetSource,
} from '../layout/compiler-messages.ts';
import { pathText } from '../config/mistakes.ts';
import type { RequestMistake } from '../config/mistakes.ts';
import { SluiceError } from './errors.ts';
import type { Log } from './log.ts';

const CLOSE_TIMEOUT_MS = 3_000;

/** What the link needs of a `Worker`. */
export interface CompilerThread {
  on(event: 'message', listener: (answer: CompilerAnswer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
  postMessage(request: CompilerRequest, transfer?: readonly ArrayBuffer[]): void;
  terminate(): Promise<unknown>;
}

/** A job, as whoever wants a snapshot knows it. */
export interface CompileOrder {
  readonly snapshotId: number;
  readonly apiRules: readonly unknown[];
  readonly fileRules: readonly unknown[];
  /** Without their bytes. */
  readonly ruleSets: readonly { readonly tag: string; readonly version: string }[];
  readonly geo: readonly { readonly tag: string; readonly version: string }[];
  readonly outbounds: readonly BoundObject[];
  readonly inbounds: readonly string[];
  readonly freedRules: readonly string[];
  /** Whose rules are being changed: mistakes in the other's say whose they are. */
  readonly changing: 'file' | 'api';
  /** Reads those that the compiler has not compiled. @throws SluiceError rule_set_unavailable */
  readonly load: (versions: ReadonlySet<string>) => Promise<readonly RuleSetSource[]>;
  readonly progress: (compiling: { what: string; done: number; all: number }) => void;
}

export interface CompilerLink {
  /** @throws SluiceError rules_invalid, rule_set_unavailable, compiler_failed */
  compile(order: CompileOrder): Promise<Compiled>;
  /** @throws SluiceError request_invalid, compiler_failed */
  explain(snapshotId: number, connection: ExplainedConnection): Promise<Explanation>;
  /** Nobody reads it any more. */
  release(snapshotId: number): void;
  readonly deaths: number;
  /** Of the arena. */
  readonly wordsUsed: number;
  /** Never rejects; safe to call twice. */
  close(): Promise<void>;
}

export interface CompilerLinkInit {
  /** Starts a thread. `kept` and `keys` as they are now. */
  readonly spawn: (known: Pick<CompilerStart, 'kept' | 'keys'>) => CompilerThread;
  readonly known: () => Pick<CompilerStart, 'kept' | 'keys'>;
  readonly released: (snapshotId: number) => void;
  readonly log: Log;
}

interface Waiting {
  readonly answer: (answer: CompilerAnswer) => void;
  readonly fail: (error: SluiceError) => void;
}

export function createCompilerLink(init: CompilerLinkInit): CompilerLink {
  const waiting = new Map<number, Waiting>();
  const progress = new Map<number, CompileOrder['progress']>();
  /** Told to the thread, and not answered yet. */
  const releasing = new Set<number>();
  let thread: CompilerThread | undefined;
  let lastJob = 0;
  let deaths = 0;
  let wordsUsed = 0;
  let closing: Promise<void> | undefined;
  let ended: () => void = () => {};

  function running(): CompilerThread {
    if (thread !== undefined) return thread;
    const started = init.spawn(init.known());
    let cause: Error | undefined;
    started.on('message', receive);
    started.on('error', (error) => {
      cause = error;
    });
    started.on('exit', (code) => bury(code, cause));
    thread = started;
    return started;
  }

  function receive(answer: CompilerAnswer): void {
    if (answer.kind === 'released') {
      ({ wordsUsed } = answer);
      releasing.delete(answer.snapshotId);
      init.released(answer.snapshotId);
    } else if (answer.kind === 'compiling') {
      progress.get(answer.job)?.(answer);
    } else {
      if (answer.kind === 'compiled') ({ wordsUsed } = answer);
      const one = waiting.get(answer.job);
      waiting.delete(answer.job);
      one?.answer(answer);
    }
  }

  function bury(code: number, cause: Error | undefined): void {
    thread = undefined;
    ended();
    if (closing === undefined) {
      deaths++;
      const facts = { event: 'compiler_died', exit_code: code, err: cause, jobs: waiting.size };
      init.log.error(facts, 'the compiler of rules died; the rules in force stay');
    }
    for (const { fail } of waiting.values()) fail(compilerFailed(cause));
    waiting.clear();
    // Its successor is not told of them, and has their words free.
    for (const snapshotId of releasing) init.released(snapshotId);
    releasing.clear();
  }

  function ask(
    request: (job: number) => CompilerRequest,
    transfer: readonly ArrayBuffer[] = [],
    hear?: CompileOrder['progress'],
  ): Promise<CompilerAnswer> {
    if (closing !== undefined) return Promise.reject(compilerFailed(undefined));
    const job = ++lastJob;
    const to = running();
    return new Promise<CompilerAnswer>((answer, fail) => {
      // Throws where it can't be copied: then nobody waits for an answer.
      to.postMessage(request(job), transfer);
      waiting.set(job, { answer, fail });
      if (hear !== undefined) progress.set(job, hear);
    }).finally(() => progress.delete(job));
  }

  function send(order: CompileOrder, sources: readonly RuleSetSource[]): Promise<CompilerAnswer> {
    const { load: _load, progress: hear, changing: _changing, ...rest } = order;
    const byVersion = new Map(sources.map((source) => [source.version, source]));
    const withSource = (one: { readonly tag: string; readonly version: string }): RuleSetSource => {
      const source = byVersion.get(one.version)?.source;
      return source === undefined ? one : { ...one, source };
    };
    const message = (job: number): CompileJob => ({
      kind: 'compile',
      job,
      ...rest,
      ruleSets: rest.ruleSets.map(withSource),
      geo: rest.geo.map(withSource),
    });
    return ask(message, transferable(sources), hear);
  }

  async function closeNow(): Promise<void> {
    if (thread === undefined) return;
    const gone = new Promise<void>((resolve) => {
      ended = resolve;
    });
    thread.postMessage({ kind: 'stop' });
    // It may be in the middle of a large set.
    const late = setTimeout(() => void thread?.terminate(), CLOSE_TIMEOUT_MS);
    await gone;
    clearTimeout(late);
  }

  return {
    async compile(order) {
      let answer = await send(order, []);
      if (answer.kind === 'sources_missing') {
        answer = await send(order, await order.load(new Set(answer.versions)));
      }
      if (answer.kind === 'compiled') return answer;
      if (answer.kind === 'compile_failed') throw rulesInvalid(answer.mistakes, order.changing);
      throw compilerFailed(undefined);
    },
    async explain(snapshotId, connection) {
      const answer = await ask((job) => ({ kind: 'explain', job, snapshotId, connection }));
      if (answer.kind === 'explained') return answer.explanation;
      if (answer.kind !== 'explain_failed') throw compilerFailed(undefined);
      const mistakes = answer.mistakes.map(requestMistakeOf);
      throw new SluiceError('request_invalid', mistakes[0]?.message ?? 'it cannot be explained', {
        mistakes,
      });
    },
    release(snapshotId) {
      if (thread === undefined) {
        init.released(snapshotId);
        return;
      }
      releasing.add(snapshotId);
      thread.postMessage({ kind: 'release', snapshotId });
    },
    get deaths() {
      return deaths;
    },
    get wordsUsed() {
      return wordsUsed;
    },
    close() {
      closing ??= closeNow();
      return closing;
    },
  };
}

/** Whole buffers cross without a copy. Two sets of one version share theirs. */
function transferable(sources: readonly RuleSetSource[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { source } of sources) {
    const bytes = source?.bytes;
    if (bytes === undefined || bytes.byteLength !== bytes.buffer.byteLength) continue;
    if (bytes.buffer instanceof ArrayBuffer) buffers.add(bytes.buffer);
  }
  return [...buffers];
}

function compilerFailed(cause: Error | undefined): SluiceError {
  const why = cause === undefined ? 'its thread ended' : cause.message;
  return new SluiceError('compiler_failed', `the compiler of rules failed: ${why}`, {}, cause);
}

function rulesInvalid(complaints: readonly RuleComplaint[], changing: 'file' | 'api'): SluiceError {
  const mistakes = complaints.map((complaint) => {
    const mistake = requestMistakeOf(complaint);
    const { owner } = complaint;
    if (owner === undefined || owner === changing) return mistake;
    const whose = owner === 'api' ? 'of the API' : 'of the configuration file';
    return { ...mistake, message: `${whose}: ${mistake.message}` };
  });
  const [first] = mistakes;
  const rest = mistakes.length === 1 ? '' : ` (and ${mistakes.length - 1} more)`;
  const message = `the rules have mistakes: ${first?.path}: ${first?.message}${rest}`;
  return new SluiceError('rules_invalid', message, { mistakes });
}

/** As the API tells it; of a rule-set file the place in it goes before the words. */
export function requestMistakeOf(complaint: RuleComplaint): RequestMistake {
  const { path, found, expected, nearest, fileName, line, column } = complaint;
  const said = complaint.message ?? `found ${found}, expected ${expected}`;
  const place = [fileName, line, column].filter((one) => one !== undefined).join(':');
  const guess = nearest === undefined ? '' : `; did you mean "${nearest}"?`;
  return {
    path: pathText(path),
    found,
    expected,
    ...(nearest === undefined ? {} : { nearest }),
    message: `${place === '' ? '' : `${place}: `}${said}${guess}`,
  };
}
