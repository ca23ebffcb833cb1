// What a rule set holds, by name: a file and the hash of its bytes. The bytes themselves are read when somebody compiles
// them, and not kept; a file that has changed in between is found out by its hash. Control thread; reads in pieces, so that
// a large file delays nobody.

import { createHash, webcrypto } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import type { RuleSetFormat, RuleSetSource } from '../layout/compiler-messages.ts';
import { SluiceError } from './errors.ts';

/** Of files and of what addresses answer. */
export const RULE_SET_BYTES_MAX = 64 * 1024 * 1024;
/** Enough to tell the format by. */
const HEAD_BYTES = 64 * 1024;

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
  readonly bytes: number;
  /** What of the file tells cheaply whether it is another one. */
  readonly stamp: string;
}

/** @throws the error of the file system, or of a file that is too large */
export async function describeContent(
  tag: string,
  path: string,
  fileName: string,
  formatOf: (head: Uint8Array) => RuleSetFormat,
): Promise<RuleSetContent> {
  const stamp = await stampOf(path);
  const format = formatOf(await readHead(path));
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path)) {
    bytes += (chunk as Buffer).length;
    requireSize(bytes);
    hash.update(chunk as Buffer);
  }
  const version = `${format}-${hash.digest('hex').slice(0, 32)}`;
  return { tag, version, format, fileName, path, bytes, stamp };
}

/** @throws where there is no file */
export async function stampOf(path: string): Promise<string> {
  const file = await stat(path);
  const { ino, size, mtimeMs, ctimeMs } = file;
  if (!file.isFile()) throw new Error('it is not a regular file');
  requireSize(size);
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

/** With its bytes. @throws SluiceError rule_set_unavailable, also where the file is no longer what it was */
export async function loadContent(content: RuleSetContent): Promise<RuleSetSource> {
  const { tag, version, format, fileName, path } = content;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw unavailable(tag, fileName, (cause as Error).message, cause);
  }
  // On libuv's threads: at once, it would hold this one for a tenth of a second.
  const digest = await webcrypto.subtle.digest('SHA-256', bytes);
  const hash = Buffer.from(digest).toString('hex').slice(0, 32);
  if (version !== `${format}-${hash}`) throw unavailable(tag, fileName, 'it is being changed');
  return { tag, version, source: { fileName, format, bytes } };
}

export function unavailable(tag: string, from: string, why: string, cause?: unknown): SluiceError {
  const message = `rule set "${tag}" cannot be had from ${from}: ${why}`;
  return new SluiceError('rule_set_unavailable', message, { ruleSet: tag, from }, cause);
}

async function readHead(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function requireSize(bytes: number): void {
  if (bytes > RULE_SET_BYTES_MAX) throw new Error(`it has more than ${RULE_SET_BYTES_MAX} bytes`);
}
