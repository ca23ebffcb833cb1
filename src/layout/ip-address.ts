// IP addresses and host names as bytes. One strict reading of literals for every place that takes one: dotted quads of
// four decimal octets and RFC 4291 text, nothing else. The other forms that resolvers know (octal, hexadecimal, short,
// one number) are not literals here; `isNumericLookalike` finds them, so that a target which looks like a name cannot
// turn into 127.0.0.1 after the address rules were applied.
//
// Any thread; the worker's functions allocate nothing. An address is four int32 words in network order, IPv4 as
// 0, 0, 0xffff, v4. Invariant: the words are written only where the answer is true.

import { MAPPED_WORD } from '../sys/socket-address.ts';

/** Enough for every address as text, the longest being ::ffff: mapped in full. */
const IP_TEXT_BYTES_MAX = 45;

const DOT = 0x2e;
const COLON = 0x3a;
const ZERO = 0x30;
const GROUPS_COUNT = 8;
const LABEL_BYTES_MAX = 63;
const NAME_BYTES_MAX = 253;

/** Eight groups of 16 bits while they are read or written. Every thread has its own module, hence its own array. */
const groups = new Int32Array(GROUPS_COUNT);

/**
 * Reads an IPv4 or IPv6 literal that fills the whole window.
 * @returns whether it is one; then `words[at .. at + 4)` holds it
 */
export function parseIpLiteral(
  bytes: Uint8Array,
  start: number,
  length: number,
  words: Int32Array,
  at: number,
): boolean {
  return parseIpv4(bytes, start, length, words, at) || parseIpv6(bytes, start, length, words, at);
}

/** Four decimal octets without leading zeros. @source RFC 3986, section 3.2.2 */
export function parseIpv4(
  bytes: Uint8Array,
  start: number,
  length: number,
  words: Int32Array,
  at: number,
): boolean {
  if (length < 7 || length > 15) return false;
  let value = 0;
  let octet = 0;
  let digits = 0;
  let dots = 0;
  for (let i = start; i < start + length; i++) {
    const byte = bytes[i] as number;
    if (byte === DOT) {
      if (digits === 0 || dots === 3) return false;
      value = (value << 8) | octet;
      octet = 0;
      digits = 0;
      dots++;
      continue;
    }
    if (byte < ZERO || byte > 0x39 || (digits > 0 && octet === 0)) return false;
    octet = octet * 10 + byte - ZERO;
    if (octet > 255) return false;
    digits++;
  }
  if (dots !== 3 || digits === 0) return false;
  words[at] = 0;
  words[at + 1] = 0;
  words[at + 2] = MAPPED_WORD;
  words[at + 3] = (value << 8) | octet;
  return true;
}

/** RFC 4291 text without brackets and without a zone. @source RFC 4291, section 2.2 */
export function parseIpv6(
  bytes: Uint8Array,
  start: number,
  length: number,
  words: Int32Array,
  at: number,
): boolean {
  const end = start + length;
  if (length < 2 || length > IP_TEXT_BYTES_MAX) return false;
  let count = 0;
  let gap = -1;
  let i = start;
  if (bytes[i] === COLON) {
    if (bytes[i + 1] !== COLON) return false;
    gap = 0;
    i += 2;
  }
  while (i < end) {
    if (count === GROUPS_COUNT) return false;
    const groupStart = i;
    let value = 0;
    while (i < end && hexValue(bytes[i] as number) >= 0) {
      value = (value << 4) | hexValue(bytes[i] as number);
      i++;
      if (i - groupStart > 4) return false;
    }
    if (i < end && bytes[i] === DOT) {
      if (count > GROUPS_COUNT - 2) return false;

      if (!parseIpv4(bytes, groupStart, end - groupStart, embedded, 0)) return false;
      groups[count++] = (embedded[3] as number) >>> 16;
      groups[count++] = (embedded[3] as number) & 0xffff;
      i = end;
      break;
    }
    if (i === groupStart) return false;
    groups[count++] = value;
    if (i === end) break;
    if (bytes[i] !== COLON) return false;
    i++;
    if (i === end) return false;
    if (bytes[i] === COLON) {
      if (gap >= 0) return false;
      gap = count;
      i++;
    }
  }
  if (gap < 0 ? count !== GROUPS_COUNT : count === GROUPS_COUNT) return false;
  if (gap >= 0) openGap(gap, count);
  for (let word = 0; word < 4; word++) {
    words[at + word] = ((groups[word * 2] as number) << 16) | (groups[word * 2 + 1] as number);
  }
  return true;
}

const embedded = new Int32Array(4);

/** Moves the groups behind `::` to the end and fills the gap with zeros. */
function openGap(gap: number, count: number): void {
  const tail = count - gap;
  for (let i = 1; i <= tail; i++) groups[GROUPS_COUNT - i] = groups[count - i] as number;
  for (let i = gap; i < GROUPS_COUNT - tail; i++) groups[i] = 0;
}

