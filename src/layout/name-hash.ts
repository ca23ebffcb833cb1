// The keys under which the shared tables know names and passwords. Control thread and workers hash the same bytes with
// the same key, or a user would never be found: so it is said once, here.
//
// Each kind of text has a key of its own, derived from the one random key of the process: a password that equals a user
// name has another hash, and `example.com` as a name of its own another than as the suffix of `*.example.com`.
// Any thread. The worker calls `sipHash(keys, USER_NAME_KEY, bytes, start, length, result, at)` and allocates nothing.
// The caller has lower-cased what is compared without case (server names), never user names or passwords.

import { SIPHASH_WORDS, sipHash } from '../memory/siphash.ts';

// Where a key begins in the array of `deriveNameKeys`.
/** User name, as UTF-8 → credential. */
export const USER_NAME_KEY = 0;
/** Whole server name → service row. */
export const SERVER_NAME_KEY = 4;
/** What follows `*.` in a wildcard server name → service row. */
export const WILDCARD_NAME_KEY = 8;
/** Password, as UTF-8 → proof of a credential. */
export const PASSWORD_KEY = 12;
/** Names that rules speak of, a key for each kind; of their hashes rules keep the first two words. */
export const RULE_INBOUND_KEY = 16;
export const RULE_SERVICE_KEY = 20;
export const RULE_USER_KEY = 24;
export const RULE_PROCESS_NAME_KEY = 28;
export const RULE_PROCESS_PATH_KEY = 32;
/** Not a name: what seeds the hash of domain tables. */
export const RULE_DOMAIN_SEED_KEY = 36;

const DOMAINS = [
  'user name',
  'server name',
  'wildcard server name',
  'password',
  'inbound of rules',
  'service of rules',
  'user of rules',
  'process name of rules',
  'process path of rules',
  'domains of rules',
];

/** Once a thread. @param hashKey `SharedTables.hashKey` @returns Int32Array[keys * SIPHASH_WORDS] */
export function deriveNameKeys(hashKey: Int32Array): Int32Array {
  const keys = new Int32Array(DOMAINS.length * SIPHASH_WORDS);
  for (const [index, domain] of DOMAINS.entries()) {
    const bytes = Buffer.from(domain, 'utf8');
    sipHash(hashKey, 0, bytes, 0, bytes.length, keys, index * SIPHASH_WORDS);
  }
  return keys;
}

/** Hashes a whole text. Slow path: allocates. @param keyAt one of the constants above */
export function hashText(keys: Int32Array, keyAt: number, text: string): Int32Array {
  const bytes = Buffer.from(text, 'utf8');
  const result = new Int32Array(SIPHASH_WORDS);
  sipHash(keys, keyAt, bytes, 0, bytes.length, result, 0);
  return result;
}
