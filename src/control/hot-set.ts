// The hot set: rows of counters (layout/usage.ts) that have changed of late, and nothing else. Workers put a row into
// their ring when they mark it dirty; here it is folded into what its service has used, pass by pass, until it keeps still.
// A hundred thousand services that do nothing are never looked at.
//
//            ring            folded, changed          still: marks taken away       still again
//   (idle) ───────► active ◄────────────────┐ active ───────────────────────► leaving ──────────► (idle)
//                      └────────────────────┘                                   │ changed
//                                       active ◄────────────────────────────────┘ or marked again
//
// The second look is why no count is lost: a worker that added just before its mark was taken away is seen by it, one
// that added later has marked anew. Counters only grow, so a fold adds the difference to the last one. Control thread only.

import type { UsageDelta } from '../layout/keeper-messages.ts';
import { LIST_SERVICE } from '../layout/lists.ts';
import { REFUSALS_MAX, reasonName, refusalReasons } from '../layout/reasons.ts';
import type { Tables } from '../layout/tables.ts';

/** Rows of one slice; others of this thread have their turn between two. */
const ROWS_PER_SLICE = 2_048;

/** Whose row it is. */
export interface RowOwner {
  readonly service: string;
  readonly serviceRow: number;
  readonly username: string;
}

export interface HotSetInit {
  readonly tables: Tables;
  /** undefined: nobody's (a worker's own rehearsal). */
  readonly ownerOf: (row: number) => RowOwner | undefined;
  /** What a pass found, for the usage book and the store. */
  readonly fold: (deltas: readonly UsageDelta[]) => void;
  /** A service's connections, counted when one of its rows was folded. */
  readonly presence: (service: string, connections: number) => void;
}

export interface HotSet {
  /** Takes in what workers have marked, and folds every row of the set. Resolves when it has been through. */
  pass(): Promise<void>;
  /** Folds rows whose index is about to go to somebody else, for the owner that they had. Their connections have ended. */
  settle(rows: Iterable<readonly [row: number, owner: RowOwner]>): void;
  readonly size: number;
}

interface HotRow {
  /** Two still passes in a row, and it leaves. */
  isLeaving: boolean;
}

/** The counters of a row, summed over the workers, as they were at the last fold. */
interface Folded {
  up: number;
  down: number;
  connections: number;
  readonly refused: Int32Array;
}

export function createHotSet(init: HotSetInit): HotSet {
  const { tables } = init;
  const hot = new Map<number, HotRow>();
  const folded = new Map<number, Folded>();
  const reasons = refusalReasons().map(reasonName);
  let passing: Promise<void> | undefined;

  function takeIn(): void {
    for (const ring of tables.dirty) {
      for (let waiting = ring.count; waiting > 0; waiting--) {
        const row = ring.shift();
        const state = hot.get(row);
        // One that leaves with a mark on it would never come back.
        if (state === undefined) hot.set(row, { isLeaving: false });
        else state.isLeaving = false;
      }
    }
  }

  /** @returns the difference to the last fold, or undefined where there is none */
  function difference(row: number, owner: RowOwner): UsageDelta | undefined {
    let up = 0;
    let down = 0;
    let connections = 0;
    for (const usage of tables.usage) {
      up += usage.upBytes(row);
      down += usage.downBytes(row);
      connections += usage.connections(row);
    }
    const last = folded.get(row) ?? { up: 0, down: 0, connections: 0, refused: new Int32Array(REFUSALS_MAX) };
    const refused: [string, number][] = [];
    for (let refusal = 0; refusal < reasons.length; refusal++) {
      let count = 0;
      for (const usage of tables.usage) count = (count + usage.refused(row, refusal)) | 0;
      const more = (count - (last.refused[refusal] as number)) >>> 0;
      if (more > 0) refused.push([reasons[refusal] as string, more]);
      last.refused[refusal] = count;
    }
    const { service, username } = owner;
    const upBytes = up - last.up;
    const downBytes = down - last.down;
    const more = connections - last.connections;
    Object.assign(last, { up, down, connections });
    folded.set(row, last);
    if (upBytes === 0 && downBytes === 0 && more === 0 && refused.length === 0) return undefined;
    return { service, username, upBytes, downBytes, connections: more, refused, atMs: Date.now() };
  }

  function foldRow(row: number, owner: RowOwner | undefined, deltas: UsageDelta[]): boolean {
    if (owner === undefined) return false;
    const delta = difference(row, owner);
    let live = 0;
    for (const heads of tables.lists) live += heads.count(LIST_SERVICE, owner.serviceRow);
    init.presence(owner.service, live);
    if (delta === undefined) return false;
    deltas.push(delta);
    return true;
  }

  function visit(row: number, state: HotRow, deltas: UsageDelta[]): void {
    if (foldRow(row, init.ownerOf(row), deltas)) {
      state.isLeaving = false;
    } else if (state.isLeaving) {
      hot.delete(row);
    } else {
      // A page of a worker's that never used the row is not to be touched.
      for (const usage of tables.usage) if (usage.dirty(row) !== 0) usage.setDirty(row, 0);
      state.isLeaving = true;
    }
  }

  async function passNow(): Promise<void> {
    takeIn();
    const rows = [...hot];
    for (let from = 0; from < rows.length; from += ROWS_PER_SLICE) {
      if (from > 0) await new Promise(setImmediate);
      const deltas: UsageDelta[] = [];
      for (const [row, state] of rows.slice(from, from + ROWS_PER_SLICE)) visit(row, state, deltas);
      if (deltas.length > 0) init.fold(deltas);
    }
  }

  return {
    get size() {
      return hot.size;
    },
    pass() {
      passing ??= passNow().finally(() => {
        passing = undefined;
      });
      return passing;
    },
    settle(rows) {
      const deltas: UsageDelta[] = [];
      for (const [row, owner] of rows) foldRow(row, owner, deltas);
      if (deltas.length > 0) init.fold(deltas);
    },
  };
}
