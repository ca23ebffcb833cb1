// The bearer token of the admin API over TCP: made once, kept in a file that only its owner can read, compared without
// telling by the time it takes how much of a guess was right. Control thread.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { SluiceError } from '../control/errors.ts';

const TOKEN_BYTES = 32;
const TOKEN_CHARACTERS_MIN = 16;

/** Reads the token, after making it where there is none. @throws SluiceError token_unusable */
export async function loadToken(fileName: string): Promise<string> {
  try {
    await makeToken(fileName);
    const token = (await readFile(fileName, 'utf8')).trim();
    if (token.length >= TOKEN_CHARACTERS_MIN) return token;
  } catch (cause) {
    const message = `token file ${fileName}: ${(cause as Error).message}`;
    throw new SluiceError('token_unusable', message, { fileName }, cause);
  }
  throw new SluiceError(
    'token_unusable',
    `token file ${fileName} holds fewer than ${TOKEN_CHARACTERS_MIN} characters; remove it to get a new one`,
    { fileName },
  );
}

/** `wx`: whoever was faster keeps his. */
async function makeToken(fileName: string): Promise<void> {
  try {
    const file = await open(fileName, 'wx', 0o600);
    try {
      await file.writeFile(`${randomBytes(TOKEN_BYTES).toString('hex')}\n`);
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Whether `authorization` (the header, as sent) carries the token. Both are hashed, so that lengths say nothing. */
export function carriesToken(authorization: string | undefined, token: string): boolean {
  const sent = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? '';
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(sent), digest(token));
}
