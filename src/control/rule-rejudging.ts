// Judges connections again after the rules have changed. Where another change comes before that is over, the earlier walks
// end, and what they had in hand is walked anew by the rules in force now: each list with the mode and the rate that its
// own change gave it, and one that both changes name with the stricter of each. So every connection that any change
// concerned is judged by the rules in force last, none is ended by a mode that was not meant for it, and none faster than
// was said. What a change comes to are its own lists. Control thread.

import { REJUDGE_ALL, REJUDGE_NOT, REJUDGE_REJECT, SAMPLE_MAX } from '../layout/messages.ts';
import type { Evictions, RejudgementResult } from './evictions.ts';
import type { Rejudged, RuleReconcile } from './rules-control.ts';

const MODES: Readonly<Record<RuleReconcile, number>> = {
  none: REJUDGE_NOT,
  reject: REJUDGE_REJECT,
  all: REJUDGE_ALL,
};

export const NOBODY_REJUDGED: Rejudged = {
  matched: 0,
  ended: 0,
  undecided: 0,
  durationUs: 0,
  workerUs: 0,
  lastGoneUs: 0,
  byService: {},
  byInbound: {},
  sample: [],
  isSuperseded: false,
};

/** What is walked by. */
export interface WalkedSnapshot {
  readonly row: number;
  walks: number;
}

/** Lists that are walked alike. */
interface Share {
  readonly keys: Set<number>;
  readonly mode: number;
  /** 0: no limit. */
  readonly ratePerSecond: number;
  /** Of the change that is made now, perhaps of earlier ones as well. */
  readonly isOwn: boolean;
}

interface Walking extends Share {
  readonly change: { isSuperseded: boolean };
  cancel(): void;
}

/** Beside each other. With more rates than that, all go at the slowest. */
const SHARES_MAX = 16;

export interface RuleRejudging<Snapshot extends WalkedSnapshot> {
  /** After `snapshot` was published; walks have begun when it returns. @param keys lists of those whom it concerns */
  begin(
    snapshot: Snapshot,
    keys: readonly number[],
    reconcile: RuleReconcile,
    ratePerSecond: number | undefined,
  ): Promise<Rejudged>;
  /** Whom it would end. */
  count(snapshot: Snapshot, keys: readonly number[], reconcile: RuleReconcile): Promise<Rejudged>;
  readonly ended: number;
  readonly undecided: number;
}

/**
 * @param evictions undefined while there are no workers, who could have connections
 * @param unwalk a walk by this snapshot is over
 */
export function createRuleRejudging<Snapshot extends WalkedSnapshot>(
  evictions: () => Pick<Evictions, 'rejudge'> | undefined,
  unwalk: (snapshot: Snapshot) => void,
): RuleRejudging<Snapshot> {
  const active = new Set<Walking>();
  let ended = 0;
  let undecided = 0;

  function walk(snapshot: Snapshot, job: Omit<Parameters<Evictions['rejudge']>[0], 'snapshotRow'>) {
    const begun = evictions()?.rejudge({ ...job, snapshotRow: snapshot.row });
    if (begun === undefined) return undefined;
    snapshot.walks++;
    const over = begun.over.finally(() => unwalk(snapshot));
    return { over, cancel: begun.cancel };
  }

  /** Counted where it is over, whoever asked for it. */
  function begin(snapshot: Snapshot, share: Share, change: Walking['change']) {
    const { keys, mode, ratePerSecond } = share;
    const begun = walk(snapshot, { keys: [...keys], mode, ratePerSecond, dryRun: false });
    if (begun === undefined) return undefined;
    const walking: Walking = { ...share, change, cancel: begun.cancel };
    active.add(walking);
    return begun.over.then((result) => {
      active.delete(walking);
      ended += result.ended;
      undecided += result.undecided;
      return result;
    });
  }

  return {
    async begin(snapshot, keys, reconcile, ratePerSecond = 0) {
      const earlier = [...active];
      active.clear();
      for (const { change, cancel } of earlier) {
        change.isSuperseded = true;
        cancel();
      }
      const change = { isSuperseded: false };
      const begun = sharesOf(earlier, keys, MODES[reconcile], ratePerSecond).map((share) => {
        const over = begin(snapshot, share, change);
        return share.isOwn ? over : undefined;
      });
      const results = await Promise.all(begun);
      return rejudgedOf(
        results.filter((result) => result !== undefined),
        change.isSuperseded,
      );
    },
    async count(snapshot, keys, reconcile) {
      const mode = MODES[reconcile];
      if (mode === REJUDGE_NOT || keys.length === 0) return NOBODY_REJUDGED;
      const begun = walk(snapshot, { keys, mode, ratePerSecond: 0, dryRun: true });
      return begun === undefined ? NOBODY_REJUDGED : rejudgedOf([await begun.over], false);
    },
    get ended() {
      return ended;
    },
    get undecided() {
      return undecided;
    },
  };
}

