// What a change has made contradictory: lists of connections in which some may no longer be allowed. Whoever makes the
// change says so, after it has been published; the reconciliation (evictions.ts) walks exactly these lists, asks of each
// connection whether what admitted it still holds, and ends those of which it does not. Control thread.

export interface Contradiction {
  /** LIST_* (layout/lists.ts). */
  readonly list: number;
  /** Key of the list: row, credential, inbound or outbound. */
  readonly key: number;
}

/** What a reconciliation came to, once every worker has walked the lists. */
export interface Reconciled {
  /** Connections that were ended. */
  readonly ended: number;
  /** From the change until the last worker was done. */
  readonly durationUs: number;
  /** Of all workers' threads. */
  readonly workerUs: number;
  /** From the change until the last violator was gone, in whole milliseconds of the clock; 0: there was none. */
  readonly lastGoneUs: number;
}

/** Resolves when all workers have ended what contradicts what is in force. */
export type Reconcile = (contradictions: readonly Contradiction[]) => Promise<Reconciled>;

export const NOTHING_RECONCILED: Reconciled = { ended: 0, durationUs: 0, workerUs: 0, lastGoneUs: 0 };
