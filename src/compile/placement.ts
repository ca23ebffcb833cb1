// Where blocks lie in the arena of rules, and which snapshot needs which. A set's block is shared by all snapshots that hold
// the same version of it; it goes when none does and the last job that succeeded does not either. Compiler thread: the only
// one that writes the arena.

import type { ArenaBlock } from '../layout/compiler-messages.ts';
import { createArena } from '../memory/arena.ts';
import type { RuleSetRules } from './rule.ts';

/** A rule set that has been compiled. */
export interface PlacedSet {
  readonly version: string;
  readonly at: number;
  readonly words: number;
  /** NEED_* bits; merged groups that its rules have conditions in, as bits. */
  readonly needs: number;
  readonly groups: number;
  readonly domains: number;
  readonly networks: number;
  readonly rules: number;
  /** What it says, for explanations. */
  readonly content: RuleSetRules;
}

export interface Placement {
  set(version: string): PlacedSet | undefined;
  /** Copies a set's block into the arena. @returns false where there is no room */
  placeSet(set: Omit<PlacedSet, 'at' | 'words'>, block: Int32Array): boolean;
  /** Room for a snapshot. @returns where it begins, or -1 */
  placeSnapshot(snapshotId: number, words: number, sets: readonly string[]): number;
  blocksOf(snapshotId: number): readonly ArenaBlock[];
  /** A snapshot that nobody reads any more. */
  release(snapshotId: number): void;
  /** Sets that nothing refers to go; `newest`: versions that the last job holds. */
  sweep(newest: ReadonlySet<string>): void;
  /** Versions that the last job which succeeded holds. */
  readonly newest: ReadonlySet<string>;
  readonly wordsUsed: number;
}

/** @param kept blocks of a thread before, which are still read */
export function createPlacement(
  arenaWords: Int32Array,
  kept: readonly { readonly snapshotId: number; readonly blocks: readonly ArenaBlock[] }[],
): Placement {
  const arena = createArena(arenaWords.length);
  const sets = new Map<string, PlacedSet>();
  const snapshots = new Map<number, { readonly block: ArenaBlock; readonly sets: readonly string[] }>();
  /** Of the thread before: how many snapshots hold a block, by where it begins. */
  const inherited = new Map<number, number>();
  const inheritedBlocks = new Map<number, readonly ArenaBlock[]>();
  let newest: ReadonlySet<string> = new Set();

  for (const { snapshotId, blocks } of kept) {
    inheritedBlocks.set(snapshotId, blocks);
    for (const { at, words } of blocks) {
      const holders = inherited.get(at) ?? 0;
      inherited.set(at, holders + 1);
      if (holders === 0 && !arena.reserve(at, words))
        throw new RangeError(`a block at ${at} lies on another`);
    }
  }

  function sweepSets(): void {
    const held = new Set(newest);
    for (const snapshot of snapshots.values()) for (const version of snapshot.sets) held.add(version);
    for (const [version, { at }] of sets) {
      if (held.has(version)) continue;
      arena.release(at);
      sets.delete(version);
    }
  }

  function releaseInherited(blocks: readonly ArenaBlock[]): void {
    for (const { at } of blocks) {
      const holders = (inherited.get(at) as number) - 1;
      inherited.set(at, holders);
      if (holders > 0) continue;
      inherited.delete(at);
      arena.release(at);
    }
  }

  return {
    set: (version) => sets.get(version),
    placeSet(set, block) {
      const at = arena.allocate(block.length);
      if (at < 0) return false;
      arenaWords.set(block, at);
      sets.set(set.version, { ...set, at, words: block.length });
      return true;
    },
    placeSnapshot(snapshotId, words, versions) {
      const at = arena.allocate(words);
      if (at >= 0) snapshots.set(snapshotId, { block: { at, words }, sets: versions });
      return at;
    },
    blocksOf(snapshotId) {
      const snapshot = snapshots.get(snapshotId);
      if (snapshot === undefined) return [];
      const versions = [...new Set(snapshot.sets)];
      return [
        snapshot.block,
        ...versions.map((version) => {
          const { at, words } = sets.get(version) as PlacedSet;
          return { at, words };
        }),
      ];
    },
    release(snapshotId) {
      const snapshot = snapshots.get(snapshotId);
      if (snapshot !== undefined) {
        snapshots.delete(snapshotId);
        arena.release(snapshot.block.at);
        sweepSets();
        return;
      }
      const blocks = inheritedBlocks.get(snapshotId);
      if (blocks === undefined) return;
      inheritedBlocks.delete(snapshotId);
      releaseInherited(blocks);
    },
    sweep(versions) {
      newest = versions;
      sweepSets();
    },
    get newest() {
      return newest;
    },
    get wordsUsed() {
      return arena.wordsUsed;
    },
  };
}
