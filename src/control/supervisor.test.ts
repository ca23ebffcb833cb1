import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import type { ControlMessage, Plan, WorkerMessage } from '../layout/messages.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import { workerType } from '../layout/worker.ts';
import { createLibc } from '../sys/libc/libc.ts';
import { pollUntil } from './poll-until.ts';
import { createSupervisor } from './supervisor.ts';
import type { WorkerStart } from '../layout/messages.ts';
import type { Supervisor } from './supervisor.ts';

const sys = createLibc();
const WORD = workerType.recordBytes / 4;

/** A thread that obeys, without a reactor; `mode` is how it misbehaves. Words: life, mail, plan, turns. */
const STAND_IN = `
const { workerData, parentPort } = require('node:worker_threads');
const { tables, worker, port, mode } = workerData;
const row = new Int32Array(tables.workers, worker * ${WORD * 4}, 4);
const ask = (slot) => port.postMessage({ kind: 'resolve', slot, generation: 1, name: 'x', ipVersion: 0, source: '192.0.2.1' });
if (mode === 'broken') throw new Error('cannot start');
port.on('message', (message) => {
  Atomics.store(row, 1, 0);
  if (message.kind === 'plan' && mode !== 'lazy') Atomics.store(row, 2, message.plan.version);
  if (message.kind === 'fail') throw new Error('told to fail');
  if (message.kind === 'drain') { Atomics.store(row, 0, 2); port.postMessage({ kind: 'drained' }); }
  if (message.kind === 'resolved') ask(message.slot + 1);
  if (message.kind === 'stop' && mode !== 'deaf') { Atomics.store(row, 0, 3); port.close(); }
});
if (mode !== 'mute') { Atomics.store(row, 0, 1); port.postMessage({ kind: 'ready' }); }
if (mode === 'asking' || mode === 'harmful') ask(1);
`;

/** Here a wait has to run out. */
const MISBEHAVIOURS = new Set(['mute', 'lazy', 'deaf']);

let supervisor: Supervisor | undefined;
afterEach(() => supervisor?.stop());

function setUp(mode = '', workers = 2) {
  const limits = {
    workers,
    slotsPerWorker: 4,
    pipesPerWorker: 1,
    services: 1,
    credentials: 1,
    serverNames: 1,
    targets: 1,
    sources: 1024,
    networkWords: 1024,
    ruleWords: 65_536,
    receipts: 64,
    isIndexed: true,
  };
  const tables = attachTables(createTables(limits, new Int32Array(4)));
  const events: string[] = [];
  const served: WorkerMessage[] = [];
  const replies: ((answer: ControlMessage) => void)[] = [];
  const starts: WorkerStart[] = [];
  let version = 1;
  const note = (facts: object) => events.push((facts as { event: string }).event);
  supervisor = createSupervisor({
    sys,
    tables,
    log: { info: note, warn: note, error: note },
    spawn: (start) => {
      starts.push(start);
      const workerData = { ...start, mode };
      return new Worker(STAND_IN, { eval: true, workerData, transferList: [start.port] });
    },
    planFor: () => ({ version }) as Plan,
    serve: (message, reply) => {
      served.push(message);
      replies.push(reply);
      if (mode === 'harmful') throw new Error('a mistake of ours');
    },
    testFaults: true,
    hurry: MISBEHAVIOURS.has(mode) ? 10 : 1,
  });
  const raise = () => ++version;
  return { tables, events, served, replies, starts, raise, supervisor };
}

