// Fetches a rule set from its address, into a file, if it is another one than was fetched before. Everything is bounded:
// time, bytes (after decompression), redirects, and those lead to https only; http is for addresses of this machine.
// Control thread.

import { open, rm } from 'node:fs/promises';
import { RULE_SET_BYTES_MAX } from './rule-set-content.ts';

const REDIRECTS_MAX = 5;
const LINE_FEED = 0x0a;

/** What tells the server which content is there already. */
export interface Validators {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

export type Fetched = { readonly kind: 'unchanged' } | FetchedContent;

export interface FetchedContent extends Validators {
  readonly kind: 'fetched';
  /** Its end is known for one: the server has told how long it is, or it ends with a line. */
  readonly isWhole: boolean;
}

/**
 * @param path where the content goes; nothing is there if it did not change or could not be fetched whole
 * @throws Error with what went wrong, without what the address may hold of secrets
 */
export async function fetchRuleSet(
  address: string,
  known: Validators,
  path: string,
  timeoutMs: number,
): Promise<Fetched> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await follow(address, known, signal);
    if (response.status === 304) return { kind: 'unchanged' };
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new Error(`it answered ${response.status}`);
    }
    const endsWithLine = await save(response, path);
    const { headers } = response;
    // What is shorter than that, or lacks its last chunk, has been refused while it was read.
    const isMeasured = headers.has('content-length') || headers.has('transfer-encoding');
    return {
      kind: 'fetched',
      isWhole: isMeasured || endsWithLine,
      etag: headers.get('etag') ?? undefined,
      lastModified: headers.get('last-modified') ?? undefined,
    };
  } catch (error) {
    await rm(path, { force: true });
    if (signal.aborted) throw new Error(`it did not answer within ${Math.round(timeoutMs / 1000)} s`);
    throw new Error(reasonOf(error as Error), { cause: error });
  }
}

async function follow(address: string, known: Validators, signal: AbortSignal): Promise<Response> {
  let url = new URL(address);
  const headers: Record<string, string> = { 'user-agent': 'sluice' };
  if (known.etag !== undefined) headers['if-none-match'] = known.etag;
  if (known.lastModified !== undefined) headers['if-modified-since'] = known.lastModified;
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url, { headers, signal, redirect: 'manual' });
    const location = response.headers.get('location');
    if (response.status < 300 || response.status >= 400 || response.status === 304 || location === null) {
      return response;
    }
    await response.body?.cancel();
    if (redirects === REDIRECTS_MAX) throw new Error(`it redirects more than ${REDIRECTS_MAX} times`);
    const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
    if (next === undefined) throw new Error('it redirects to what is no address');
    const isAllowed =
      next.protocol === 'https:' || (next.protocol === 'http:' && isLoopback(next) && isLoopback(url));
    if (!isAllowed) throw new Error('it redirects to an address that is not https');
    if (next.username !== '' || next.password !== '') {
      throw new Error('it redirects to an address with a user name or a password');
    }
    url = next;
  }
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** @returns whether the last byte ends a line */
async function save(response: Response, path: string): Promise<boolean> {
  const file = await open(path, 'w', 0o600);
  try {
    let bytes = 0;
    let last: number | undefined;
    for await (const chunk of response.body ?? []) {
      bytes += (chunk as Uint8Array).length;
      if (bytes > RULE_SET_BYTES_MAX) throw new Error(`it is larger than ${RULE_SET_BYTES_MAX} bytes`);
      await file.writeFile(chunk as Uint8Array);
      last = (chunk as Uint8Array).at(-1) ?? last;
    }
    if (bytes === 0) throw new Error('it answered with nothing');
    await file.sync();
    return last === LINE_FEED;
  } finally {
    await file.close();
  }
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: Error): string {
  const { cause } = error;
  return cause instanceof Error && error.message === 'fetch failed' ? cause.message : error.message;
}
