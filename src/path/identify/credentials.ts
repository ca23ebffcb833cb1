// Who is it? A user name leads to a credential, a credential to a service row. The check runs on the worker and takes
// the same time whether the name is unknown or the password wrong: the password's keyed hash is compared in either case, and
// what an attacker could time, the hash of bytes that the attacker chose, has a key that it does not know.
// A password of which only a scrypt hash is known is sent to the control thread once; then its proof is in the record.
// Owner worker only.

import { formatIp } from '../../layout/ip-address.ts';
import { PASSWORD_KEY, USER_NAME_KEY } from '../../layout/name-hash.ts';
import { AUTH_FAILED } from '../../layout/reasons.ts';
import { SLOT_WAITING } from '../../layout/slot.ts';
import { hashesEqual, sipHash } from '../../memory/siphash.ts';
import type { DataWorker } from '../data-worker.ts';
import { CONTINUE, WAIT } from '../flags.ts';

const NONE = -1;

/**
 * Judges the credential in `w.parsed`; on success the slot has its service and credential.
 * @param anonymous service of clients without credentials, or -1: it also takes names that nobody has
 * @returns CONTINUE, WAIT (the control thread was asked) or AUTH_FAILED
 */
export function authenticate(w: DataWorker, slot: number, anonymous: number): number {
  const parsed = w.parsed;
  const bytes = parsed.credential;
  sipHash(w.nameKeys, USER_NAME_KEY, bytes, parsed.userStart, parsed.userLength, w.hash, 0);
  const credential = w.tables.userNames.get(w.hash, 0);
  sipHash(w.nameKeys, PASSWORD_KEY, bytes, parsed.passwordStart, parsed.passwordLength, w.hash, 0);
  const credentials = w.tables.credentials;
  const known = credential >= 0;
  const record = known ? credential : 0;
  const generation = credentials.generation(record);
  for (let word = 0; word < 4; word++) w.proof[word] = credentials.proof(record, word);
  const proven = credentials.proven(record) === 1;
  const matches = hashesEqual(w.hash, 0, w.proof, 0);
  if (!known || (generation & 1) === 0) {
    if (anonymous < 0) return AUTH_FAILED;
    w.table.setService(slot, anonymous);
    return CONTINUE;
  }
  if (proven) {
    if (!matches) return AUTH_FAILED;
    // The record may have been given to somebody else while it was read.
    if (credentials.generation(record) !== generation) return AUTH_FAILED;
    w.table.setCredential(slot, credential);
    w.table.setCredentialGeneration(slot, generation);
    w.table.setService(slot, credentials.service(record));
    return CONTINUE;
  }
  return ask(w, slot, credential, generation);
}

/** Whether the credential that admitted the connection still is one. */
export function isCredentialCurrent(w: DataWorker, slot: number): boolean {
  const credential = w.table.credential(slot);
  return (
    credential === NONE || w.tables.credentials.generation(credential) === w.table.credentialGeneration(slot)
  );
}

/** Mail: rare, because the first success is remembered and failures are gated by source. */
function ask(w: DataWorker, slot: number, credential: number, credentialGeneration: number): number {
  const table = w.table;
  const { credential: bytes, passwordStart, passwordLength } = w.parsed;
  const source = Int32Array.of(
    table.source(slot, 0),
    table.source(slot, 1),
    table.source(slot, 2),
    table.source(slot, 3),
  );
  table.setState(slot, SLOT_WAITING);
  w.mailbox.post({
    kind: 'verify',
    slot,
    generation: table.generation(slot),
    credential,
    credentialGeneration,
    password: Buffer.from(bytes.subarray(passwordStart, passwordStart + passwordLength)).toString('utf8'),
    source: formatIp(source),
  });
  return WAIT;
}