function hexValue(byte: number): number {
  if (byte >= ZERO && byte <= 0x39) return byte - ZERO;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/**
 * Whether some resolver would read this name as a number: its last label (a trailing dot put aside) is decimal, or 0x
 * and hexadecimal. No top-level domain looks so, hence no real name is lost. True for proper IPv4 literals too: ask
 * `parseIpLiteral` first.
 * @source WHATWG URL, "ends in a number"; inet_aton(3)
 */
export function isNumericLookalike(bytes: Uint8Array, start: number, length: number): boolean {
  let end = start + length;
  if (length > 0 && bytes[end - 1] === DOT) end--;
  let i = end;
  while (i > start && bytes[i - 1] !== DOT) i--;
  if (i === end) return false;
  const isHex = end - i >= 2 && bytes[i] === ZERO && ((bytes[i + 1] as number) | 0x20) === 0x78;
  if (isHex) i += 2;
  for (; i < end; i++) {
    const byte = bytes[i] as number;
    if (isHex ? hexValue(byte) < 0 : byte < ZERO || byte > 0x39) return false;
  }
  return true;
}

/**
 * Whether the window is a host name: labels of letters, digits, hyphen (not at their ends) and underscore, 63 bytes a
 * label, 253 in all without the optional trailing dot. International names come as A-labels (xn--).
 * @source RFC 1123, section 2.1; RFC 8552 for the underscore
 */
export function isHostName(bytes: Uint8Array, start: number, length: number): boolean {
  let end = start + length;
  if (length > 0 && bytes[end - 1] === DOT) end--;
  if (end === start || end - start > NAME_BYTES_MAX) return false;
  let labelBytes = 0;
  let last = DOT;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte === DOT) {
      if (labelBytes === 0 || last === HYPHEN) return false;
      labelBytes = 0;
    } else {
      if (!isNameByte(byte) || (byte === HYPHEN && labelBytes === 0)) return false;
      if (++labelBytes > LABEL_BYTES_MAX) return false;
    }
    last = byte;
  }
  return labelBytes > 0 && last !== HYPHEN;
}

const HYPHEN = 0x2d;
const UNDERSCORE = 0x5f;

function isNameByte(byte: number): boolean {
  const lower = byte | 0x20;
  if (lower >= 0x61 && lower <= 0x7a) return true;
  return (byte >= ZERO && byte <= 0x39) || byte === HYPHEN || byte === UNDERSCORE;
}

/**
 * Writes an address as text in the form of RFC 5952; a mapped address as plain IPv4. `output` has room for
 * 45 bytes from `outputAt`.
 * @returns bytes written
 */
export function writeIp(output: Uint8Array, outputAt: number, words: Int32Array, at: number): number {
  if (words[at] === 0 && words[at + 1] === 0 && words[at + 2] === MAPPED_WORD) {
    return writeIpv4(output, outputAt, words[at + 3] as number);
  }
  for (let i = 0; i < GROUPS_COUNT; i++) {
    groups[i] = ((words[at + (i >> 1)] as number) >>> (i % 2 === 0 ? 16 : 0)) & 0xffff;
  }
  let gap = -1;
  let gapLength = 1;
  for (let i = 0; i < GROUPS_COUNT; i++) {
    let run = i;
    while (run < GROUPS_COUNT && groups[run] === 0) run++;
    // Only a longer run wins: the first of equal ones is shortened, a single zero never.
    if (run - i > gapLength) {
      gap = i;
      gapLength = run - i;
    }
    if (run > i) i = run;
  }
  let to = outputAt;
  for (let i = 0; i < GROUPS_COUNT; i++) {
    if (i === gap) {
      output[to++] = COLON;
      output[to++] = COLON;
      i += gapLength - 1;
      continue;
    }
    if (i > 0 && (gap < 0 || i !== gap + gapLength)) output[to++] = COLON;
    to = writeGroup(output, to, groups[i] as number);
  }
  return to - outputAt;
}

function writeGroup(output: Uint8Array, outputAt: number, group: number): number {
  let to = outputAt;
  for (let shift = group > 0xfff ? 12 : group > 0xff ? 8 : group > 0xf ? 4 : 0; shift >= 0; shift -= 4) {
    const nibble = (group >> shift) & 0xf;
    output[to++] = nibble < 10 ? ZERO + nibble : 0x57 + nibble;
  }
  return to;
}

/** Writes one word as a dotted quad. @returns bytes written, at most 15 */
export function writeIpv4(output: Uint8Array, outputAt: number, word: number): number {
  let to = outputAt;
  for (let shift = 24; shift >= 0; shift -= 8) {
    const octet = (word >>> shift) & 0xff;
    if (octet > 99) output[to++] = ZERO + ((octet / 100) | 0);
    if (octet > 9) output[to++] = ZERO + (((octet / 10) | 0) % 10);
    output[to++] = ZERO + (octet % 10);
    if (shift > 0) output[to++] = DOT;
  }
  return to - outputAt;
}

/** Reads a literal from text. Slow path. UTF-8, since a narrower encoding would fold foreign digits into ASCII. */
export function parseIp(text: string): Int32Array | undefined {
  const bytes = Buffer.from(text, 'utf8');
  const words = new Int32Array(4);
  return parseIpLiteral(bytes, 0, bytes.length, words, 0) ? words : undefined;
}

/** The address as text, as RFC 5952 writes it. Slow path. */
export function formatIp(words: Int32Array, at = 0): string {
  const text = Buffer.alloc(IP_TEXT_BYTES_MAX);
  return text.toString('latin1', 0, writeIp(text, 0, words, at));
}
