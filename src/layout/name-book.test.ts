import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NameBook } from './name-book.ts';
import type { ObjectName } from './name-book.ts';

const service = (index: number, generation: number, name: string): ObjectName => {
  return { kind: 'service', index, generation, name };
};

describe('the book of names', () => {
  it('names an object by its generation, until its index was given away twice', () => {
    const book = new NameBook();
    book.add([service(1, 1, 'first'), { kind: 'user', index: 1, generation: 1, name: 'somebody' }]);
    book.add([service(1, 3, 'second')]);
    expect([1, 3, 5].map((generation) => book.find('service', 1, generation))).toEqual([
      'first',
      'second',
      null,
    ]);
    book.add([service(1, 5, 'third')]);
    expect([1, 3, 5].map((generation) => book.find('service', 1, generation))).toEqual([
      null,
      'second',
      'third',
    ]);
    expect(book.find('user', 1, 1)).toBe('somebody');
  });

  it('says the same after everything was told to it, or to another book, once more', () => {
    const index = fc.nat(3);
    const given = fc.array(fc.record({ index, name: fc.string({ maxLength: 3 }) }), { maxLength: 20 });
    fc.assert(
      fc.property(given, (names) => {
        const book = new NameBook();
        const generations = [1, 1, 1, 1];
        for (const { index: at, name } of names) {
          book.add([service(at, generations[at] as number, name)]);
          generations[at] = (generations[at] as number) + 2;
        }
        const said = (one: NameBook) =>
          generations.flatMap((last, at) =>
            Array.from({ length: last }, (_, generation) => one.find('service', at, generation)),
          );
        const other = new NameBook();
        other.add(book.all());
        const before = said(book);
        expect(said(other)).toEqual(before);
        book.add(book.all());
        expect(said(book)).toEqual(before);
      }),
    );
  });
});
