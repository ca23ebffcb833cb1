// What the interpreter needs beside rules and rule sets, from the parts that the compiler has: networks of places, and the
// machines of regular expressions, because an expression of an operator is not to run in time that nobody has bounded.

import { matchesRegex } from '../match/regex.ts';
import type { BuildContext } from './build/context.ts';
import { buildRegex } from './build/regex-machine.ts';
import type { Beyond } from './items.ts';

/** One answers one explanation: each expression is built once. Those that rules hold have been checked. */
export function createBeyond({ country, system }: Pick<BuildContext, 'country' | 'system'>): Beyond {
  const machines = new Map<string, Int32Array | undefined>();
  return {
    networksOf: (place) => (typeof place === 'string' ? country(place) : system(place)),
    matchesRegex(expression, name) {
      if (!machines.has(expression)) {
        const machine = buildRegex(expression);
        machines.set(expression, 'wrong' in machine ? undefined : machine);
      }
      const machine = machines.get(expression);
      const bytes = Buffer.from(name, 'latin1');
      return machine !== undefined && matchesRegex(machine, 0, bytes, bytes.length);
    },
  };
}
