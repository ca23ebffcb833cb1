// Proxy-Authorization: Basic, decoded into the worker's own bytes. Strict base64 (length a multiple of four, padding
// only at the end, no bits left over), so that one credential has one spelling. What cannot be a credential is
// CREDENTIAL_UNUSABLE rather than malformed: whether the inbound asks for one at all is not known here, and the answer
// to it is 407, not 400.
//
// Owner: a data worker. Allocates nothing.
// @source RFC 7617, section 2; RFC 4648, section 4

import { equals, SPACE } from './http-fields.ts';
import { CREDENTIAL_BYTES_MAX, CREDENTIAL_PASSWORD, CREDENTIAL_UNUSABLE, type Parsed } from './parsed.ts';
import { ascii } from './wire.ts';

const BASIC = ascii('basic');
const COLON = 0x3a;
const PAD = 0x3d;
const NOT_BASE64 = 64;

const sextets = new Uint8Array(256).fill(NOT_BASE64);
for (const [value, byte] of ascii(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
).entries()) {
  sextets[byte] = value;
}

/** Takes a trimmed Proxy-Authorization value into `parsed`. */
export function takeBasicCredential(input: Uint8Array, start: number, end: number, parsed: Parsed): void {
  parsed.credentialKind = CREDENTIAL_UNUSABLE;
  let at = start;
  while (at < end && input[at] !== SPACE) at++;
  if (!equals(input, start, at - start, BASIC)) return;
  while (at < end && input[at] === SPACE) at++;
  const length = decode(input, at, end, parsed.credential);
  if (length < 0) return;

  const credential = parsed.credential;
  let colon = -1;
  for (let i = 0; i < length; i++) {
    const byte = credential[i] as number;
    if (byte < SPACE || byte === 0x7f) return;
    if (byte === COLON && colon < 0) colon = i;
  }
  if (colon < 0) return;
  parsed.credentialKind = CREDENTIAL_PASSWORD;
  parsed.userStart = 0;
  parsed.userLength = colon;
  parsed.passwordStart = colon + 1;
  parsed.passwordLength = length - colon - 1;
}

/** @returns bytes written, or -1 if it is not strict base64 or does not fit */
function decode(input: Uint8Array, start: number, end: number, output: Uint8Array): number {
  const encoded = end - start;
  if (encoded === 0 || encoded % 4 !== 0 || encoded > Math.ceil(CREDENTIAL_BYTES_MAX / 3) * 4) return -1;
  const pads = input[end - 1] !== PAD ? 0 : input[end - 2] !== PAD ? 1 : 2;
  const decoded = (encoded / 4) * 3 - pads;
  if (decoded > CREDENTIAL_BYTES_MAX) return -1;
  let to = 0;
  let bits = 0;
  let bitsCount = 0;
  for (let i = start; i < end - pads; i++) {
    const sextet = sextets[input[i] as number] as number;
    if (sextet === NOT_BASE64) return -1;
    bits = ((bits << 6) | sextet) & 0xffff;
    bitsCount += 6;
    if (bitsCount >= 8) {
      bitsCount -= 8;
      output[to++] = (bits >> bitsCount) & 0xff;
    }
  }
  return (bits & ((1 << bitsCount) - 1)) === 0 ? to : -1;
}
