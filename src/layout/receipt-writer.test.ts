// Which ends a worker writes down, where only a part of them is wanted.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FINISHED } from './reasons.ts';
import { ReceiptWriter } from './receipt-writer.ts';
import { attachTables, createTables } from './tables.ts';
import { RECEIPTS_WHOLE } from './worker.ts';

const limits = {
  workers: 1,
  slotsPerWorker: 1,
  pipesPerWorker: 1,
  services: 1,
  credentials: 1,
  serverNames: 1,
  targets: 1,
  sources: 64,
  networkWords: 64,
  ruleWords: 65_536,
  receipts: 2_048,
  isIndexed: true,
};

function written(share: number, ends: number): number {
  const tables = attachTables(createTables(limits, new Int32Array(4)));
  tables.machine.setReceipts(0, 1);
  tables.machine.setReceiptsShare(0, share);
  const writer = new ReceiptWriter(tables, 0);
  for (let end = 0; end < ends; end++) writer.write(0, 1, FINISHED, 0);
  return tables.receiptRings[0]?.count ?? -1;
}

it('writes the part that is wanted, whatever it is, and not one of so many', () => {
  expect(written(RECEIPTS_WHOLE, 1_000)).toBe(1_000);
  // One less, as the share is rounded down: the next end is the one.
  expect(written(Math.round(0.7 * RECEIPTS_WHOLE), 1_000)).toBe(699);
  expect(written(0.75 * RECEIPTS_WHOLE, 1_000)).toBe(750);
  expect(written(1, 1_000)).toBe(0);
  const share = fc.integer({ min: 1, max: RECEIPTS_WHOLE });
  fc.assert(
    fc.property(share, fc.integer({ min: 0, max: 2_000 }), (part, ends) => {
      expect(written(part, ends)).toBe(Math.floor((part * ends) / RECEIPTS_WHOLE));
    }),
    { numRuns: 50 },
  );
});
