// Who is it? A user name leads to a credential, a credential to a service row. The check runs on the worker and takes
// the same time whether the name is unknown or the password wrong: the password's keyed hash is compared in either case, and
// what an attacker could time, the hash of bytes that the attacker chose, has a key that it does not know.
//
// A password of which only a scrypt hash is known is sent to the control thread once; then its proof is in the record.
// That takes so much longer that it would tell whose names exist. So while there is any hashed credential, whatever is
// not right by a proof goes the same way, be the name unknown, plain, or proven: only what is right is ever quick.
// Owner worker only.

import { isUtf8 } from 'node:buffer';
import { formatIp } from '../../layout/ip-address.ts';
import { PASSWORD_KEY, USER_NAME_KEY } from '../../layout/name-hash.ts';
import { AUTH_FAILED } from '../../layout/reasons.ts';
import { SLOT_WAITING } from '../../layout/slot.ts';
import { hashesEqual, sipHash } from '../../memory/siphash.ts';
import type { DataWorker } from '../data-worker.ts';
import { enroll } from '../enroll.ts';
import { WAIT } from '../flags.ts';

const NONE = -1;

/**
 * Judges the credential in `w.parsed`; on success the slot has its service and credential.
 * @returns CONTINUE, WAIT (the control thread was asked) or a retire reason
 */
export function authenticate(w: DataWorker, slot: number): number {
  const parsed = w.parsed;
  const bytes = parsed.credential;
  sipHash(w.nameKeys, USER_NAME_KEY, bytes, parsed.userStart, parsed.userLength, w.hash, 0);
  const credential = w.tables.userNames.get(w.hash, 0);
  sipHash(w.nameKeys, PASSWORD_KEY, bytes, parsed.passwordStart, parsed.passwordLength, w.hash, 0);
  const credentials = w.tables.credentials;
  const record = credential >= 0 ? credential : 0;
  const generation = credentials.generation(record);
  const isKnown = credential >= 0 && (generation & 1) === 1;
  // Before the proof: the control thread writes them the other way round, so that a proof that is said to be is whole.
  const isProven = credentials.proven(record) === 1;
  for (let word = 0; word < 4; word++) w.proof[word] = credentials.proof(record, word);
  const matches = hashesEqual(w.hash, 0, w.proof, 0);
  if (isKnown && isProven && matches) {
    const service = credentials.service(record);
    // The record may have been given to somebody else while it was read.
    if (credentials.generation(record) !== generation) return AUTH_FAILED;
    return enroll(w, slot, service, credential, generation);
  }
  if ((isKnown && !isProven) || w.tables.machine.hashedCredentials(0) > 0) {
    return ask(w, slot, isKnown ? credential : NONE, generation);
  }
  return AUTH_FAILED;
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
  const { credential: bytes, userStart, userLength, passwordStart, passwordLength } = w.parsed;
  const userName = new Int32Array(4);
  sipHash(w.nameKeys, USER_NAME_KEY, bytes, userStart, userLength, userName, 0);
  const source = Int32Array.of(
    table.source(slot, 0),
    table.source(slot, 1),
    table.source(slot, 2),
    table.source(slot, 3),
  );
  const password = Buffer.from(bytes.subarray(passwordStart, passwordStart + passwordLength));
  table.setState(slot, SLOT_WAITING);
  w.mailbox.post({
    kind: 'verify',
    slot,
    generation: table.generation(slot),
    // What is no text is nobody's password; as text with substitutes it might be proven there and never match here.
    credential: isUtf8(password) ? credential : NONE,
    credentialGeneration,
    userName,
    password: password.toString('utf8'),
    source: formatIp(source),
  });
  return WAIT;
}
