// What waits for the next commit: usage merged by service and user, so that its size is bounded by their number however
// long the store fails, and evictions, of which the newest are kept. Keeper thread.

import type { EvictionRow, UsageDelta } from '../layout/keeper-messages.ts';
import type { Batch } from './store.ts';

const EVICTIONS_MAX = 10_000;

interface Waiting {
  readonly service: string;
  readonly username: string;
  upBytes: number;
  downBytes: number;
  connections: number;
  readonly refused: Map<string, number>;
  atMs: number;
}

export class Backlog {
  private readonly usage = new Map<string, Waiting>();
  private readonly evictions = new Map<number, EvictionRow>();
  /** Evictions that found no room. */
  evictionsDropped = 0;

  get isEmpty(): boolean {
    return this.usage.size === 0 && this.evictions.size === 0;
  }

  add(deltas: readonly UsageDelta[]): void {
    for (const { service, username, upBytes, downBytes, connections, refused, atMs } of deltas) {
      // The length first: no two pairs have one key, whatever characters names consist of.
      const key = `${service.length} ${service}${username}`;
      let waiting = this.usage.get(key);
      if (waiting === undefined) {
        waiting = { service, username, upBytes: 0, downBytes: 0, connections: 0, refused: new Map(), atMs };
        this.usage.set(key, waiting);
      }
      waiting.upBytes += upBytes;
      waiting.downBytes += downBytes;
      waiting.connections += connections;
      waiting.atMs = Math.max(waiting.atMs, atMs);
      for (const [reason, count] of refused) {
        waiting.refused.set(reason, (waiting.refused.get(reason) ?? 0) + count);
      }
    }
  }

  addEviction(row: EvictionRow): void {
    this.evictions.set(row.id, row);
    this.boundEvictions();
  }

  /** Takes out what is to be committed together: at most `rowsMax` of each kind. */
  take(rowsMax: number): Batch {
    const usage: UsageDelta[] = [];
    for (const [key, { refused, ...rest }] of this.usage) {
      if (usage.length === rowsMax) break;
      usage.push({ ...rest, refused: [...refused] });
      this.usage.delete(key);
    }
    const evictions: EvictionRow[] = [];
    for (const [id, row] of this.evictions) {
      if (evictions.length === rowsMax) break;
      evictions.push(row);
      this.evictions.delete(id);
    }
    return { usage, evictions };
  }

  /** A commit failed: its batch waits again. What came meanwhile is newer. */
  putBack({ usage, evictions }: Batch): void {
    this.add(usage);
    const newer = [...this.evictions];
    this.evictions.clear();
    for (const row of evictions) this.evictions.set(row.id, row);
    for (const [id, row] of newer) this.evictions.set(id, row);
    this.boundEvictions();
  }

  private boundEvictions(): void {
    for (const id of this.evictions.keys()) {
      if (this.evictions.size <= EVICTIONS_MAX) return;
      this.evictions.delete(id);
      this.evictionsDropped++;
    }
  }
}
