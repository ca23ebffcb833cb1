// What passwords are verified against where there is nothing to verify: hashes that no password has, one for each cost
// that the configured ones have, so that an unknown user name costs what a known one does (verifier.ts). Where costs
// differ, a name must always meet the same one, as a known name does. Control thread only.

import { randomBytes } from 'node:crypto';
import type { ScryptHash } from '../policy/scrypt-hash.ts';

interface Decoy {
  /** Configured hashes of this cost. */
  count: number;
  readonly hash: ScryptHash;
}

export interface Decoys {
  add(like: ScryptHash): void;
  remove(like: ScryptHash): void;
  /** @param choice any 32-bit word */
  choose(choice: number): ScryptHash | undefined;
}

export function createDecoys(): Decoys {
  const decoys = new Map<string, Decoy>();

  return {
    add(like) {
      const decoy = decoys.get(costOf(like));
      if (decoy !== undefined) {
        decoy.count++;
        return;
      }
      const salt = randomBytes(like.salt.length);
      decoys.set(costOf(like), { count: 1, hash: { ...like, salt, hash: randomBytes(like.hash.length) } });
    },
    remove(like) {
      const decoy = decoys.get(costOf(like));
      if (decoy !== undefined && --decoy.count === 0) decoys.delete(costOf(like));
    },
    choose(choice) {
      if (decoys.size === 0) return undefined;
      return [...decoys.values()][(choice >>> 0) % decoys.size]?.hash;
    },
  };
}

/** All that decides how long it takes. */
function costOf({ costLog2, blockSize, parallelization, hash }: ScryptHash): string {
  return `${costLog2}.${blockSize}.${parallelization}.${hash.length}`;
}
