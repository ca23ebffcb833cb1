// Small tables of what rules know by name or by a small number: keyed hashes of names, and values. Compiler thread.

import type { Bits, Classes } from './classes.ts';
import { classOf } from './classes.ts';

/** By two words of a keyed hash: a class. Layout: layout/rules.ts. */
export function hashTable(
  entries: ReadonlyMap<string, Bits>,
  hashOf: (name: string) => Int32Array,
  classes: Classes,
): Int32Array {
  const slots = 2 ** Math.ceil(Math.log2(entries.size * 2 + 1));
  const words = new Int32Array(1 + slots * 3);
  words[0] = slots - 1;
  for (const [name, bits] of entries) {
    const hash = hashOf(name);
    let slot = (hash[0] as number) & (slots - 1);
    while (words[1 + slot * 3 + 2] !== 0) slot = (slot + 1) & (slots - 1);
    words[1 + slot * 3] = hash[0] as number;
    words[1 + slot * 3 + 1] = hash[1] as number;
    words[1 + slot * 3 + 2] = classOf(bits, classes) + 1;
  }
  return words;
}

/** By value below `count`: class + 1. */
export function valueTable(entries: ReadonlyMap<number, Bits>, count: number, classes: Classes): Int32Array {
  return Int32Array.from({ length: count }, (_, value) => classOf(entries.get(value), classes) + 1);
}
