// Passwords as scrypt hashes, in the PHC string format: $scrypt$ln=14,r=8,p=1$<salt>$<hash>, both in base64 without
// padding. Hashing costs tens of milliseconds and megabytes on purpose, so it runs on the control thread's pool only,
// and what a configuration may ask for is bounded: a hash is refused at check time where verifying it would take over
// SCRYPT_BYTES_MAX of memory. @source RFC 7914; the PHC string format specification

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

export interface ScryptHash {
  /** N is 2 ** costLog2. */
  readonly costLog2: number;
  readonly blockSize: number;
  readonly parallelization: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

export const SCRYPT_PREFIX = '$scrypt$';
export const SCRYPT_FORM = '$scrypt$ln=14,r=8,p=1$<salt>$<hash>, both in base64 without padding';

/** 128 * N * r may not pass this. */
const SCRYPT_BYTES_MAX = 64 * 1024 * 1024;
const PARALLELIZATION_MAX = 4;
const SALT_BYTES_MIN = 8;
const SALT_BYTES_MAX = 64;
const HASH_BYTES_MIN = 16;
const HASH_BYTES_MAX = 64;

const NEW_COST = { costLog2: 14, blockSize: 8, parallelization: 1 } as const;
const NEW_SALT_BYTES = 16;
const NEW_HASH_BYTES = 32;

/** @returns the parts, or what is wrong with them as the rest of a sentence; never a part of the text itself */
export function parseScryptHash(text: string): ScryptHash | string {
  const fields = /^\$scrypt\$ln=(\d{1,3}),r=(\d{1,6}),p=(\d{1,6})\$([^$]*)\$([^$]*)$/.exec(text);
  if (fields === null) return `is not of the form ${SCRYPT_FORM}`;
  const costLog2 = Number(fields[1]);
  const blockSize = Number(fields[2]);
  const parallelization = Number(fields[3]);
  if (costLog2 < 1 || blockSize < 1 || parallelization < 1) return 'has a cost of zero';
  if (128 * 2 ** costLog2 * blockSize > SCRYPT_BYTES_MAX) return 'would take over 64 MiB of memory to verify';
  if (parallelization > PARALLELIZATION_MAX) return `has p over ${PARALLELIZATION_MAX}`;
  const salt = unpaddedBase64(fields[4] ?? '');
  if (salt === undefined) return 'has a salt that is not base64 without padding';
  const hash = unpaddedBase64(fields[5] ?? '');
  if (hash === undefined) return 'has a hash that is not base64 without padding';
  if (salt.length < SALT_BYTES_MIN || salt.length > SALT_BYTES_MAX) {
    return `has a salt of ${salt.length} bytes; ${SALT_BYTES_MIN} to ${SALT_BYTES_MAX} are allowed`;
  }
  if (hash.length < HASH_BYTES_MIN || hash.length > HASH_BYTES_MAX) {
    return `has a hash of ${hash.length} bytes; ${HASH_BYTES_MIN} to ${HASH_BYTES_MAX} are allowed`;
  }
  return { costLog2, blockSize, parallelization, salt, hash };
}

/** Runs on libuv's pool; the caller bounds how many run at once. */
export async function verifyScryptHash(password: string | Uint8Array, stored: ScryptHash): Promise<boolean> {
  const derived = await derive(password, stored, stored.salt, stored.hash.length);
  return timingSafeEqual(derived, stored.hash);
}

/** A new hash with a random salt, at the cost that OWASP's advice and our memory bound both allow. */
export async function makeScryptHash(password: string): Promise<string> {
  const salt = randomBytes(NEW_SALT_BYTES);
  const hash = await derive(password, NEW_COST, salt, NEW_HASH_BYTES);
  const { costLog2, blockSize, parallelization } = NEW_COST;
  const cost = `ln=${costLog2},r=${blockSize},p=${parallelization}`;
  return `${SCRYPT_PREFIX}${cost}$${withoutPadding(salt)}$${withoutPadding(hash)}`;
}

function derive(
  password: string | Uint8Array,
  cost: Pick<ScryptHash, 'costLog2' | 'blockSize' | 'parallelization'>,
  salt: Uint8Array,
  bytes: number,
): Promise<Buffer> {
  const options = {
    N: 2 ** cost.costLog2,
    r: cost.blockSize,
    p: cost.parallelization,
    // OpenSSL counts a little more than 128 * N * r against its own limit, also for p.
    maxmem: 2 * SCRYPT_BYTES_MAX,
  };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, bytes, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

/** Strict: Buffer alone would skip what is not base64, and accept trailing bits that mean nothing. */
function unpaddedBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return withoutPadding(bytes) === text ? bytes : undefined;
}

function withoutPadding(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
