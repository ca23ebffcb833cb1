// Runs one work: every round starts each of its subjects once, A B C A B C, so that a machine that drifts drifts for all
// of them. Each run has a process of its own and a port of the origin of its own: nothing carries over, neither
// heaps nor ports that closed connections still hold.

import type { Bench } from './bench.ts';
import { watchCore } from './process/core-time.ts';
import type { Subject } from './subjects/subject.ts';
import type { Measured, Scale, Work } from './work.ts';

/** Figures by subject, one entry a round. */
export type Figures = Map<string, Record<string, number>[]>;

export interface WorkRun {
  readonly work: Work;
  readonly figures: Figures;
  /** Of the open loop; 0 elsewhere. */
  readonly requestsPerSecond: number;
  /** What failed or could not run, for the reader. */
  readonly remarks: readonly string[];
  /** The largest share of a core that went to others in any run that counts, by subject. */
  readonly disturbed: ReadonlyMap<string, number>;
}

/** A run in which others took more than this of a core is repeated, while patience lasts. */
export const DISTURBED_SHARE = 0.05;

/** The open loop runs at this share of the slowest subject's capacity. */
const LOAD_SHARE = 0.5;

export async function runWork(
  bench: Bench,
  work: Work,
  subjects: readonly Subject[],
  scale: Scale,
  rounds: number,
  patience: number,
): Promise<WorkRun> {
  const remarks = new Set<string>();
  const disturbed = new Map<string, number>();
  const running = new Set(subjects);
  const attempt = async (subject: Subject, rate: number): Promise<Measured | undefined> => {
    try {
      const { measured, othersShare } = await measureQuietly(bench, work, subject, scale, rate, patience);
      disturbed.set(subject.name, Math.max(othersShare, disturbed.get(subject.name) ?? 0));
      if (measured.remark !== undefined) remarks.add(`${subject.name}: ${measured.remark}`);
      return measured;
    } catch (error) {
      // One subject that can't run must not take the others' figures along.
      running.delete(subject);
      remarks.add(`${subject.name} left out: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  let requestsPerSecond = 0;
  if (work.openLoop === true) {
    let capacity = Number.POSITIVE_INFINITY;
    for (const subject of subjects) {
      const measured = await attempt(subject, 0);
      capacity = Math.min(capacity, measured?.figures.rate ?? Number.POSITIVE_INFINITY);
    }
    requestsPerSecond = Math.max(1, Math.floor(capacity * LOAD_SHARE));
  }
  const figures: Figures = new Map();
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjects) {
      if (!running.has(subject)) continue;
      const measured = await attempt(subject, requestsPerSecond);
      if (measured === undefined) continue;
      const earlier = figures.get(subject.name) ?? [];
      figures.set(subject.name, [...earlier, measured.figures]);
    }
  }
  return { work, figures, requestsPerSecond, remarks: [...remarks], disturbed };
}

interface OneRun {
  readonly measured: Measured;
  readonly othersShare: number;
}

/** Repeats a run that others disturbed, up to `patience` times. @returns the quietest */
async function measureQuietly(
  bench: Bench,
  work: Work,
  subject: Subject,
  scale: Scale,
  requestsPerSecond: number,
  patience: number,
): Promise<OneRun> {
  let best = await measureOnce(bench, work, subject, scale, requestsPerSecond);
  for (let again = 0; again < patience && best.othersShare > DISTURBED_SHARE; again++) {
    const next = await measureOnce(bench, work, subject, scale, requestsPerSecond);
    if (next.othersShare < best.othersShare) best = next;
  }
  return best;
}

async function measureOnce(
  bench: Bench,
  work: Work,
  subject: Subject,
  scale: Scale,
  requestsPerSecond: number,
): Promise<OneRun> {
  const target =
    work.sharedOrigin === true
      ? (await bench.order({ kind: 'listen', service: work.service }, 5000)).port
      : await bench.listen(work.service);
  const running = await bench.start(subject, target, scale);
  try {
    const onProxyCore = watchCore(bench.cores.proxy, running.pids);
    const onLoadCore = watchCore(bench.cores.load, bench.loadPids);
    const measured = await work.measure(bench, running, scale, requestsPerSecond, subject.name);
    return { measured, othersShare: Math.max(onProxyCore(), onLoadCore()) };
  } finally {
    await running.stop();
  }
}
