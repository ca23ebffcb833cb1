import { describe, expect, it } from 'vitest';
import { workerType } from '../layout/worker.ts';
import { createQuiescence } from './quiescence.ts';

function setUp(count: number) {
  const workers = workerType.attach(new SharedArrayBuffer(workerType.recordBytes * count), 0, count);
  return { workers, quiescence: createQuiescence({ workers }, 1) };
}

describe('quiescence', () => {
  it('waits for each worker to turn, or to be seen asleep or gone', async () => {
    const { workers, quiescence } = setUp(3);
    let isOver = false;
    const waiting = quiescence.whenQuiescent().then(() => {
      isOver = true;
    });
    workers.addTurns(0, 1);
    workers.setOffline(1, 1);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(isOver).toBe(false);
    workers.setOffline(2, 1);
    await waiting;
    expect(isOver).toBe(true);
  });

  it('does not take turns from before the call for turns after it', async () => {
    const { workers, quiescence } = setUp(1);
    workers.addTurns(0, 5);
    const waiting = quiescence.whenQuiescent();
    const outcome = await Promise.race([
      waiting.then(() => 'over'),
      new Promise((r) => setTimeout(r, 10, 'waits')),
    ]);
    expect(outcome).toBe('waits');
    workers.addTurns(0, 1);
    await waiting;
  });
});
