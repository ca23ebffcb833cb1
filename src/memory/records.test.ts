import { describe, expect, test } from 'vitest';
import { atomic, defineRecords, f64, f64s, i32, words } from './records.ts';

const type = defineRecords('Sample', { a: i32, b: f64, c: words(3), d: atomic, e: f64s(2), f: i32 });

describe('records', () => {
  test('fields keep apart, records keep apart', () => {
    const table = type.attach(new SharedArrayBuffer(type.recordBytes * 3), 0, 3);
    for (let r = 0; r < 3; r++) {
      table.setA(r, r + 1);
      table.setB(r, 2 ** 40 + r);
      for (let k = 0; k < 3; k++) table.setC(r, k, -(r * 10 + k));
      table.setD(r, 100 + r);
      table.setE(r, 0, 0.5 + r);
      table.setE(r, 1, 1.5 + r);
      table.setF(r, -1 - r);
    }
    for (let r = 0; r < 3; r++) {
      expect([table.a(r), table.b(r), table.d(r), table.e(r, 0), table.e(r, 1), table.f(r)]).toEqual([
        r + 1,
        2 ** 40 + r,
        100 + r,
        0.5 + r,
        1.5 + r,
        -1 - r,
      ]);
      for (let k = 0; k < 3; k++) expect(table.c(r, k)).toBe(-(r * 10 + k) | 0);
    }
    table.clear(1);
    expect(table.b(1)).toBe(0);
    expect(table.f(0)).toBe(-1);
    expect(table.a(2)).toBe(3);
  });

  test('adding and swapping', () => {
    const table = type.attach(new SharedArrayBuffer(type.recordBytes), 0, 1);
    table.addA(0, 5);
    table.addB(0, 7.5);
    expect(table.addD(0, 3)).toBe(0);
    expect(table.swapD(0, 3, 9)).toBe(3);
    expect(table.swapD(0, 3, 11)).toBe(9);
    expect([table.a(0), table.b(0), table.d(0)]).toEqual([5, 7.5, 9]);
  });

  test('a record is whole cache lines, and a view that does not fit is refused', () => {
    expect(type.recordBytes % 64).toBe(0);
    expect(() => type.attach(new SharedArrayBuffer(type.recordBytes), 0, 2)).toThrow(RangeError);
    expect(() => type.attach(new SharedArrayBuffer(type.recordBytes * 2), 4, 1)).toThrow(RangeError);
  });

  test('two views of the same bytes see the same records', () => {
    const buffer = new SharedArrayBuffer(type.recordBytes);
    const one = type.attach(buffer, 0, 1);
    const other = type.attach(buffer, 0, 1);
    one.setA(0, 42);
    expect(other.a(0)).toBe(42);
  });
});
