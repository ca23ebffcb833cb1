// What the benchmark itself runs for its whole life: the generator's process, the origin's, and a temporary folder.

import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compiled } from './checkout.ts';
import type { Answers, Order, Reply } from './load/generator.ts';
import { type Child, type Cores, chooseCores, startChild } from './process/child.ts';
import type { Running, Subject } from './subjects/subject.ts';

export interface Bench {
  readonly cores: Cores;
  /** The processes that belong on the load's core, this one included. */
  readonly loadPids: readonly number[];
  /** Has the generator carry out an order; rejects where it dies or takes longer than `timeoutMs`. */
  order<O extends Order>(order: O, timeoutMs: number): Promise<Answers[O['kind']]>;
  /** One more port of the origin that is a process of its own. */
  listen(service: number): Promise<number>;
  /** Starts a subject in a folder of its own. */
  start(subject: Subject, target: number): Promise<Running>;
  close(): Promise<void>;
}

const ORIGIN_START_MS = 10_000;

export async function openBench(): Promise<Bench> {
  const cores = chooseCores();
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const node = process.execPath;
  const originChild = startChild(cores.load, [node, compiled('./load/origin-process.js')], { channel: true });
  const generator = startChild(cores.load, [node, compiled('./load/generator.js')], { channel: true });
  const { controlPort } = await nextMessage<{ controlPort: number }>(originChild, ORIGIN_START_MS);
  originChild.process.disconnect();
  let started = 0;
  return {
    cores,
    loadPids: [process.pid, originChild.pid, generator.pid],
    async order<O extends Order>(order: O, timeoutMs: number) {
      generator.process.send(order);
      const reply = await nextMessage<Reply>(generator, timeoutMs);
      if ('error' in reply) throw new Error(`the generator failed: ${reply.error}`);
      return reply.answer as Answers[O['kind']];
    },
    listen: (service) => askOrigin(controlPort, service),
    start(subject, target) {
      const directory = mkdtempSync(join(folder, `${subject.name}-${started++}-`));
      return subject.start({ target, core: cores.proxy, directory });
    },
    async close() {
      await Promise.all([originChild.stop(), generator.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The next message of a child. */
function nextMessage<T>(child: Child, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer);
      child.process.off('message', onMessage);
      child.process.off('exit', onExit);
    };
    const onMessage = (message: unknown): void => {
      settle();
      resolve(message as T);
    };
    const onExit = (): void => {
      settle();
      reject(new Error(`a process of the benchmark ended: ${child.output()}`));
    };
    const timer = setTimeout(() => {
      settle();
      reject(new Error(`a process of the benchmark did not answer in ${timeoutMs} ms: ${child.output()}`));
    }, timeoutMs);
    child.process.on('message', onMessage);
    child.process.on('exit', onExit);
  });
}

function askOrigin(controlPort: number, service: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(controlPort, '127.0.0.1', () => socket.write(Uint8Array.of(service)));
    socket.once('error', reject);
    socket.once('data', (answer: Buffer) => {
      socket.destroy();
      resolve(answer.readUInt16LE(0));
    });
  });
}
