// Last-good copies of rule sets that come from the network, in a directory beside the store: what was fetched and compiled
// last. A start does not depend on somebody else's server, and a broken list changes nothing. Of each: the content, and
// beside it what its server said of it. Control thread.
//
//   <name>.new ──compiled──► <name>      renamed: a copy is the old one or the new one
//                            <name>.json validators; those of another content are found out by its version

import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Validators } from './rule-set-fetch.ts';

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

export interface CopyNotes extends Validators {
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly fetchedAtMs: number;
}

export interface RuleSetCopies {
  /** Where the copy of this address is, or will be. */
  pathOf(tag: string, url: string): string;
  /** Where it is fetched to. */
  newPathOf(tag: string, url: string): Promise<string>;
  notesOf(tag: string, url: string): Promise<CopyNotes | undefined>;
  /** What was fetched is the copy from now on. */
  keep(tag: string, url: string, notes: CopyNotes): Promise<void>;
  forget(tag: string, url: string): Promise<void>;
}

/** @param storePath of the store */
export function createRuleSetCopies(storePath: string): RuleSetCopies {
  const directory = `${storePath}.rule-sets`;

  /** Of the address as well: one list must not stand in for another. */
  function pathOf(tag: string, url: string): string {
    return join(directory, createHash('sha256').update(`${tag}\n${url}`).digest('hex').slice(0, 32));
  }

  return {
    pathOf,
    async newPathOf(tag, url) {
      await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
      return `${pathOf(tag, url)}.new`;
    },
    async notesOf(tag, url) {
      try {
        return notesIn(JSON.parse(await readFile(`${pathOf(tag, url)}.json`, 'utf8')));
      } catch {
        return undefined;
      }
    },
    async keep(tag, url, notes) {
      const path = pathOf(tag, url);
      await rename(`${path}.new`, path);
      await writeFile(`${path}.json.new`, JSON.stringify(notes), { mode: FILE_MODE });
      await rename(`${path}.json.new`, `${path}.json`);
    },
    async forget(tag, url) {
      const path = pathOf(tag, url);
      await Promise.all([path, `${path}.new`, `${path}.json`].map((one) => rm(one, { force: true })));
    },
  };
}

/** Somebody may have edited the file. */
function notesIn(value: unknown): CopyNotes | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { version, fetchedAtMs, etag, lastModified } = value as Record<string, unknown>;
  if (typeof version !== 'string' || typeof fetchedAtMs !== 'number') return undefined;
  const text = (one: unknown) => (typeof one === 'string' ? one : undefined);
  return { version, fetchedAtMs, etag: text(etag), lastModified: text(lastModified) };
}
