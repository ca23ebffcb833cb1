// Tells when files have changed, and are at rest again: whoever writes a file writes it in pieces, and half a list of whom
// to reject lets the other half through. Their directories are watched, which also sees a file that is replaced by another
// of its name, and every few seconds each is looked at, for file systems that tell nothing. Looks are at least LOOK_MS apart,
// however much happens in a directory. Control thread.
//
//   as seen last ──another stamp──► restless ──the same one for REST_MS──► changed(path)
//                                    └── for RESTLESS_MS ──► restless(path), and again

import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import { stampOf } from './rule-set-content.ts';

const LOOK_MS = 200;
const LOOK_EVERY_MS = 5_000;
const REST_MS = 1_000;
export const RESTLESS_MS = 30_000;

export interface FileWatch {
  /** From now on exactly these; they have been read when their stamps were these. */
  set(stamps: ReadonlyMap<string, string>): void;
  close(): void;
}

export interface FileWatchInit {
  /** It is another file, or there is none any more, or what is there is none. */
  readonly changed: (path: string) => void;
  /** It has been changing all the time. */
  readonly restless: (path: string) => void;
  readonly nowMs?: () => number;
}

interface Watched {
  readonly path: string;
  /** As it was when it was told of last. */
  stamp: string;
  restless: { readonly stamp: string; readonly sinceMs: number; toldMs: number } | undefined;
  isLookedAt: boolean;
}

export function createFileWatch({
  changed,
  restless,
  nowMs = () => performance.now(),
}: FileWatchInit): FileWatch {
  const watchers = new Map<string, FSWatcher>();
  let files: readonly Watched[] = [];
  let next: NodeJS.Timeout | undefined;
  let nextAtMs = Number.POSITIVE_INFINITY;
  let looking: NodeJS.Timeout | undefined;

  /** One that is under way stays: something that happens all the time must not put it off. */
  function lookIn(delayMs: number): void {
    const atMs = performance.now() + delayMs;
    if (atMs >= nextAtMs) return;
    clearTimeout(next);
    nextAtMs = atMs;
    next = setTimeout(() => {
      nextAtMs = Number.POSITIVE_INFINITY;
      lookAtAll();
    }, delayMs).unref();
  }

  function lookAtAll(): void {
    for (const file of files) void lookAt(file);
  }

  async function lookAt(file: Watched): Promise<void> {
    // A file system that hangs costs one look.
    if (file.isLookedAt) return;
    file.isLookedAt = true;
    const stamp = await stampOf(file.path).catch((error: Error) => error.message);
    file.isLookedAt = false;
    if (!files.includes(file)) return;
    if (stamp === file.stamp) {
      file.restless = undefined;
      return;
    }
    const atMs = nowMs();
    const before = file.restless;
    if (before?.stamp === stamp && atMs - before.sinceMs >= REST_MS) {
      file.stamp = stamp;
      file.restless = undefined;
      changed(file.path);
      return;
    }
    const sinceMs = before?.stamp === stamp ? before.sinceMs : atMs;
    file.restless = { stamp, sinceMs, toldMs: before?.toldMs ?? atMs };
    if (atMs - file.restless.toldMs >= RESTLESS_MS) {
      file.restless.toldMs = atMs;
      restless(file.path);
    }
    lookIn(Math.max(0, sinceMs + REST_MS - atMs) + 10);
  }

  function watchDirectory(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => lookIn(LOOK_MS));
      watcher.on('error', () => {
        // The directory has gone, or there are too many watches: it is still looked at.
        watcher.close();
        watchers.delete(directory);
      });
      watchers.set(directory, watcher);
    } catch {
      // As above.
    }
  }

  function close(): void {
    files = [];
    for (const watcher of watchers.values()) watcher.close();
    watchers.clear();
    clearTimeout(next);
    nextAtMs = Number.POSITIVE_INFINITY;
    clearInterval(looking);
  }

  return {
    set(stamps) {
      files = [...stamps].map(([path, stamp]) => ({ path, stamp, restless: undefined, isLookedAt: false }));
      const directories = new Set([...stamps.keys()].map((path) => dirname(path)));
      for (const [directory, watcher] of watchers) {
        if (directories.has(directory)) continue;
        watcher.close();
        watchers.delete(directory);
      }
      for (const directory of directories) if (!watchers.has(directory)) watchDirectory(directory);
      clearInterval(looking);
      looking = files.length === 0 ? undefined : setInterval(lookAtAll, LOOK_EVERY_MS).unref();
      // They may have changed since.
      if (files.length > 0) lookIn(LOOK_MS);
    },
    close,
  };
}
