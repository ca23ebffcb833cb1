// Starts the workers, hands them plans, replaces those that die, and ends them in an orderly way. Control thread only.
//
//            spawn            'ready'             drain / stop            exit
//   absent ────────► starting ───────► running ───────────────► ending ────────► gone
//      ▲                │ exit            │ exit
//      └── back-off ────┴─────────────────┘      (what it left is settled first: dead-worker.ts)
//
// Invariants: a worker's wake descriptor and mailbox flag outlive its thread; each thread has a MessageChannel of its
// own, so that an answer meant for a dead thread reaches nobody; every wait here has a deadline.

import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { ControlMessage, Plan, WorkerMessage, WorkerStart } from '../layout/messages.ts';
import { STOPPED } from '../layout/reasons.ts';
import type { Tables } from '../layout/tables.ts';
import { WORKER_DRAINING, WORKER_STARTING } from '../layout/worker.ts';
import type { Sys } from '../sys/sys.ts';
import { settleDeadWorker } from './dead-worker.ts';
import { errnoText, SluiceError } from './errors.ts';
import type { Log } from './log.ts';
import { pollUntil } from './poll-until.ts';

const READY_TIMEOUT_MS = 30_000;
const APPLY_TIMEOUT_MS = 10_000;
/** For closing its listeners: a worker looks into its mailbox once a second at the latest. */
const DRAIN_BEGIN_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 5_000;
const TERMINATE_TIMEOUT_MS = 5_000;
const RESTART_DELAY_FIRST_MS = 100;
const RESTART_DELAY_MAX_MS = 5_000;
/** A worker that lived this long has recovered: its next death is a first one again. */
const HEALTHY_AFTER_MS = 60_000;
/** Workers turn at least once a second. */
const STALLED_AFTER_MS = 10_000;

/** What the supervisor needs of a `Worker`. */
export interface WorkerThread {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
  terminate(): Promise<unknown>;
}

export interface SupervisorInit {
  readonly sys: Sys;
  readonly tables: Tables;
  readonly log: Log;
  /** Starts a thread; `start.port` is to be transferred. */
  readonly spawn: (start: WorkerStart) => WorkerThread;
  /** The plan in force. */
  readonly planFor: (worker: number) => Plan;
  /** What a worker asks; `reply` is safe to call when the worker has died meanwhile. */
  readonly serve: (message: WorkerMessage, reply: (answer: ControlMessage) => void, worker: number) => void;
  /** A worker's thread has ended, and what it left has been settled. `isStopped`: it was told to end. */
  readonly gone?: (worker: number, isStopped: boolean) => void;
  /** Puts back what connections of a dead worker held of the shared source entries. */
  readonly releaseSource?: (entry: number) => void;
  /** Niceness of data workers (priority.ts). */
  readonly nice?: number;
  readonly testFaults: boolean;
  /** Every wait for a worker, divided by this: for tests. */
  readonly hurry?: number;
}

type Phase = 'absent' | 'starting' | 'running' | 'ending' | 'gone';

export interface WorkerState {
  readonly phase: Phase;
  readonly deaths: number;
  /** No loop turn for ten seconds. */
  readonly stalled: boolean;
}

export interface Supervisor {
  /** Resolves when all workers are ready. @throws SluiceError worker_failed; all have been stopped then */
  start(): Promise<void>;
  /** Hands out the plans in force. @throws SluiceError plan_not_applied where a worker did not take it in time */
  distribute(version: number): Promise<void>;
  /** @returns whether the worker's thread lives and was told */
  tell(worker: number, message: ControlMessage): boolean;
  /** Resolves when no worker takes from its listening sockets any more: they may be closed. */
  beginDrain(): Promise<void>;
  /** Resolves when all connections have ended, or after `timeoutMs`. @returns whether they have */
  drained(timeoutMs: number): Promise<boolean>;
  /** Ends everything. Never rejects; safe to call twice. */
  stop(reason?: number): Promise<void>;
  states(): readonly WorkerState[];
  /** Makes a worker throw: only where `testFaults` is set. */
  fail(worker: number): boolean;
}

interface Member {
  readonly worker: number;
  readonly wakeFd: number;
  phase: Phase;
  thread: WorkerThread | undefined;
  port: MessagePort | undefined;
  spawnedMs: number;
  /** In a row, for the back-off; and in all. */
  deathsInRow: number;
  deaths: number;
  cause: Error | undefined;
  restart: NodeJS.Timeout | undefined;
  isDrained: boolean;
  turns: number;
  turnedMs: number;
}

