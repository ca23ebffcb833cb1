import { describe, expect, it } from 'vitest';
import { parseIp } from '../layout/ip-address.ts';
import { containsIn } from '../layout/network-set.ts';
import { createSourcesArena } from './sources-arena.ts';

function setUp(words = 1024) {
  const networks = new Int32Array(words);
  const waiting: (() => void)[] = [];
  const quiescence = { whenQuiescent: () => new Promise<void>((resolve) => waiting.push(resolve)) };
  const arena = createSourcesArena(networks, quiescence);
  const quiesce = async () => {
    for (const resolve of waiting.splice(0)) resolve();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const isAllowed = (start: number, address: string) => {
    const [a, b, c, d] = parseIp(address) as Int32Array;
    return containsIn(
      networks,
      start + 1,
      networks[start] as number,
      a as number,
      b as number,
      c as number,
      d as number,
    );
  };
  return { networks, arena, quiesce, isAllowed };
}

describe('source networks in shared memory', () => {
  it('are one block for all that have the same ones, in any order', () => {
    const { arena, isAllowed } = setUp();
    const start = arena.hold(['10.0.0.0/8', '2001:db8::/32']);
    expect(start).toBeGreaterThan(0);
    expect(arena.hold(['2001:db8::/32', '10.0.0.0/8', '10.0.0.0/8'])).toBe(start);
    expect(arena.hold(['10.0.0.0/8'])).not.toBe(start);
    expect(arena.hold([])).toBe(0);
    expect(
      ['10.1.2.3', '2001:db8::1', '11.0.0.1', '2001:db9::1'].map((one) => isAllowed(start, one)),
    ).toEqual([true, true, false, false]);
  });

  it('stay where they are until their last holder has gone and no worker can look at them', async () => {
    const { arena, quiesce, isAllowed } = setUp();
    const before = arena.wordsUsed;
    const start = arena.hold(['10.0.0.0/8']);
    arena.hold(['10.0.0.0/8']);
    arena.release(start);
    expect(arena.hold(['10.0.0.0/8'])).toBe(start);
    arena.release(start);
    arena.release(start);
    const other = arena.hold(['192.168.0.0/16']);
    expect(other).not.toBe(start);
    expect(isAllowed(start, '10.0.0.1')).toBe(true);
    arena.release(other);
    await quiesce();
    await quiesce();
    expect(arena.wordsUsed).toBe(before);
    expect(arena.hold(['172.16.0.0/12'])).toBe(start);
  });

  it('are refused where there is no room, which changes nothing', () => {
    const { arena } = setUp(64);
    const many = Array.from({ length: 20 }, (_, index) => `10.${index * 2}.0.0/16`);
    const before = arena.wordsUsed;
    expect(() => arena.hold(many)).toThrow(expect.objectContaining({ code: 'table_full' }));
    expect(arena.wordsUsed).toBe(before);
    expect(arena.hold(['10.0.0.0/8'])).toBeGreaterThan(0);
  });
});
