import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classOfName } from '../../match/domains.ts';
import { Query } from '../../match/query.ts';
import { Classes } from './classes.ts';
import { DomainTable } from './domains.ts';
import { createRandom } from './random-rules.ts';

const SEED = 0x1234567;
/** Not at 0, so that an offset taken for a place is noticed. */
const AT = 13;

interface Written {
  readonly name: string;
  readonly isBelow: boolean;
  readonly bit: number;
}

function placed(written: readonly Written[]) {
  const classes = new Classes();
  const table = new DomainTable(classes);
  for (const { name, isBelow, bit } of written) {
    if (isBelow) table.addBelow(name, bit);
    else table.addItself(name, bit);
  }
  const words = table.words(SEED);
  const arena = new Int32Array(AT + words.length);
  arena.set(words, AT);
  const bytes = new Uint8Array(arena.buffer);
  const query = new Query();
  return {
    words,
    bitsOf(name: string): readonly number[] {
      query.clear();
      query.name.set(Buffer.from(name, 'latin1'));
      query.nameBytes = name.length;
      return classes.bitsOf(classOfName(arena, bytes, AT, SEED, query));
    },
  };
}

function expected(written: readonly Written[], name: string): number[] {
  const bits = written
    .filter((one) => (one.isBelow ? name.endsWith(`.${one.name}`) : name === one.name))
    .map(({ bit }) => bit);
  return [...new Set(bits)].sort((a, b) => a - b);
}

const label = fc.constantFrom('a', 'b', 'ab', 'com', 'net', 'x_1', 'xn--p1ai', '0');
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
const written = fc.record({ name, isBelow: fc.boolean(), bit: fc.nat(40) });

describe('a domain table', () => {
  it('answers what a walk over all names and ends does', () => {
    fc.assert(
      fc.property(fc.array(written, { minLength: 1, maxLength: 40 }), fc.array(name), (names, asked) => {
        const table = placed(names);
        for (const one of [...asked, ...names.map((each) => each.name)]) {
          expect(table.bitsOf(one)).toEqual(expected(names, one));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('tells names apart that share an end, a beginning, or all but a byte', () => {
    const ends = ['one', 'two', 'three', 'four', 'five'].map((first) => `${first}.co.uk`);
    const table = placed([...ends, 'co.uk.example'].map((each) => ({ name: each, isBelow: false, bit: 0 })));
    for (const each of ends) expect(table.bitsOf(each)).toEqual([0]);
    for (const other of [
      'co.uk',
      'uk',
      'sone.co.uk',
      'one.xco.uk',
      'one-co.uk',
      'onf.co.uk',
      'one.co.ul',
      'a.one.co.uk',
    ]) {
      expect(table.bitsOf(other)).toEqual([]);
    }
  });

  it('takes any bytes that a client may send for a name', () => {
    const table = placed([{ name: 'example.com', isBelow: true, bit: 3 }]);
    expect(table.bitsOf('\u0000\u00ff.example.com')).toEqual([3]);
    expect(table.bitsOf('.example.com')).toEqual([3]);
    expect(table.bitsOf('exampl\u00e5.com')).toEqual([]);
    expect(table.bitsOf('..')).toEqual([]);
    // 127 dots: more ends than a name may have.
    expect(table.bitsOf(`${'.'.repeat(240)}example.com`)).toEqual([3]);
  });

  it('does not let a longer end hide a shorter one', () => {
    const table = placed([
      { name: 'com', isBelow: true, bit: 0 },
      { name: 'a.com', isBelow: false, bit: 1 },
      { name: 'b.a.com', isBelow: true, bit: 2 },
    ]);
    expect(table.bitsOf('a.com')).toEqual([0, 1]);
    expect(table.bitsOf('b.a.com')).toEqual([0]);
    expect(table.bitsOf('c.b.a.com')).toEqual([0, 2]);
  });

  it('takes at most 20 bytes a domain where there are 100,000 of them', () => {
    const random = createRandom(1);
    const word = (length: number) =>
      Array.from({ length }, () => 'abcdefghijklmnopqrstuvwxyz0123456789-'.charAt(random.below(36))).join('');
    const tops = ['com', 'net', 'org', 'de', 'ru', 'co.uk', 'com.br', 'info', 'xyz', 'io'];
    const names = Array.from({ length: 100_000 }, () =>
      [
        ...random.some(0.3, 1, () => word(2 + random.below(6))),
        word(5 + random.below(11)),
        random.pick(tops),
      ].join('.'),
    );
    const { words } = placed(names.map((each) => ({ name: each, isBelow: true, bit: 0 })));
    expect((words.length * 4) / 100_000).toBeLessThan(20);
  });
});
