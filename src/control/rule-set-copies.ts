// Last-good copies of rule sets and geo files, in a directory beside the store: what was fetched, or read from a file, and
// compiled last. A start does not depend on somebody else's server, and a broken list changes nothing: what is in force can
// be compiled again whatever has become of the file. Of each: the content, and beside it what is known of it.
//
//   <name>.<n>.new ──compiled──► <name>      renamed: a copy is the old one or the new one
//                                <name>.json what it holds, and its validators: a copy that holds something else is none
//
// Control thread.

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readContent, areSameBytes } from './rule-set-content.ts';
import type { ReadingOrder, RuleSetContent } from './rule-set-content.ts';
import type { Validators } from './rule-set-fetch.ts';
import type { Origin } from './rule-set-origin.ts';

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const NAME_DIGITS = 32;

export interface CopyNotes extends Validators {
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly fetchedAtMs: number;
}

export interface RuleSetCopies {
  /** Where the copy of this origin is, or will be. */
  pathOf(origin: Origin): string;
  /** Where something is fetched or copied to; nobody else writes there. To be kept or discarded. */
  newPathOf(origin: Origin): Promise<string>;
  /** What is there is no longer wanted, if it is anything of ours. Never rejects. */
  discard(path: string): Promise<void>;
  /** undefined: there is none, or it is damaged. */
  find(origin: Origin, formatOf: ReadingOrder['formatOf']): Promise<FoundCopy | undefined>;
  /** What is at a new path is the copy from now on. */
  keep(origin: Origin, path: string, notes: CopyNotes): Promise<void>;
  /** Of all others nothing is left. Never rejects. */
  retain(origins: readonly Origin[]): Promise<void>;
}

export interface FoundCopy {
  readonly content: RuleSetContent;
  readonly notes: CopyNotes;
}

/** @param storePath of the store */
export function createRuleSetCopies(storePath: string): RuleSetCopies {
  const directory = `${storePath}.rule-sets`;
  /** Names of new ones. */
  const underWay = new Set<string>();
  let count = 0;
  /** New files from before are nobody's; what came since may be another's, who is just writing it. */
  const openedAtMs = Date.now();

  async function isLeftBehind(file: string): Promise<boolean> {
    if (underWay.has(file)) return false;
    const written = await stat(join(directory, file)).catch(() => undefined);
    return written !== undefined && written.mtimeMs < openedAtMs;
  }

  function pathOf(origin: Origin): string {
    return join(directory, nameOf(origin));
  }

  async function notesOf(origin: Origin): Promise<CopyNotes | undefined> {
    try {
      return notesIn(JSON.parse(await readFile(`${pathOf(origin)}.json`, 'utf8')));
    } catch {
      return undefined;
    }
  }

  return {
    pathOf,
    async newPathOf(origin) {
      await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
      const name = `${nameOf(origin)}.${++count}.new`;
      underWay.add(name);
      return join(directory, name);
    },
    async discard(path) {
      if (!underWay.delete(basename(path))) return;
      await rm(path, { force: true }).catch(() => {});
    },
    async find(origin, formatOf) {
      const notes = await notesOf(origin);
      if (notes === undefined) return undefined;
      const path = pathOf(origin);
      try {
        const { tag, from } = origin;
        const content = await readContent({ tag, fileName: from, path, keptPath: path, formatOf });
        return areSameBytes(notes.version, content.version) ? { content, notes } : undefined;
      } catch {
        return undefined;
      }
    },
    async keep(origin, newPath, notes) {
      const path = pathOf(origin);
      await rename(newPath, path);
      underWay.delete(basename(newPath));
      await writeFile(`${path}.json.new`, JSON.stringify(notes), { mode: FILE_MODE });
      await rename(`${path}.json.new`, `${path}.json`);
    },
    async retain(origins) {
      const names = new Set(origins.map(nameOf));
      const present = await readdir(directory).catch(() => []);
      for (const file of present) {
        // Somebody else may keep something there; whoever does, names it otherwise.
        if (!/^[0-9a-f]{32}\b/.test(file)) continue;
        const isOver = file.endsWith('.new')
          ? await isLeftBehind(file)
          : !names.has(file.slice(0, NAME_DIGITS));
        if (isOver) await rm(join(directory, file), { force: true }).catch(() => {});
      }
    },
  };
}

/** Of the address as well: one list must not stand in for another. */
function nameOf({ tag, isGeo, path, url }: Origin): string {
  const of = path === undefined ? `${tag}\n${url}` : `${isGeo ? 'geo' : 'file'}\n${tag}\n${path}`;
  return createHash('sha256').update(of).digest('hex').slice(0, NAME_DIGITS);
}

/** Somebody may have edited the file. */
function notesIn(value: unknown): CopyNotes | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { version, fetchedAtMs, etag, lastModified } = value as Record<string, unknown>;
  if (typeof version !== 'string' || typeof fetchedAtMs !== 'number') return undefined;
  const text = (one: unknown) => (typeof one === 'string' ? one : undefined);
  return { version, fetchedAtMs, etag: text(etag), lastModified: text(lastModified) };
}
