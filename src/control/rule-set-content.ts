// What a rule set holds, by name: a file and the hash of its bytes. The bytes themselves are read when somebody compiles
// them, and not kept; a file that has changed in between is found out by its hash. Control thread; reads in pieces, so that
// a large file delays nobody.

import { createHash, webcrypto } from 'node:crypto';
import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { RuleSetFormat, RuleSetSource } from '../layout/compiler-messages.ts';
import { SluiceError } from './errors.ts';

/** Of files and of what addresses answer. */
export const RULE_SET_BYTES_MAX = 64 * 1024 * 1024;
/** Enough to tell the format by. */
const HEAD_BYTES = 64 * 1024;
/** Read at a time; no less than the head. */
const PIECE_BYTES = 256 * 1024;
/** Of a version. */
const HASH_DIGITS = 32;
const COPY_MODE = 0o600;

/** Some content of a rule set, or of a geo file. */
export interface RuleSetContent {
  readonly tag: string;
  /** Of format and bytes. */
  readonly version: string;
  readonly format: RuleSetFormat;
  /** What mistakes name. */
  readonly fileName: string;
  /** Where the bytes are. */
  readonly path: string;
  /** Where they are once they are the last good ones. */
  readonly keptPath: string;
  readonly bytes: number;
  /** What of the file tells cheaply whether it is another one. */
  readonly stamp: string;
}

/** All contents of one installation. */
export interface RuleSetContents {
  readonly sets: readonly RuleSetContent[];
  readonly geo: readonly RuleSetContent[];
}

export interface ReadingOrder {
  readonly tag: string;
  readonly fileName: string;
  readonly path: string;
  readonly keptPath: string;
  readonly formatOf: (head: Uint8Array) => RuleSetFormat;
  /** A copy is written there, and is where the bytes are: whatever becomes of the file. */
  readonly copyTo?: string;
  /** The copy cannot be written: the bytes are where they were. */
  readonly copyFailed?: (error: Error) => void;
}

/** @throws the error of the file system, or of a file that is too large, or is written meanwhile */
export async function readContent(order: ReadingOrder): Promise<RuleSetContent> {
  const { tag, fileName, path, keptPath } = order;
  // Somebody may have put a pipe there, and nobody writes into it.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const before = await file.stat();
    requireFile(before);
    const { format, hash, bytes, isCopied } = await readAll(file, order);
    const after = await file.stat();
    if (after.size !== before.size || after.mtimeMs !== before.mtimeMs)
      throw new Error('it is being written');
    const version = `${format}-${hash}`;
    const place = isCopied ? (order.copyTo as string) : path;
    return { tag, version, format, fileName, path: place, keptPath, bytes, stamp: stampIn(before) };
  } finally {
    await file.close();
  }
}

interface ReadBytes {
  readonly format: RuleSetFormat;
  readonly hash: string;
  readonly bytes: number;
  readonly isCopied: boolean;
}

async function readAll(file: FileHandle, { formatOf, copyTo, copyFailed }: ReadingOrder): Promise<ReadBytes> {
  const hash = createHash('sha256');
  let bytes = 0;
  let format: RuleSetFormat | undefined;
  const copy = copyTo === undefined ? undefined : createCopy(copyTo, copyFailed);
  try {
    for await (const one of file.createReadStream({ autoClose: false, highWaterMark: PIECE_BYTES })) {
      const piece = one as Buffer;
      format ??= formatOf(piece.subarray(0, HEAD_BYTES));
      bytes += piece.length;
      requireSize(bytes);
      hash.update(piece);
      await copy?.write(piece);
    }
  } finally {
    await copy?.close();
  }
  return {
    format: format ?? formatOf(new Uint8Array()),
    hash: hash.digest('hex').slice(0, HASH_DIGITS),
    bytes,
    isCopied: copy?.isWritten() ?? false,
  };
}

/** Never rejects: a disk without room is no reason to refuse a file. */
function createCopy(path: string, failed: (error: Error) => void = () => {}) {
  let file: FileHandle | undefined;
  let isFailed = false;
  const attempt = (work: () => Promise<void>) =>
    work().catch((error: Error) => {
      if (!isFailed) failed(error);
      isFailed = true;
    });
  return {
    write: (piece: Uint8Array) =>
      attempt(async () => {
        if (isFailed) return;
        file ??= await open(path, 'w', COPY_MODE);
        await file.writeFile(piece);
      }),
    close: () => attempt(async () => file?.close()),
    isWritten: () => !isFailed && file !== undefined,
  };
}

/** Of one hash, whatever they are read as. */
export function areSameBytes(version: string, other: string): boolean {
  return version.slice(-HASH_DIGITS) === other.slice(-HASH_DIGITS);
}

/** @throws where there is no file */
export async function stampOf(path: string): Promise<string> {
  const file = await stat(path);
  requireFile(file);
  return stampIn(file);
}

function stampIn({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

function requireFile(file: Stats): void {
  if (!file.isFile()) throw new Error('it is not a regular file');
  requireSize(file.size);
}

/** Those that the compiler wants. @throws SluiceError rule_set_unavailable, where the bytes are nowhere any more */
export function loadContents(
  { sets, geo }: RuleSetContents,
  versions: ReadonlySet<string>,
): Promise<RuleSetSource[]> {
  const wanted = new Map([...sets, ...geo].map((content) => [content.version, content]));
  return Promise.all([...wanted.values()].filter(({ version }) => versions.has(version)).map(loadContent));
}

async function loadContent(content: RuleSetContent): Promise<RuleSetSource> {
  const { tag, version, format, fileName, path, keptPath } = content;
  let cause: Error | undefined;
  for (const place of new Set([path, keptPath])) {
    try {
      const bytes = await readFile(place);
      if (version === `${format}-${await hashOf(bytes)}`) {
        return { tag, version, source: { fileName, format, bytes } };
      }
    } catch (error) {
      cause ??= error as Error;
    }
  }
  const why = cause?.message ?? 'it has changed since it was read, and there is no copy of it';
  throw unavailable(tag, fileName, why, cause);
}

async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  // On libuv's threads: at once, it would hold this one for a tenth of a second.
  const digest = await webcrypto.subtle.digest('SHA-256', bytes);
  return Buffer.from(digest).toString('hex').slice(0, HASH_DIGITS);
}

export function unavailable(tag: string, from: string, why: string, cause?: unknown): SluiceError {
  const message = `rule set "${tag}" cannot be had from ${from}: ${why}`;
  return new SluiceError('rule_set_unavailable', message, { ruleSet: tag, from }, cause);
}

function requireSize(bytes: number): void {
  if (bytes > RULE_SET_BYTES_MAX) throw new Error(`it has more than ${RULE_SET_BYTES_MAX} bytes`);
}
