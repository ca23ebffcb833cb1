// Gets the content of a rule set or geo file: reads the file, or fetches from the address, each into a new copy beside the
// last good one. What comes is kept as that one when it is in force, and discarded where it was refused. Control thread.

import { guessFormat } from '../compile/formats/read.ts';
import type { RuleSetFormat } from '../layout/compiler-messages.ts';
import type { Log } from './log.ts';
import { areSameBytes, readContent, unavailable } from './rule-set-content.ts';
import type { RuleSetContent } from './rule-set-content.ts';
import type { RuleSetCopies } from './rule-set-copies.ts';
import { fetchRuleSet } from './rule-set-fetch.ts';
import type { Validators } from './rule-set-fetch.ts';
import type { Origin } from './rule-set-origin.ts';

const FIRST_FETCH_MS = 10_000;
const FETCH_MS = 60_000;
const NO_VALIDATORS: Validators = { etag: undefined, lastModified: undefined };

/** What there is of an origin. */
export interface Obtained {
  readonly content: RuleSetContent;
  readonly validators: Validators;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** It is the last good one; nobody was asked for a newer one. */
  readonly isCopy: boolean;
}

export interface RuleSetReader {
  /** A file as it is; of an address the last good copy, else what it answers. @throws SluiceError rule_set_unavailable */
  first(origin: Origin): Promise<Obtained>;
  /** As it is now, whatever there is of it here. @throws SluiceError rule_set_unavailable */
  anew(origin: Origin): Promise<Obtained>;
  /** @throws what went wrong */
  readFile(origin: Origin, path: string): Promise<RuleSetContent>;
  /** undefined: it is what `known` says. @throws what went wrong */
  fetch(origin: Origin, known: Validators): Promise<Obtained | undefined>;
}

export function createRuleSetReader(copies: RuleSetCopies, log: Log): RuleSetReader {
  function formatOf({ format, from }: Origin): (head: Uint8Array) => RuleSetFormat {
    return (head) => format ?? guessFormat(from, head);
  }

  async function read(origin: Origin, path: string, copyTo?: string): Promise<RuleSetContent> {
    const { tag, from } = origin;
    const copyFailed = (error: Error) => {
      const facts = { event: 'rule_set_copy_failed', tag, err: error };
      log.error(facts, `no copy of rule set ${tag} could be kept`);
    };
    const order = { tag, fileName: from, path, keptPath: copies.pathOf(origin), formatOf: formatOf(origin) };
    return readContent(copyTo === undefined ? order : { ...order, copyTo, copyFailed });
  }

  async function readFile(origin: Origin, path: string): Promise<RuleSetContent> {
    const kept = await copies.find(origin, formatOf(origin));
    if (kept !== undefined) {
      const content = await read(origin, path);
      if (areSameBytes(content.version, kept.content.version)) return content;
    }
    const copyTo = await copies.newPathOf(origin).catch(() => undefined);
    try {
      return await read(origin, path, copyTo);
    } catch (error) {
      if (copyTo !== undefined) await copies.discard(copyTo);
      throw error;
    }
  }

  async function fetch(origin: Origin, known: Validators, timeoutMs: number): Promise<Obtained | undefined> {
    const newPath = await copies.newPathOf(origin);
    try {
      const fetched = await fetchRuleSet(origin.url, known, newPath, timeoutMs);
      if (fetched.kind === 'unchanged') {
        await copies.discard(newPath);
        return undefined;
      }
      const content = await read(origin, newPath);
      const isList = content.format === 'domains' || content.format === 'networks';
      if (isList && !fetched.isWhole) {
        throw new Error('it ends in the middle of a line, and the server did not say how long it is');
      }
      const { etag, lastModified } = fetched;
      return { content, validators: { etag, lastModified }, atMs: Date.now(), isCopy: false };
    } catch (error) {
      await copies.discard(newPath);
      throw error;
    }
  }

  async function anew(origin: Origin): Promise<Obtained> {
    const { path } = origin;
    try {
      if (path !== undefined) {
        const content = await readFile(origin, path);
        return { content, validators: NO_VALIDATORS, atMs: Date.now(), isCopy: false };
      }
      const fetched = await fetch(origin, NO_VALIDATORS, FIRST_FETCH_MS);
      if (fetched === undefined) throw new Error('it answered 304 to a first request');
      return fetched;
    } catch (cause) {
      throw unavailable(origin.tag, origin.from, (cause as Error).message, cause);
    }
  }

  return {
    anew,
    readFile,
    fetch: (origin, known) => fetch(origin, known, FETCH_MS),
    async first(origin) {
      if (origin.path !== undefined) return anew(origin);
      const kept = await copies.find(origin, formatOf(origin));
      if (kept === undefined) return anew(origin);
      const { content, notes } = kept;
      const { etag, lastModified, fetchedAtMs: atMs } = notes;
      // As read in this format they may be no good: what the server has is then asked for whole.
      const validators = notes.version === content.version ? { etag, lastModified } : NO_VALIDATORS;
      return { content, validators, atMs, isCopy: true };
    },
  };
}
