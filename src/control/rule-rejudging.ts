// Judges connections again after the rules have changed, one change at a time: where another one comes before it is over,
// the earlier walk ends and the new one takes over its lists. So every connection that any change concerned is judged, and
// by the rules in force last. Control thread.

import { REJUDGE_ALL, REJUDGE_NOT, REJUDGE_REJECT } from '../layout/messages.ts';
import type { Evictions, Rejudgement, RejudgementResult } from './evictions.ts';
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

interface Active {
  readonly walk: Rejudgement;
  readonly keys: ReadonlySet<number>;
  readonly mode: number;
  readonly ratePerSecond: number;
  isSuperseded: boolean;
}

export interface RuleRejudging<Snapshot extends WalkedSnapshot> {
  /** After `snapshot` was published. @param keys lists of those whom the change concerns */
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
  let active: Active | undefined;
  let ended = 0;
  let undecided = 0;

  function walk(snapshot: Snapshot, job: Omit<Parameters<Evictions['rejudge']>[0], 'snapshotRow'>) {
    const begun = evictions()?.rejudge({ ...job, snapshotRow: snapshot.row });
    if (begun === undefined) return undefined;
    snapshot.walks++;
    const over = begun.over.finally(() => unwalk(snapshot));
    return { over, cancel: begun.cancel };
  }

  return {
    begin(snapshot, keys, reconcile, ratePerSecond = 0) {
      const earlier = active;
      const ownMode = MODES[reconcile];
      if (earlier !== undefined) {
        earlier.isSuperseded = true;
        earlier.walk.cancel();
      }
      const all = new Set([...(ownMode === REJUDGE_NOT ? [] : keys), ...(earlier?.keys ?? [])]);
      const mode = Math.max(ownMode, earlier?.mode ?? REJUDGE_NOT);
      const rate = ownMode === REJUDGE_NOT ? (earlier?.ratePerSecond ?? 0) : ratePerSecond;
      active = undefined;
      if (mode === REJUDGE_NOT || all.size === 0) return Promise.resolve(NOBODY_REJUDGED);
      const begun = walk(snapshot, { keys: [...all], mode, ratePerSecond: rate, dryRun: false });
      if (begun === undefined) return Promise.resolve(NOBODY_REJUDGED);
      const mine: Active = { walk: begun, keys: all, mode, ratePerSecond: rate, isSuperseded: false };
      active = mine;
      return begun.over.then((result) => {
        if (active === mine) active = undefined;
        ended += result.ended;
        undecided += result.undecided;
        return rejudgedOf(result, mine.isSuperseded);
      });
    },
    async count(snapshot, keys, reconcile) {
      const mode = MODES[reconcile];
      if (mode === REJUDGE_NOT || keys.length === 0) return NOBODY_REJUDGED;
      const begun = walk(snapshot, { keys, mode, ratePerSecond: 0, dryRun: true });
      return begun === undefined ? NOBODY_REJUDGED : rejudgedOf(await begun.over, false);
    },
    get ended() {
      return ended;
    },
    get undecided() {
      return undecided;
    },
  };
}

function rejudgedOf(result: RejudgementResult, isSuperseded: boolean): Rejudged {
  const { isCancelled: _isCancelled, ...rest } = result;
  return { ...rest, isSuperseded };
}
