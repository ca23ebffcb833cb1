// Source entries against a Map: who is found, how often held, and that nothing is lost between the chains, the rings and
// the supplies. One thread plays several workers and the remover; test/real/source-contention.test.ts has real ones.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAPPED_WORD } from '../sys/socket-address.ts';
import { addressWord, NO_ENTRY, SourceIndex } from './source-index.ts';
import type { EntrySupply } from './source-index.ts';
import { ANY_SERVICE, SOURCE_DEAD, sourceType } from './source.ts';

const ENTRIES = 16;

interface Key {
  readonly service: number;
  readonly address: readonly [number, number, number, number];
}

/** Few buckets, so that chains are long; several services an address, so that its members are several. */
const ADDRESSES: readonly Key['address'][] = [
  [0, 0, MAPPED_WORD, 0x0a000001],
  [0, 0, MAPPED_WORD, 0x0a000002],
  [0x20010db8, 1, 0, 0],
  // Two of one /64, for services that tell clients apart by more: one address entry.
  [0x20010db8, 2, 0, 1],
  [0x20010db8, 2, 0, 2],
];
const KEYS: readonly Key[] = ADDRESSES.flatMap((address) =>
  [0, 1, 2].map((service) => ({ service, address })),
);

class Supply implements EntrySupply {
  readonly free: number[];
  readonly released: number[] = [];
  private readonly index: () => SourceIndex;

  constructor(free: number[], index: () => SourceIndex) {
    this.free = free;
    this.index = index;
  }

  take(): number {
    return this.free.pop() ?? NO_ENTRY;
  }

  keep(entry: number): void {
    this.free.push(entry);
  }

  release(entry: number): void {
    if (this.index().release(entry)) this.released.push(entry);
  }
}

function setUp(entries = ENTRIES) {
  const table = sourceType.attach(new SharedArrayBuffer(sourceType.recordBytes * entries), 0, entries);
  const buckets = new Int32Array(new SharedArrayBuffer(4 * 4));
  const index = new SourceIndex(table, buckets, Int32Array.of(1, 2, 3, 4));
  const supply = new Supply(
    Array.from({ length: entries }, (_, entry) => entry),
    () => index,
  );
  return { table, buckets, index, supply };
}
type Setup = ReturnType<typeof setUp>;

function hold({ index, supply }: Setup, { service, address }: Key): number {
  return index.hold(supply, service, ...address);
}

function addressEntryOf({ index }: Setup, [a0, a1, a2, a3]: Key['address']): number {
  return index.find(ANY_SERVICE, a0, a1, addressWord(a0, a1, a2, a2), addressWord(a0, a1, a2, a3));
}

/** As the sweeper does: what is out, with the address entries that lost their last member. */
function sweep({ index, table, supply }: Setup): void {
  const takeOut = (entry: number): void => {
    if (!index.condemn(entry)) return;
    index.takeOut([entry]);
    supply.free.push(entry);
    const addressEntry = table.addressEntry(entry);
    if (addressEntry !== NO_ENTRY && index.release(addressEntry)) takeOut(addressEntry);
  };
  for (const entry of supply.released.splice(0)) takeOut(entry);
}

/** Every chain, in order. */
function inChains({ table, buckets }: Setup): number[] {
  const found: number[] = [];
  for (const head of buckets) {
    for (let link = head; link !== 0; link = table.bucketNext(link - 1)) found.push(link - 1);
  }
  return found;
}

function membersOf({ table }: Setup, addressEntry: number): number[] {
  const found: number[] = [];
  for (let link = table.members(addressEntry); link !== 0; link = table.memberNext(link - 1))
    found.push(link - 1);
  return found;
}

