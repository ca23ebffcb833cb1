// Small tables of what rules know by name or by a small number: keyed hashes of names, and values. Compiler thread.

import type { Classes } from './classes.ts';
import { EMPTY_CLASS } from './classes.ts';

/** By two words of a keyed hash: a class. Layout: layout/rules.ts. */
export function hashTable(
  entries: ReadonlyMap<string, number>,
  hashOf: (name: string) => Int32Array,
): Int32Array {
  const slots = 2 ** Math.ceil(Math.log2(entries.size * 2 + 1));
  const words = new Int32Array(1 + slots * 3);
  words[0] = slots - 1;
  for (const [name, number] of entries) {
    const hash = hashOf(name);
    let slot = (hash[0] as number) & (slots - 1);
    while (words[1 + slot * 3 + 2] !== 0) slot = (slot + 1) & (slots - 1);
    words[1 + slot * 3] = hash[0] as number;
    words[1 + slot * 3 + 1] = hash[1] as number;
    words[1 + slot * 3 + 2] = number + 1;
  }
  return words;
}

/** By value below `count`: class + 1. */
export function valueTable(entries: ReadonlyMap<number, number>, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, value) => (entries.get(value) ?? EMPTY_CLASS) + 1);
}

/** Puts one more bit to what a key has. */
export function addBit<Key>(entries: Map<Key, number>, key: Key, bit: number, classes: Classes): void {
  entries.set(key, classes.plusBit(entries.get(key) ?? EMPTY_CLASS, bit));
}
