// Tells when files may have changed: their directories are watched, which also sees a file that is replaced by another of
// its name, and every few seconds each is looked at, for file systems that tell nothing. Control thread.

import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { dirname } from 'node:path';

/** Whoever writes a file writes it in pieces. */
const DEBOUNCE_MS = 200;
const LOOK_EVERY_MS = 5_000;

export interface FileWatch {
  /** From now on exactly these. */
  set(paths: readonly string[]): void;
  close(): void;
}

/** @param look is called when any of the files may have changed; whether they have is for the caller to see */
export function createFileWatch(look: () => void): FileWatch {
  const watchers = new Map<string, FSWatcher>();
  let debounce: NodeJS.Timeout | undefined;
  let looking: NodeJS.Timeout | undefined;

  function soon(): void {
    clearTimeout(debounce);
    debounce = setTimeout(look, DEBOUNCE_MS).unref();
  }

  function watchDirectory(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, soon);
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

  return {
    set(paths) {
      const directories = new Set(paths.map((path) => dirname(path)));
      for (const [directory, watcher] of watchers) {
        if (directories.has(directory)) continue;
        watcher.close();
        watchers.delete(directory);
      }
      for (const directory of directories) if (!watchers.has(directory)) watchDirectory(directory);
      clearInterval(looking);
      looking = paths.length === 0 ? undefined : setInterval(look, LOOK_EVERY_MS).unref();
    },
    close() {
      for (const watcher of watchers.values()) watcher.close();
      watchers.clear();
      clearTimeout(debounce);
      clearInterval(looking);
    },
  };
}
