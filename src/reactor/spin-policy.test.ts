import { describe, expect, it } from 'vitest';
import { SpinPolicy } from './spin-policy.ts';

/** Serves `windows` windows of 256 single events. @returns how many of them were spun */
function serve(
  policy: SpinPolicy,
  clock: { us: number },
  windows: number,
  costUs: { sleeping: number; spinning: number },
): number {
  let spun = 0;
  for (let window = 0; window < windows; window++) {
    if (policy.spins) spun++;
    let full = false;
    while (!full) {
      clock.us += policy.spins ? costUs.spinning : costUs.sleeping;
      full = policy.count(1);
    }
    policy.close(clock.us);
  }
  return spun;
}

describe('spin policy', () => {
  it('sleeps at first, and goes on sleeping where that is cheaper, but for a trial now and then', () => {
    const clock = { us: 1_000 };
    const policy = new SpinPolicy(clock.us);
    expect(policy.spins).toBe(false);
    expect(serve(policy, clock, 160, { sleeping: 9, spinning: 14 })).toBeLessThanOrEqual(11);
  });

  it('spins where that is cheaper, but for a trial now and then', () => {
    const clock = { us: 0 };
    const policy = new SpinPolicy(clock.us);
    expect(serve(policy, clock, 160, { sleeping: 27, spinning: 23 })).toBeGreaterThanOrEqual(148);
  });

  it('notices a change of the traffic within a trial or two, both ways', () => {
    const clock = { us: 0 };
    const policy = new SpinPolicy(clock.us);
    serve(policy, clock, 50, { sleeping: 27, spinning: 23 });
    // Heavier: both are cheaper an event, sleeping more so.
    serve(policy, clock, 17, { sleeping: 9, spinning: 14 });
    expect(serve(policy, clock, 160, { sleeping: 9, spinning: 14 })).toBeLessThanOrEqual(11);
    serve(policy, clock, 17, { sleeping: 27, spinning: 23 });
    expect(serve(policy, clock, 160, { sleeping: 27, spinning: 23 })).toBeGreaterThanOrEqual(148);
  });

  it('counts batches whole', () => {
    const policy = new SpinPolicy(0);
    expect(policy.count(255)).toBe(false);
    expect(policy.count(100)).toBe(true);
  });
});
