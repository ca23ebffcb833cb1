// The hot set against exact sums: whatever order workers add and mark in, also in the middle of a pass, nothing is lost,
// nothing is counted twice, and all of it goes to whoever owned the row then. And who is idle is not looked at.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { UsageDelta } from '../layout/keeper-messages.ts';
import { LIST_SERVICE } from '../layout/lists.ts';
import { REFUSAL_OF_REASON, reasonName, SERVICE_DISABLED, TARGET_FORBIDDEN } from '../layout/reasons.ts';
import { attachTables, createTables } from '../layout/tables.ts';
import type { Tables } from '../layout/tables.ts';
import { createHotSet } from './hot-set.ts';
import type { RowOwner } from './hot-set.ts';

const WORKERS = 2;
const ROWS = 6;
const REASONS = [SERVICE_DISABLED, TARGET_FORBIDDEN];

function createSmallTables(services = 8): Tables {
  const limits = {
    workers: WORKERS,
    slotsPerWorker: 1,
    pipesPerWorker: 1,
    services,
    credentials: 8,
    serverNames: 1,
    targets: 1,
    sources: 64,
    networkWords: 64,
    ruleWords: 65_536,
    receipts: 1,
    isIndexed: true,
  };
  return attachTables(createTables(limits, new Int32Array(4)));
}

/** As path/account.ts does. */
function markDirty({ usage, dirty }: Tables, worker: number, row: number): void {
  if (usage[worker]?.dirty(row) !== 0) return;
  usage[worker]?.setDirty(row, 1);
  expect(dirty[worker]?.push(row)).toBe(true);
}

/** Each amount says which field it is. */
function add(tables: Tables, worker: number, row: number, amount: number): void {
  const usage = tables.usage[worker];
  usage?.addUpBytes(row, amount);
  usage?.addDownBytes(row, amount * 1_000);
  usage?.addConnections(row, 1);
  const refusal = REFUSAL_OF_REASON[REASONS[amount % 2] as number] as number;
  usage?.setRefused(row, refusal, ((usage.refused(row, refusal) as number) + 1) | 0);
  markDirty(tables, worker, row);
}

/** Sums by service and user: up, down, connections and the two refusals. */
type Sums = Record<string, number[]>;

function addTo(sums: Sums, owner: Pick<RowOwner, 'service' | 'username'>, amounts: readonly number[]): void {
  const key = `${owner.service}/${owner.username}`;
  const known = sums[key] ?? [0, 0, 0, 0, 0];
  sums[key] = known.map((sum, at) => sum + (amounts[at] as number));
}

function fold(sums: Sums, deltas: readonly UsageDelta[]): void {
  for (const delta of deltas) {
    const refused = REASONS.map(
      (reason) => delta.refused.find(([name]) => name === reasonName(reason))?.[1] ?? 0,
    );
    for (const [, count] of delta.refused) expect(count).toBeGreaterThan(0);
    addTo(sums, delta, [delta.upBytes, delta.downBytes, delta.connections, ...refused]);
  }
}

const step = fc.record({
  op: fc.constantFrom('add', 'add', 'add', 'mark', 'pass', 'inherit'),
  worker: fc.nat(WORKERS - 1),
  row: fc.nat(ROWS - 1),
  amount: fc.integer({ min: 1, max: 900 }),
  /** What workers do in the middle of a pass. */
  meanwhile: fc.array(fc.tuple(fc.nat(WORKERS - 1), fc.nat(ROWS - 1), fc.integer({ min: 1, max: 900 })), {
    maxLength: 4,
  }),
});

