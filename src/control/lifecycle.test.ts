import { describe, expect, it } from 'vitest';
import { DRAINED, STOPPED } from '../layout/reasons.ts';
import { createLifecycle } from './lifecycle.ts';

function setUp() {
  const steps: string[] = [];
  let emptied: (isEmpty: boolean) => void = () => {};
  const draining = new Promise<boolean>((resolve) => {
    emptied = resolve;
  });
  let over: () => void = () => {};
  const isOver = new Promise<void>((resolve) => {
    over = resolve;
  });
  const lifecycle = createLifecycle({
    log: { info: () => {}, warn: () => {}, error: () => {} },
    supervisor: {
      beginDrain: async () => void steps.push('begin drain'),
      drained: () => {
        steps.push('wait');
        return draining;
      },
      stop: async (reason = -1) => void steps.push(`stop ${reason}`),
    },
    drainMs: () => 1_000,
    closeListeners: () => steps.push('close listeners'),
    announceEnd: () => steps.push('announce'),
    closeRest: async () => void steps.push('close rest'),
    over: () => over(),
  });
  return { lifecycle, steps, emptied, isOver };
}

const END = ['close listeners', 'close rest'];

describe('lifecycle', () => {
  it('drains, then stops', async () => {
    const { lifecycle, steps, emptied, isOver } = setUp();
    lifecycle.ready();
    lifecycle.terminate();
    expect(lifecycle.phase).toBe('draining');
    emptied(true);
    await isOver;
    expect(steps).toEqual(['announce', 'begin drain', 'close listeners', 'wait', `stop ${DRAINED}`, ...END]);
  });

  it('stops now when asked twice, whatever comes after', async () => {
    const { lifecycle, steps, emptied, isOver } = setUp();
    lifecycle.ready();
    lifecycle.terminate();
    lifecycle.terminate();
    lifecycle.interrupt();
    lifecycle.terminate();
    await isOver;
    emptied(false);
    await Promise.resolve();
    expect(steps.filter((step) => step.startsWith('stop'))).toEqual([`stop ${STOPPED}`]);
    expect(steps.filter((step) => step === 'announce')).toHaveLength(1);
    expect(lifecycle.phase).toBe('stopping');
  });

  it('ends as soon as it has started, if it was asked to before', async () => {
    const { lifecycle, steps, isOver } = setUp();
    lifecycle.terminate();
    expect(steps).toEqual([]);
    lifecycle.ready();
    await isOver;
    expect(steps).toEqual(['announce', `stop ${STOPPED}`, ...END]);
  });
});
