// Target records in shared memory: where a service or a forward inbound leads, as the operator wrote it. One record for
// each distinct target, never rewritten while it is in use: a connection that is about to dial reads it in place. So a
// changed target is another record, and the old one is free again once every worker has applied the next plan.
// Control thread only.

import type { Target } from '../config/configuration.ts';
import { TARGET_IP, TARGET_NAME, TARGET_TEXT_WORDS, TARGET_UNIX } from '../layout/service.ts';
import type { TargetTable } from '../layout/service.ts';
import { createIndexPool } from './index-pool.ts';

export interface Targets {
  /** How many more distinct targets fit. */
  readonly room: number;
  /** Whether there is a record of it already. */
  has(target: Target): boolean;
  /** The record of a target, or -1 for none. @throws RangeError for a target that `keepOnly` was not given */
  indexOf(target: Target | undefined): number;
  /** Makes records for what is new in `wanted`; the caller has seen to the room. */
  add(wanted: readonly Target[]): void;
  /** Retires the records of what is not in `wanted`. */
  keepOnly(wanted: readonly Target[]): void;
  settle(): void;
}

/** @param count records that are ours; those behind them belong to the workers' warm-up */
export function createTargets(table: TargetTable, count: number): Targets {
  const pool = createIndexPool(count);
  const records = new Map<string, number>();

  return {
    get room() {
      return pool.room;
    },
    has: (target) => records.has(target.text),
    indexOf(target) {
      if (target === undefined) return -1;
      const index = records.get(target.text);
      if (index === undefined) throw new RangeError(`no record of target ${target.text}`);
      return index;
    },
    add(wanted) {
      for (const target of wanted) {
        if (records.has(target.text)) continue;
        const index = pool.acquire();
        write(table, index, target);
        records.set(target.text, index);
      }
    },
    keepOnly(wanted) {
      const kept = new Set(wanted.map((target) => target.text));
      for (const [text, index] of records) {
        if (kept.has(text)) continue;
        table.addGeneration(index, 1);
        records.delete(text);
        pool.release(index);
      }
    },
    settle: () => pool.settle(),
  };
}

/** Fills a record, then publishes it by making its generation odd. */
function write(table: TargetTable, index: number, target: Target): void {
  const text = target.kind === 'name' ? target.name : target.kind === 'unix' ? target.path : '';
  const bytes = Buffer.from(text, 'utf8');
  const words = new Int32Array(TARGET_TEXT_WORDS);
  new Uint8Array(words.buffer).set(bytes);
  for (let k = 0; k < TARGET_TEXT_WORDS; k++) table.setText(index, k, words[k] as number);
  table.setTextBytes(index, bytes.length);
  for (let k = 0; k < 4; k++)
    table.setAddress(index, k, target.kind === 'ip' ? (target.words[k] as number) : 0);
  table.setPort(index, target.kind === 'unix' ? 0 : target.port);
  table.setKind(index, target.kind === 'ip' ? TARGET_IP : target.kind === 'name' ? TARGET_NAME : TARGET_UNIX);
  table.addGeneration(index, 1);
}
