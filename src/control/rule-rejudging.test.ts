import { describe, expect, it } from 'vitest';
import { REJUDGE_ALL, REJUDGE_REJECT } from '../layout/messages.ts';
import type { RejudgeJob, RejudgementResult } from './evictions.ts';
import { createRuleRejudging } from './rule-rejudging.ts';
import { NOBODY } from './rules.fixture.ts';

/** Walks that last until they are ended, or cancelled. */
function setUp() {
  const walks: {
    job: RejudgeJob;
    isCancelled: boolean;
    end: (result: Partial<RejudgementResult>) => void;
  }[] = [];
  const rejudge = (job: RejudgeJob) => {
    let resolve: (result: RejudgementResult) => void = () => {};
    const over = new Promise<RejudgementResult>((settle) => {
      resolve = settle;
    });
    const walk = { job, isCancelled: false, end: (result: object) => resolve({ ...NOBODY, ...result }) };
    walks.push(walk);
    const cancel = () => {
      walk.isCancelled = true;
      walk.end({ isCancelled: true });
    };
    return { over, cancel };
  };
  let snapshots = 0;
  const rejudging = createRuleRejudging<{ row: number; walks: number }>(
    () => ({ rejudge }),
    (snapshot) => void snapshot.walks--,
  );
  const snapshot = () => ({ row: snapshots++, walks: 0 });
  /** Those that go on. */
  const going = () =>
    walks
      .filter(({ isCancelled }) => !isCancelled)
      .map(({ job: { keys, mode, ratePerSecond } }) => ({
        keys: [...keys].sort(),
        mode,
        rate: ratePerSecond,
      }));
  return { rejudging, walks, snapshot, going };
}

describe('a change of rules that comes while connections are judged again', () => {
  it('takes over their lists with the mode and the rate that was theirs, beside its own', async () => {
    const { rejudging, snapshot, going, walks } = setUp();
    const first = rejudging.begin(snapshot(), [1, 2], 'all', 5);
    const inForce = snapshot();
    const second = rejudging.begin(inForce, [3, 4], 'reject', undefined);
    expect(await first).toMatchObject({ isSuperseded: true });
    expect(going()).toEqual([
      { keys: [1, 2], mode: REJUDGE_ALL, rate: 5 },
      { keys: [3, 4], mode: REJUDGE_REJECT, rate: 0 },
    ]);
    expect(walks.slice(1).map(({ job }) => job.snapshotRow)).toEqual([inForce.row, inForce.row]);
    expect(inForce.walks).toBe(2);
    // What it has taken over may last for long.
    walks[2]?.end({ ended: 7, matched: 7, byService: { web: 7 } });
    expect(await second).toMatchObject({ ended: 7, byService: { web: 7 }, isSuperseded: false });
    expect(inForce.walks).toBe(1);
    walks[1]?.end({ ended: 2 });
    await expect.poll(() => inForce.walks).toBe(0);
    expect(rejudging.ended).toBe(9);
  });

  it('is as strict as both only where both name a list', async () => {
    const { rejudging, snapshot, going, walks } = setUp();
    void rejudging.begin(snapshot(), [1, 2], 'all', 50);
    const second = rejudging.begin(snapshot(), [2, 3], 'reject', 9);
    expect(going()).toEqual([
      { keys: [1], mode: REJUDGE_ALL, rate: 50 },
      { keys: [2], mode: REJUDGE_ALL, rate: 9 },
      { keys: [3], mode: REJUDGE_REJECT, rate: 9 },
    ]);
    walks[2]?.end({ ended: 1, lastGoneUs: 30, byInbound: { s: 1 } });
    walks[3]?.end({ ended: 4, lastGoneUs: 20, byInbound: { s: 3, t: 1 } });
    expect(await second).toMatchObject({ ended: 5, lastGoneUs: 30, byInbound: { s: 4, t: 1 } });
  });

  it('keeps a rate where it has none itself, also over several changes', () => {
    const { rejudging, snapshot, going } = setUp();
    void rejudging.begin(snapshot(), [1], 'reject', 5);
    void rejudging.begin(snapshot(), [1, 2], 'reject', undefined);
    expect(going()).toEqual([
      { keys: [1], mode: REJUDGE_REJECT, rate: 5 },
      { keys: [2], mode: REJUDGE_REJECT, rate: 0 },
    ]);
    void rejudging.begin(snapshot(), [1, 2], 'reject', undefined);
    expect(going()).toEqual([
      { keys: [1], mode: REJUDGE_REJECT, rate: 5 },
      { keys: [2], mode: REJUDGE_REJECT, rate: 0 },
    ]);
  });

  it('that judges nobody leaves them as they were, by the rules in force', async () => {
    const { rejudging, snapshot, going, walks } = setUp();
    void rejudging.begin(snapshot(), [1], 'all', 5);
    const inForce = snapshot();
    expect(await rejudging.begin(inForce, [1, 2], 'none', undefined)).toMatchObject({ matched: 0 });
    expect(going()).toEqual([{ keys: [1], mode: REJUDGE_ALL, rate: 5 }]);
    expect(walks.at(-1)?.job.snapshotRow).toBe(inForce.row);
  });

  it('does not begin more walks than workers bear, however many rates there are', () => {
    const { rejudging, snapshot, going } = setUp();
    for (let change = 1; change <= 40; change++)
      void rejudging.begin(snapshot(), [change], 'reject', 100 + change);
    const walks = going();
    expect(walks.length).toBeLessThanOrEqual(16);
    expect(walks.flatMap(({ keys }) => keys)).toHaveLength(40);
    expect(Math.min(...walks.map(({ rate }) => rate))).toBe(101);
  });
});
