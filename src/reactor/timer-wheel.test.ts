import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DELAY_MS_MAX, TimerWheel } from './timer-wheel.ts';

const TIMERS = 12;
const step = fc.oneof(
  fc.record({
    op: fc.constant('arm' as const),
    timer: fc.nat(TIMERS - 1),
    delay: fc.oneof(
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 5_000 }),
      fc.integer({ min: 1, max: 700_000 }),
    ),
  }),
  fc.record({ op: fc.constant('cancel' as const), timer: fc.nat(TIMERS - 1), delay: fc.constant(0) }),
  fc.record({
    op: fc.constant('advance' as const),
    timer: fc.constant(0),
    delay: fc.oneof(fc.nat(20), fc.nat(3_000), fc.nat(100_000)),
  }),
);

describe('timer wheel', () => {
  test('agrees with a sorted list, also where ticks wrap around', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, 0x7fffffff - 2_000, -1_000, 12_345),
        fc.array(step, { maxLength: 60 }),
        (start, steps) => {
          let now = start | 0;
          let elapsed = 0;
          const wheel = new TimerWheel(TIMERS, now);
          const model = new Map<number, number>();
          for (const { op, timer, delay } of steps) {
            if (op === 'arm') {
              wheel.arm(timer, (now + delay) | 0);
              model.set(timer, elapsed + delay);
            } else if (op === 'cancel') {
              wheel.cancel(timer);
              model.delete(timer);
            } else {
              // Sleeping as told must never pass a deadline by.
              const end = elapsed + delay;
              while (elapsed < end) {
                const sleep = Math.min(wheel.sleepMs(now, 60_000), end - elapsed);
                elapsed += sleep;
                now = (now + sleep) | 0;
                wheel.advance(
                  now,
                  (due) => {
                    expect(model.get(due)).toBe(elapsed);
                    model.delete(due);
                  },
                  1_000,
                );
                for (const deadline of model.values()) expect(deadline).toBeGreaterThan(elapsed);
              }
            }
            expect(wheel.armed).toBe(model.size);
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  test('a deadline moved later fires once, at the later tick', () => {
    const wheel = new TimerWheel(1, 0);
    wheel.arm(0, 50);
    for (let now = 1; now <= 40; now++) {
      wheel.advance(now, () => expect.unreachable(), 10);
      wheel.arm(0, now + 50);
    }
    const fired: number[] = [];
    for (let now = 41; now <= 200; now++) wheel.advance(now, () => fired.push(now), 10);
    expect(fired).toEqual([90]);
  });

  test('the number of deadlines a call runs is bounded, and none is lost', () => {
    const wheel = new TimerWheel(100, 0);
    for (let timer = 0; timer < 100; timer++) wheel.arm(timer, 7);
    const fired: number[] = [];
    let calls = 0;
    while (fired.length < 100) {
      expect(wheel.advance(10, (timer) => fired.push(timer), 30)).toBeLessThanOrEqual(30);
      calls++;
    }
    expect(calls).toBe(4);
    expect(new Set(fired).size).toBe(100);
  });

  test('a timer may arm itself and others while it fires', () => {
    const wheel = new TimerWheel(2, 0);
    wheel.arm(0, 5);
    let fired = 0;
    for (let now = 1; now <= 25; now++) {
      wheel.advance(
        now,
        (timer) => {
          fired++;
          wheel.arm(timer, now + 5);
          wheel.arm(1 - timer, now + 100);
          wheel.cancel(1 - timer);
        },
        10,
      );
    }
    expect(fired).toBe(5);
  });

  test('a delay beyond the bound is cut to it, not lost', () => {
    const wheel = new TimerWheel(1, 0);
    wheel.arm(0, 0x7ffffff0);
    expect(wheel.sleepMs(0, 0x7fffffff)).toBeLessThanOrEqual(DELAY_MS_MAX);
    expect(wheel.armed).toBe(1);
  });

  test('a long sleep of the machine is caught up with in one call', () => {
    const wheel = new TimerWheel(2, 0);
    wheel.arm(0, 1_000);
    wheel.arm(1, 600_000);
    const fired: number[] = [];
    wheel.advance(3_000_000, (timer) => fired.push(timer), 10);
    expect(fired).toEqual([0, 1]);
  });
});