describe('supervisor', () => {
  it('starts all, hands out plans, and ends in order', async () => {
    const { tables, supervisor, raise } = setUp();
    await supervisor.start();
    expect(supervisor.states().map((state) => state.phase)).toEqual(['running', 'running']);
    await supervisor.distribute(raise());
    expect([tables.workers.plan(0), tables.workers.plan(1)]).toEqual([2, 2]);
    await supervisor.beginDrain();
    expect(await supervisor.drained(5_000)).toBe(true);
    await supervisor.stop();
    expect(supervisor.states().map((state) => state.phase)).toEqual(['gone', 'gone']);
  });

  it('replaces a worker that dies, with the same wake descriptor and the plan in force', async () => {
    const { tables, supervisor, starts, events, raise } = setUp();
    await supervisor.start();
    await supervisor.distribute(raise());
    const slots = tables.slots[0];
    const fd = sys.eventfd();
    slots?.setFd(1, 0, fd);
    slots?.setFd(1, 1, -1);
    slots?.setGeneration(1, 7);
    slots?.setState(1, 4);
    expect(supervisor.fail(0)).toBe(true);
    const isReplaced = () => supervisor.states()[0]?.deaths === 1 && tables.workers.plan(0) === 2;
    expect(await pollUntil(isReplaced, 5_000)).toBe(true);
    await pollUntil(() => supervisor.states()[0]?.phase === 'running', 5_000);
    expect(starts).toHaveLength(3);
    expect(starts[2]?.wakeFd).toBe(starts[0]?.wakeFd);
    expect(slots?.generation(1)).toBe(8);
    expect(sys.eventfdSignal(fd)).toBeLessThan(0);
    expect(supervisor.states()[1]).toMatchObject({ phase: 'running', deaths: 0 });
    expect(events).toContain('worker_died');
  });

  it('answers what workers ask, and drops answers to the dead', async () => {
    const { supervisor, served, replies } = setUp('asking', 1);
    const asked = () => served.map((message) => ('slot' in message ? message.slot : -1));
    const answer = (slot: number): ControlMessage => {
      return { kind: 'resolved', slot, generation: 1, addresses: new Int32Array(0), reason: 0 };
    };
    await supervisor.start();
    expect(await pollUntil(() => served.length === 1, 5_000)).toBe(true);
    replies[0]?.(answer(7));
    expect(await pollUntil(() => served.length === 2, 5_000)).toBe(true);
    expect(asked()).toEqual([1, 8]);
    supervisor.fail(0);
    const isReplaced = () => supervisor.states()[0]?.deaths === 1 && served.length === 3;
    expect(await pollUntil(isReplaced, 5_000)).toBe(true);
    replies[1]?.(answer(20));
    replies[2]?.(answer(30));
    expect(await pollUntil(() => served.length === 4, 5_000)).toBe(true);
    // The one for the dead thread would have come first.
    expect(asked()).toEqual([1, 8, 1, 31]);
  });

  it('outlives a mistake in what the news of a worker sets off', async () => {
    const { supervisor, replies, events } = setUp('harmful', 1);
    await supervisor.start();
    expect(await pollUntil(() => events.includes('worker_news_failed'), 5_000)).toBe(true);
    replies[0]?.({ kind: 'resolved', slot: 1, generation: 1, addresses: new Int32Array(0), reason: 0 });
    expect(await pollUntil(() => replies.length === 2, 5_000)).toBe(true);
    expect(supervisor.states()).toMatchObject([{ phase: 'running', deaths: 0 }]);
  });

  it('fails to start where a worker cannot, and leaves nothing running', async () => {
    const { supervisor } = setUp('broken');
    await expect(supervisor.start()).rejects.toMatchObject({
      code: 'worker_failed',
      message: expect.stringContaining('cannot start'),
    });
    expect(supervisor.states().every((state) => state.phase === 'gone')).toBe(true);
  });

  it('waits for nobody for ever: not for readiness, not for a plan, not for an end', async () => {
    await expect(setUp('mute').supervisor.start()).rejects.toMatchObject({ code: 'worker_failed' });
    const lazy = setUp('lazy');
    await lazy.supervisor.start();
    await expect(lazy.supervisor.distribute(1)).rejects.toMatchObject({ code: 'plan_not_applied' });
    await lazy.supervisor.stop();
    const deaf = setUp('deaf');
    await deaf.supervisor.start();
    await deaf.supervisor.stop();
    expect(deaf.events).toContain('worker_terminated');
    expect(deaf.supervisor.states().every((state) => state.phase === 'gone')).toBe(true);
  });
});