describe('source entries', () => {
  it('agree with a Map under any order of holding, releasing and sweeping', () => {
    const step = fc.record({
      op: fc.constantFrom('hold', 'hold', 'release', 'sweep'),
      key: fc.nat(KEYS.length - 1),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const setup = setUp();
        const { table, index, supply } = setup;
        /** By number of the key: its entry and how often it is held. */
        const model = new Map<number, { entry: number; holders: number }>();
        for (const { op, key } of steps) {
          const wanted = KEYS[key] as Key;
          const known = model.get(key);
          if (op === 'hold') {
            const entry = hold(setup, wanted);
            if (entry === NO_ENTRY) expect(known).toBeUndefined();
            else if (known !== undefined) expect(entry).toBe(known.entry);
            if (entry !== NO_ENTRY) model.set(key, { entry, holders: (known?.holders ?? 0) + 1 });
          } else if (op === 'release' && known !== undefined && known.holders > 0) {
            supply.release(known.entry);
            known.holders--;
          } else if (op === 'sweep') {
            sweep(setup);
            for (const [other, { holders }] of model) if (holders === 0) model.delete(other);
          }
          const chains = inChains(setup);
          expect(new Set(chains).size).toBe(chains.length);
          // Nothing is lost: an entry is in a chain or free.
          expect(chains.length + supply.free.length).toBe(ENTRIES);
        }
        for (const [key, { service, address }] of KEYS.entries()) {
          const known = model.get(key);
          expect(index.find(service, ...address)).toBe(known?.entry ?? NO_ENTRY);
          if (known !== undefined) expect(table.holders(known.entry)).toBe(known.holders);
        }
        expectMembers(setup, model);
        for (const { entry, holders } of model.values()) {
          for (let i = 0; i < holders; i++) supply.release(entry);
        }
        sweep(setup);
        sweep(setup);
        expect([inChains(setup).length, supply.free.length]).toEqual([0, ENTRIES]);
      }),
      { numRuns: 400 },
    );
  });

  it('are refused where the table is full, and nothing is taken for them', () => {
    const setup = setUp(3);
    const [first, second, third] = [KEYS[0], KEYS[1], KEYS[3]] as [Key, Key, Key];
    expect(hold(setup, first)).not.toBe(NO_ENTRY);
    // The second key shares the address entry of the first; the third would need two entries.
    expect(hold(setup, second)).not.toBe(NO_ENTRY);
    expect(hold(setup, third)).toBe(NO_ENTRY);
    expect(hold(setup, first)).not.toBe(NO_ENTRY);
    setup.supply.release(setup.index.find(second.service, ...second.address));
    sweep(setup);
    // One is free, and the third still needs two: the one is given back.
    expect(hold(setup, third)).toBe(NO_ENTRY);
    expect(setup.supply.free.length).toBe(1);
    expect(hold(setup, second)).not.toBe(NO_ENTRY);
  });

  it('stay where somebody holds them again before they are taken out', () => {
    const setup = setUp();
    const key = KEYS[4] as Key;
    const entry = hold(setup, key);
    setup.supply.release(entry);
    expect(hold(setup, key)).toBe(entry);
    sweep(setup);
    expect(setup.index.find(key.service, ...key.address)).toBe(entry);
    setup.supply.release(entry);
    expect(setup.supply.released).toEqual([entry]);
    sweep(setup);
    expect(setup.index.find(key.service, ...key.address)).toBe(NO_ENTRY);
    expect(setup.table.holders(entry)).toBe(SOURCE_DEAD);
  });

  it('are made once where two workers are at it at the same time', () => {
    // The second worker comes in between, when the first one takes an entry for what it has not found.
    for (const withService of [0, ANY_SERVICE]) {
      const setup = setUp();
      const { index, supply, table } = setup;
      const key = { service: withService, address: (KEYS[0] as Key).address };
      const other = new Supply(supply.free.splice(0, 8), () => index);
      let rival = NO_ENTRY;
      const slow: EntrySupply = {
        take() {
          if (rival === NO_ENTRY) rival = index.hold(other, key.service, ...key.address);
          return supply.take();
        },
        keep: (entry) => supply.keep(entry),
        release: (entry) => supply.release(entry),
      };
      expect(index.hold(slow, key.service, ...key.address)).toBe(rival);
      expect(table.holders(rival)).toBe(2);
      supply.release(rival);
      supply.release(rival);
      sweep(setup);
      expect(inChains(setup)).toEqual([]);
      expect(supply.free.length + other.free.length).toBe(ENTRIES);
    }
  });
});

/** The entries of an address are exactly its members, over all services. */
function expectMembers(setup: Setup, model: ReadonlyMap<number, { entry: number }>): void {
  for (const address of ADDRESSES) {
    const expected = [...model]
      .filter(([key]) => addressEntryOfKey(setup, key) === addressEntryOf(setup, address))
      .map(([, { entry }]) => entry);
    const addressEntry = addressEntryOf(setup, address);
    if (addressEntry === NO_ENTRY) {
      expect(expected).toEqual([]);
      continue;
    }
    expect(new Set(membersOf(setup, addressEntry))).toEqual(new Set(expected));
    expect(setup.table.holders(addressEntry)).toBe(expected.length);
  }
}

function addressEntryOfKey(setup: Setup, key: number): number {
  return addressEntryOf(setup, (KEYS[key] as Key).address);
}
