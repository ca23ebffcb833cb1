// What a block is built with besides its rules. Compiler thread.

import type { Network } from '../rule.ts';

export interface BuildContext {
  /** Keys of the names' hashes (layout/name-hash.ts). */
  readonly keys: Int32Array;
  /** Networks of a country (upper case), or of an autonomous system; none where the file has none. */
  readonly country: (code: string) => readonly Network[];
  readonly system: (asn: number) => readonly Network[];
}

/** What rules refer to by number. */
export interface References {
  /** @throws RangeError for a tag that nobody has defined: the checker has refused it */
  readonly setOf: (tag: string) => number;
  /** Merged groups that rules of the set have conditions in, as bits. */
  readonly groupsOf: (tag: string) => number;
  readonly externalOf: (url: string) => number;
}