/** What earlier changes had in hand, and the lists of a new one. */
function sharesOf(
  earlier: readonly Share[],
  keys: readonly number[],
  mode: number,
  ratePerSecond: number,
): Share[] {
  const own = new Set(mode === REJUDGE_NOT ? [] : keys);
  const listed: [key: number, share: Omit<Share, 'keys'>][] = [];
  for (const share of earlier) {
    for (const key of share.keys) {
      if (!own.delete(key)) listed.push([key, { ...share, isOwn: false }]);
      else {
        const rate = stricterRate(share.ratePerSecond, ratePerSecond);
        listed.push([key, { mode: Math.max(share.mode, mode), ratePerSecond: rate, isOwn: true }]);
      }
    }
  }
  for (const key of own) listed.push([key, { mode, ratePerSecond, isOwn: true }]);
  const shares = grouped(listed);
  if (shares.length <= SHARES_MAX) return shares;
  const slowest = listed.reduce((rate, [, share]) => stricterRate(rate, share.ratePerSecond), 0);
  return grouped(listed.map(([key, share]) => [key, { ...share, ratePerSecond: slowest }]));
}

function grouped(listed: readonly [key: number, share: Omit<Share, 'keys'>][]): Share[] {
  const shares = new Map<string, Share>();
  for (const [key, { mode, ratePerSecond, isOwn }] of listed) {
    const alike = `${mode} ${ratePerSecond} ${isOwn}`;
    const share = shares.get(alike) ?? { keys: new Set(), mode, ratePerSecond, isOwn };
    shares.set(alike, share);
    share.keys.add(key);
  }
  return [...shares.values()];
}

/** 0 is none. */
function stricterRate(one: number, other: number): number {
  return one === 0 || other === 0 ? Math.max(one, other) : Math.min(one, other);
}

function rejudgedOf(results: readonly RejudgementResult[], isSuperseded: boolean): Rejudged {
  const total = (of: (result: RejudgementResult) => number) =>
    results.reduce((sum, result) => sum + of(result), 0);
  const latest = (of: (result: RejudgementResult) => number) => Math.max(0, ...results.map(of));
  return {
    matched: total(({ matched }) => matched),
    ended: total(({ ended }) => ended),
    undecided: total(({ undecided }) => undecided),
    durationUs: latest(({ durationUs }) => durationUs),
    workerUs: total(({ workerUs }) => workerUs),
    lastGoneUs: latest(({ lastGoneUs }) => lastGoneUs),
    byService: added(results.map(({ byService }) => byService)),
    byInbound: added(results.map(({ byInbound }) => byInbound)),
    sample: results.flatMap(({ sample }) => sample).slice(0, SAMPLE_MAX),
    isSuperseded,
  };
}

function added(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  // Names are whatever somebody has written.
  const sums = new Map<string, number>();
  for (const one of counts) {
    for (const [name, count] of Object.entries(one)) sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return Object.fromEntries(sums);
}
