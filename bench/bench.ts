// What the benchmark itself runs for its whole life: the generator's process, the origin's, and a temporary folder.

import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compiled } from './checkout.ts';
import type { Answers, Order, Reply } from './load/generator.ts';
import { type Cores, chooseCores, nextMessage, pinThisProcess, startChild } from './process/child.ts';
import type { Running, Subject } from './subjects/subject.ts';
import type { Scale } from './work.ts';

export interface Bench {
  readonly cores: Cores;
  /** The processes that belong on the load's core, this one included. */
  readonly loadPids: readonly number[];
  /** Has the generator carry out an order; rejects where it dies or takes longer than `timeoutMs`. */
  order<O extends Order>(order: O, timeoutMs: number): Promise<Answers[O['kind']]>;
  /** One more port of the origin that is a process of its own. */
  listen(service: number): Promise<number>;
  /** Starts a subject in a folder of its own. @param scale how much it has of what is measured */
  start(subject: Subject, target: number, scale: Scale): Promise<Running>;
  close(): Promise<void>;
}

const ORIGIN_START_MS = 10_000;

export async function openBench(): Promise<Bench> {
  const cores = chooseCores();
  pinThisProcess(cores.load);
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
    start(subject, target, scale) {
      const directory = mkdtempSync(join(folder, `${subject.name}-${started++}-`));
      const { services } = scale.governance;
      const reference = scale.rules.size;
      return subject.start({ target, core: cores.proxy, directory, services, reference });
    },
    async close() {
      await Promise.all([originChild.stop(), generator.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
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
