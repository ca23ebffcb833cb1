// Target records in shared memory: where a service or a forward inbound leads, as the operator wrote it. One record for
// each distinct target, however many hold it, never rewritten while anybody does: a connection that is about to dial reads
// it in place. So a changed target is another record, and the old one is free again once no worker can be reading it.
// Control thread only.

import type { Target } from '../config/configuration.ts';
import type { ObjectName } from '../layout/name-book.ts';
import { TARGET_IP, TARGET_NAME, TARGET_TEXT_WORDS, TARGET_UNIX } from '../layout/service.ts';
import type { TargetTable } from '../layout/service.ts';
import { createIndexPool } from './index-pool.ts';

export interface Targets {
  /** How many more distinct targets fit. */
  readonly room: number;
  /** Whether there is a record of it already. */
  has(target: Target): boolean;
  /** The record of a target, or -1 for none. @throws RangeError for a target that nobody holds */
  indexOf(target: Target | undefined): number;
  /** One more holder; makes a record of what is new. The caller has seen to the room. */
  hold(target: Target | undefined): void;
  /** One holder fewer; retires the record with the last. */
  release(target: Target | undefined): void;
  settle(): void;
}

interface Entry {
  readonly index: number;
  holders: number;
}

/**
 * @param count records that are ours; those behind them belong to the workers' warm-up
 * @param named hears of every record that is made
 */
export function createTargets(
  table: TargetTable,
  count: number,
  named: (name: ObjectName) => void = () => {},
): Targets {
  const pool = createIndexPool(count);
  const records = new Map<string, Entry>();

  return {
    get room() {
      return pool.room;
    },
    has: (target) => records.has(target.text),
    indexOf(target) {
      if (target === undefined) return -1;
      const entry = records.get(target.text);
      if (entry === undefined) throw new RangeError(`no record of target ${target.text}`);
      return entry.index;
    },
    hold(target) {
      if (target === undefined) return;
      const entry = records.get(target.text);
      if (entry !== undefined) {
        entry.holders++;
        return;
      }
      const index = pool.acquire();
      write(table, index, target);
      records.set(target.text, { index, holders: 1 });
      named({ kind: 'target', index, generation: table.generation(index), name: target.text });
    },
    release(target) {
      if (target === undefined) return;
      const entry = records.get(target.text);
      if (entry === undefined) throw new RangeError(`no record of target ${target.text}`);
      if (--entry.holders > 0) return;
      table.addGeneration(entry.index, 1);
      records.delete(target.text);
      pool.release(entry.index);
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