export function createSupervisor(init: SupervisorInit): Supervisor {
  const { sys, tables, log } = init;
  const hurry = init.hurry ?? 1;
  const members = openMembers(sys, tables);
  /** A worker that cannot even start is a reason not to run, not one to try again. */
  let hasStarted = false;
  let ending = false;
  let stopping: Promise<void> | undefined;
  const heartbeat = setInterval(() => members.forEach(observe), 1_000);
  heartbeat.unref();

  function observe(member: Member): void {
    const turns = tables.workers.turns(member.worker);
    const now = performance.now();
    if (turns !== member.turns || member.phase !== 'running') {
      member.turns = turns;
      member.turnedMs = now;
    }
  }

  function send(member: Member, message: ControlMessage): void {
    if (member.port === undefined) return;
    member.port.postMessage(message);
    wake(member);
  }

  function wake(member: Member): void {
    tables.workers.setMail(member.worker, 1);
    sys.eventfdSignal(member.wakeFd);
  }

  function spawn(member: Member): void {
    const { worker, wakeFd } = member;
    const { port1, port2 } = new MessageChannel();
    member.phase = 'starting';
    member.port = port1;
    member.spawnedMs = performance.now();
    member.cause = undefined;
    tables.workers.setLife(worker, WORKER_STARTING);
    tables.workers.setPlan(worker, 0);
    port1.on('message', (message: WorkerMessage) => receive(member, port1, message));
    const start = { tables: tables.shared, worker, port: port2, wakeFd, nice: init.nice ?? 0 };
    const thread = init.spawn(start);
    member.thread = thread;
    thread.on('error', (error) => {
      member.cause = error;
    });
    thread.on('exit', (code) => bury(member, code));
    send(member, { kind: 'plan', plan: init.planFor(worker) });
  }

  function receive(member: Member, port: MessagePort, message: WorkerMessage): void {
    // What a dead thread had still in its channel is about connections that no longer exist.
    if (member.port !== port) return;
    if (message.kind === 'ready') {
      if (member.phase === 'starting') member.phase = 'running';
      member.turnedMs = performance.now();
      log.info({ event: 'worker_ready', worker: member.worker }, 'worker ready');
    } else if (message.kind === 'drained') {
      member.isDrained = true;
    } else {
      const reply = (answer: ControlMessage) => {
        if (member.port === port) send(member, answer);
      };
      contained(member.worker, `"${message.kind}"`, () => init.serve(message, reply, member.worker));
    }
  }

  /** A mistake in what a worker's news sets off costs its answer, not the connections of all workers. */
  function contained(worker: number, news: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      log.error({ event: 'worker_news_failed', worker, err: error }, `worker ${worker}: ${news} failed`);
    }
  }

  /** The thread has ended, wanted or not. */
  function bury(member: Member, code: number): void {
    const { worker, cause, port } = member;
    const lived = performance.now() - member.spawnedMs;
    member.thread = undefined;
    member.port = undefined;
    port?.close();
    const remains = settleDeadWorker(sys, tables, worker, init.releaseSource);
    contained(worker, 'its end', () => init.gone?.(worker, stopping !== undefined));
    if (stopping !== undefined) {
      member.phase = 'gone';
      return;
    }
    member.deaths++;
    member.deathsInRow = lived > HEALTHY_AFTER_MS ? 1 : member.deathsInRow + 1;
    const isReplaced = hasStarted && !ending;
    const delayMs = isReplaced ? restartDelayMs(member.deathsInRow) / hurry : undefined;
    log.error(
      { event: 'worker_died', worker, exit_code: code, err: cause, ...remains, restart_in_ms: delayMs },
      isReplaced ? 'worker died; it will be replaced' : 'worker died',
    );
    member.phase = ending ? 'gone' : 'absent';
    if (isReplaced) member.restart = setTimeout(() => spawn(member), delayMs);
  }

  async function stopMembers(reason: number): Promise<void> {
    clearInterval(heartbeat);
    for (const member of members) {
      clearTimeout(member.restart);
      if (member.thread === undefined) member.phase = 'gone';
      else send(member, { kind: 'stop', reason });
    }
    const isOver = () => members.every((member) => member.phase === 'gone');
    if (!(await pollUntil(isOver, STOP_TIMEOUT_MS / hurry))) {
      for (const member of members) {
        if (member.phase === 'gone') continue;
        log.warn({ event: 'worker_terminated', worker: member.worker }, 'worker did not stop in time');
        // Woken first: a thread that sleeps in the kernel does not notice that it was terminated.
        wake(member);
        void member.thread?.terminate();
      }
      await pollUntil(isOver, TERMINATE_TIMEOUT_MS / hurry);
    }
    for (const member of members) {
      member.port?.close();
      // The wake descriptor of a thread that still runs stays open: its number must not become another file.
      if (member.phase === 'gone') sys.close(member.wakeFd);
    }
  }

  return {
    async start() {
      for (const member of members) spawn(member);
      const isSettled = () =>
        members.every((member) => member.phase === 'running') || members.some((member) => member.deaths > 0);
      await pollUntil(isSettled, READY_TIMEOUT_MS / hurry);
      const dead = members.find((member) => member.deaths > 0);
      const late = dead ?? members.find((member) => member.phase !== 'running');
      if (late === undefined) {
        hasStarted = true;
        return;
      }
      const cause = late.cause;
      await this.stop();
      const why =
        late.deaths > 0 ? `died at start: ${cause?.message ?? 'no error'}` : 'was not ready in time';
      throw new SluiceError('worker_failed', `worker ${late.worker} ${why}`, { worker: late.worker }, cause);
    },

    async distribute(version) {
      for (const member of members) send(member, { kind: 'plan', plan: init.planFor(member.worker) });
      const isBehind = (member: Member) =>
        member.phase !== 'gone' && tables.workers.plan(member.worker) < version;
      const applied = await pollUntil(() => !members.some(isBehind), APPLY_TIMEOUT_MS / hurry);
      if (applied) return;
      const behind = members.filter(isBehind).map((member) => member.worker);
      throw new SluiceError(
        'plan_not_applied',
        `workers ${behind.join(', ')} did not apply plan ${version} in time`,
        { version, workers: behind },
      );
    },

    tell(worker, message) {
      const member = members[worker];
      if (member?.port === undefined) return false;
      send(member, message);
      return true;
    },

    async beginDrain() {
      ending = true;
      for (const member of members) {
        clearTimeout(member.restart);
        if (member.thread === undefined) member.phase = 'gone';
        else send(member, { kind: 'drain' });
      }
      const hasBegun = (member: Member) =>
        member.phase === 'gone' || tables.workers.life(member.worker) >= WORKER_DRAINING;
      await pollUntil(() => members.every(hasBegun), DRAIN_BEGIN_TIMEOUT_MS / hurry);
    },

    drained: (timeoutMs) =>
      pollUntil(
        () =>
          stopping !== undefined || members.every((member) => member.isDrained || member.phase === 'gone'),
        timeoutMs,
      ),

    stop(reason = STOPPED) {
      ending = true;
      stopping ??= stopMembers(reason);
      return stopping;
    },

    states: () =>
      members.map((member) => ({
        phase: member.phase,
        deaths: member.deaths,
        stalled: member.phase === 'running' && performance.now() - member.turnedMs > STALLED_AFTER_MS,
      })),

    fail(worker) {
      const member = members[worker];
      if (!init.testFaults || member?.thread === undefined) return false;
      send(member, { kind: 'fail' });
      return true;
    },
  };
}

/** @returns 0 for a first death, then doubling */
function restartDelayMs(deathsInRow: number): number {
  return deathsInRow <= 1
    ? 0
    : Math.min(RESTART_DELAY_MAX_MS, RESTART_DELAY_FIRST_MS * 2 ** (deathsInRow - 2));
}

function openMembers(sys: Sys, tables: Tables): Member[] {
  const members: Member[] = [];
  for (let worker = 0; worker < tables.shared.limits.workers; worker++) {
    const wakeFd = sys.eventfd();
    if (wakeFd < 0) {
      for (const member of members) sys.close(member.wakeFd);
      throw new SluiceError('descriptor_failed', `no eventfd for a worker: ${errnoText(wakeFd)}`, {
        what: 'eventfd',
        errno: wakeFd,
      });
    }
    // Until a thread comes there is nobody who could hold anything shared.
    tables.workers.setOffline(worker, 1);
    members.push({
      worker,
      wakeFd,
      phase: 'absent',
      thread: undefined,
      port: undefined,
      spawnedMs: 0,
      deathsInRow: 0,
      deaths: 0,
      cause: undefined,
      restart: undefined,
      isDrained: false,
      turns: 0,
      turnedMs: performance.now(),
    });
  }
  return members;
}