describe('the hot set', () => {
  it('folds exactly what workers have added, and to whom it belonged', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const tables = createSmallTables();
        const owners: RowOwner[] = Array.from({ length: ROWS }, (_, row) => ownerOf(row, 0));
        const expected: Sums = {};
        const found: Sums = {};
        let meanwhile: (readonly [number, number, number])[] = [];
        const work = (worker: number, row: number, amount: number) => {
          add(tables, worker, row, amount);
          const refused = [amount % 2 === 0 ? 1 : 0, amount % 2];
          addTo(expected, owners[row] as RowOwner, [amount, amount * 1_000, 1, ...refused]);
        };
        const hotSet = createHotSet({
          tables,
          ownerOf(row) {
            for (const one of meanwhile.splice(0, 1)) work(...one);
            return owners[row];
          },
          fold: (deltas) => fold(found, deltas),
          presence: () => {},
        });
        let owned = 0;
        for (const { op, worker, row, amount, meanwhile: then } of steps) {
          if (op === 'add') work(worker, row, amount);
          else if (op === 'mark') markDirty(tables, worker, row);
          else if (op === 'inherit') {
            hotSet.settle([[row, owners[row] as RowOwner]]);
            owners[row] = ownerOf(row, ++owned);
          } else {
            meanwhile = [...then];
            await hotSet.pass();
          }
        }
        meanwhile = [];
        for (let still = 0; still < 4; still++) await hotSet.pass();
        expect(found).toEqual(expected);
        expect(hotSet.size).toBe(0);
        for (const usage of tables.usage) {
          for (let row = 0; row < ROWS; row++) expect(usage.dirty(row)).toBe(0);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('has room in its rings for all rows twice, as a mark may be taken away between two times that it looks', async () => {
    const tables = createSmallTables(56);
    const rows = tables.usage[0]?.count as number;
    // 56 services, as many spare rows as there are, 8 credentials: a power of two, so that nothing is left over.
    expect(rows).toBe(128);
    const hotSet = createHotSet({
      tables,
      ownerOf(row) {
        // The worker is at it while the pass is: before the mark is taken away.
        markDirty(tables, 0, row);
        return undefined;
      },
      fold: () => {},
      presence: () => {},
    });
    for (let row = 0; row < rows; row++) markDirty(tables, 1, row);
    await hotSet.pass();
    for (let row = 0; row < rows; row++) markDirty(tables, 0, row);
    expect(tables.dirty[0]?.count).toBe(2 * rows);
  });

  it('lets a row go after two still passes, and takes it in again when it changes', async () => {
    const tables = createSmallTables();
    const deltas: UsageDelta[] = [];
    const hotSet = createHotSet({
      tables,
      ownerOf: (row) => ownerOf(row, 0),
      fold: (more) => deltas.push(...more),
      presence: () => {},
    });
    add(tables, 1, 3, 5);
    const sizes: number[] = [];
    for (let pass = 0; pass < 3; pass++) {
      await hotSet.pass();
      sizes.push(hotSet.size);
    }
    expect(sizes).toEqual([1, 1, 0]);
    expect(deltas).toMatchObject([{ service: 'service 3.0', upBytes: 5, downBytes: 5_000, connections: 1 }]);
    add(tables, 0, 3, 7);
    await hotSet.pass();
    expect(hotSet.size).toBe(1);
    expect(deltas.at(-1)).toMatchObject({ upBytes: 7, connections: 1 });
  });

  it('counts refusals over the end of their 32 bits', async () => {
    const tables = createSmallTables();
    const deltas: UsageDelta[] = [];
    const hotSet = createHotSet({
      tables,
      ownerOf: (row) => ownerOf(row, 0),
      fold: (more) => deltas.push(...more),
      presence: () => {},
    });
    const refusal = REFUSAL_OF_REASON[SERVICE_DISABLED] as number;
    for (const [count, more] of [
      [2 ** 31 - 1, 2 ** 31 - 1],
      [-(2 ** 31) + 4, 5],
      [3, 2 ** 31 - 1],
    ] as const) {
      tables.usage[0]?.setRefused(1, refusal, count);
      markDirty(tables, 0, 1);
      await hotSet.pass();
      expect(deltas.at(-1)?.refused).toEqual([['service_disabled', more]]);
    }
  });

  it('looks at none of a hundred thousand idle services', async () => {
    const tables = createSmallTables(100_000);
    const looked = new Map<number, number>();
    let owners = 0;
    const counted = { ...tables, usage: tables.usage.map((usage) => counting(usage, looked)) };
    const hotSet = createHotSet({
      tables: counted,
      ownerOf(row) {
        owners++;
        return ownerOf(row, 0);
      },
      fold: () => {},
      presence: () => {},
    });
    for (let pass = 0; pass < 10; pass++) await hotSet.pass();
    expect([looked.size, owners, hotSet.size]).toEqual([0, 0, 0]);
    for (const row of [17, 99_999]) add(tables, 0, row, 1);
    for (let pass = 0; pass < 10; pass++) await hotSet.pass();
    expect([...looked.keys()]).toEqual([17, 99_999]);
    expect([owners, hotSet.size]).toEqual([6, 0]);
    looked.clear();
    await hotSet.pass();
    expect(looked.size).toBe(0);
  });

  it('tells how many connections a service has, over all workers, when one of its rows was folded', async () => {
    const tables = createSmallTables();
    const told: [string, number][] = [];
    const hotSet = createHotSet({
      tables,
      // Row 5 is that of a user of the service in row 2.
      ownerOf: (row) => ({
        service: row === 5 ? 'service 2.0' : `service ${row}.0`,
        serviceRow: 2,
        username: '',
      }),
      fold: () => {},
      presence: (service, count) => told.push([service, count]),
    });
    tables.lists[0]?.addCount(LIST_SERVICE, 2, 3);
    tables.lists[1]?.addCount(LIST_SERVICE, 2, 4);
    markDirty(tables, 0, 5);
    await hotSet.pass();
    expect(told).toEqual([['service 2.0', 7]]);
    // The last one leaves after its row was looked at, but before the mark was taken away: it is seen all the same.
    tables.lists[0]?.addCount(LIST_SERVICE, 2, -3);
    tables.lists[1]?.addCount(LIST_SERVICE, 2, -4);
    markDirty(tables, 0, 5);
    await hotSet.pass();
    expect(told.at(-1)).toEqual(['service 2.0', 0]);
  });

  it('is through before a second pass begins, and lets others have their turn in a long one', async () => {
    const tables = createSmallTables(5_000);
    let folds = 0;
    const hotSet = createHotSet({
      tables,
      ownerOf: (row) => ownerOf(row, 0),
      fold: () => folds++,
      presence: () => {},
    });
    for (let row = 0; row < 5_000; row++) add(tables, 0, row, 1);
    const passing = hotSet.pass();
    expect(hotSet.pass()).toBe(passing);
    let foldsThen = 0;
    setImmediate(() => {
      foldsThen = folds;
    });
    await passing;
    expect(folds).toBe(3);
    expect(foldsThen).toBeGreaterThan(0);
    expect(foldsThen).toBeLessThan(3);
  });
});

function ownerOf(row: number, owned: number): RowOwner {
  return {
    service: `service ${row}.${owned}`,
    serviceRow: row,
    username: row % 2 === 0 ? '' : `user ${row}`,
  };
}

/** The same table, that counts by row how often it is asked or written. */
function counting<T extends object>(table: T, looked: Map<number, number>): T {
  return new Proxy(table, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (row: number, ...rest: unknown[]): unknown => {
        looked.set(row, (looked.get(row) ?? 0) + 1);
        return member.call(target, row, ...rest);
      };
    },
  });
}
