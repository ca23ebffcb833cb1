// Values in an mmdb file, and the file's own description of itself at its end. Read by going to what is asked for, past
// everything else: names of countries in eight languages are never decoded.
//
//   search tree · 16 zero bytes · data: values that tree and pointers lead to · marker · metadata: one map
//
// @source MaxMind DB file format specification 2.0

import { Garbled } from './byte-reader.ts';

const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
const METADATA_BYTES_MAX = 128 * 1024;
const DEPTH_MAX = 32;
/** Values stepped over for one byte of the file: maps that point into each other could be walked for ever. */
const STEPS_PER_BYTE = 64;

const TYPE_POINTER = 1;
const TYPE_TEXT = 2;
const TYPE_UINT16 = 5;
const TYPE_UINT32 = 6;
const TYPE_MAP = 7;
const TYPE_UINT64 = 9;
const TYPE_ARRAY = 11;
const TYPE_BOOLEAN = 14;

export interface MmdbValues {
  readonly bytes: Buffer;
  /** What pointers count from. */
  readonly base: number;
  steps: number;
}

export interface MmdbMetadata {
  readonly nodes: number;
  /** Of one half of a node: 24, 28, 32. */
  readonly recordBits: number;
  readonly ipVersion: number;
  readonly databaseType: string;
}

interface Head {
  readonly type: number;
  readonly size: number;
  /** Where the value's bytes begin, or, of a pointer, where it leads. */
  readonly at: number;
  /** Of a pointer: behind it. */
  readonly end: number;
}

export function isMmdb(bytes: Uint8Array): boolean {
  return markerAt(bytes) >= 0;
}

function markerAt(bytes: Uint8Array): number {
  const tail = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return tail.lastIndexOf(MARKER) < tail.length - METADATA_BYTES_MAX ? -1 : tail.lastIndexOf(MARKER);
}

/** Throws Garbled. */
export function readMetadata(bytes: Uint8Array): MmdbMetadata {
  const marker = markerAt(bytes);
  if (marker < 0) throw new Garbled(bytes.length, 'there is no description at the end: this is no mmdb file');
  const values = mmdbValues(bytes, marker + MARKER.length);
  const number = (key: string) => numberAt(values, find(values, values.base, key));
  const major = number('binary_format_major_version');
  if (major !== 2) throw new Garbled(marker, `format ${major ?? 'unknown'}; 2 is known`);
  const nodes = number('node_count') ?? 0;
  const recordBits = number('record_size') ?? 0;
  const ipVersion = number('ip_version') ?? 0;
  if (![24, 28, 32].includes(recordBits)) throw new Garbled(marker, `records of ${recordBits} bits`);
  if (ipVersion !== 4 && ipVersion !== 6) throw new Garbled(marker, `IP version ${ipVersion}`);
  if (nodes < 1 || (nodes * recordBits) / 4 + 16 > marker)
    throw new Garbled(marker, `${nodes} nodes, which do not fit`);
  const type = find(values, values.base, 'database_type');
  return { nodes, recordBits, ipVersion, databaseType: type < 0 ? '' : (textAt(values, type) ?? '') };
}

export function mmdbValues(bytes: Uint8Array, base: number): MmdbValues {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { bytes: buffer, base, steps: buffer.length * STEPS_PER_BYTE };
}

/** @returns where the value of a key of the map at `at` stands; -1: no map, or no such key */
export function find(values: MmdbValues, at: number, key: string): number {
  if (at < 0) return -1;
  const map = target(values, at);
  if (map.type !== TYPE_MAP) return -1;
  let next = map.at;
  for (let index = 0; index < map.size; index++) {
    const name = textAt(values, next);
    if (name === undefined) throw new Garbled(next, 'a key that is no text');
    next = past(values, next, 0);
    if (name === key) return next;
    next = past(values, next, 0);
  }
  return -1;
}

/** @returns undefined where no text stands */
export function textAt(values: MmdbValues, at: number): string | undefined {
  if (at < 0) return undefined;
  const head = target(values, at);
  if (head.type !== TYPE_TEXT) return undefined;
  return values.bytes.toString('utf8', head.at, within(values, head.at + head.size));
}

/** @returns undefined where no number of up to 32 bits stands */
export function numberAt(values: MmdbValues, at: number): number | undefined {
  if (at < 0) return undefined;
  const { type, size, at: start } = target(values, at);
  const isNumber = type === TYPE_UINT16 || type === TYPE_UINT32 || type === TYPE_UINT64;
  if (!isNumber || size > 4) return undefined;
  within(values, start + size);
  return size === 0 ? 0 : values.bytes.readUIntBE(start, size);
}

/** Behind a pointer, which leads to no other one. */
function target(values: MmdbValues, at: number): Head {
  const head = headAt(values, at);
  if (head.type !== TYPE_POINTER) return head;
  const led = headAt(values, head.at);
  if (led.type === TYPE_POINTER) throw new Garbled(at, 'a pointer to a pointer');
  return led;
}

/** @returns where the next value begins */
function past(values: MmdbValues, at: number, depth: number): number {
  if (depth > DEPTH_MAX) throw new Garbled(at, `values nested deeper than ${DEPTH_MAX}`);
  const head = headAt(values, at);
  if (head.type === TYPE_POINTER) return head.end;
  if (head.type === TYPE_BOOLEAN) return head.at;
  if (head.type !== TYPE_MAP && head.type !== TYPE_ARRAY) return within(values, head.at + head.size);
  let next = head.at;
  const inside = head.type === TYPE_MAP ? head.size * 2 : head.size;
  for (let index = 0; index < inside; index++) next = past(values, next, depth + 1);
  return next;
}

function within(values: MmdbValues, end: number): number {
  if (end > values.bytes.length) throw new Garbled(end, 'a value that ends behind the file');
  return end;
}

function headAt(values: MmdbValues, at: number): Head {
  const { bytes } = values;
  if (--values.steps < 0) throw new Garbled(at, 'values that lead to each other without end');
  const control = byteAt(bytes, at);
  let next = at + 1;
  let type = control >> 5;
  if (type === TYPE_POINTER) return pointerAt(values, control, next);
  if (type === 0) type = byteAt(bytes, next++) + 7;
  let size = control & 0x1f;
  if (size === 29) size = 29 + byteAt(bytes, next++);
  else if (size === 30) {
    size = 285 + byteAt(bytes, next) * 256 + byteAt(bytes, next + 1);
    next += 2;
  } else if (size === 31) {
    size = 65_821 + byteAt(bytes, next) * 65_536 + byteAt(bytes, next + 1) * 256 + byteAt(bytes, next + 2);
    next += 3;
  }
  return { type, size, at: next, end: next };
}

/** What is added to a pointer by the number of its bytes, so that none can be written in two ways. */
const POINTER_BASES = [0, 2_048, 526_336, 0] as const;

function pointerAt(values: MmdbValues, control: number, next: number): Head {
  const form = (control >> 3) & 3;
  let offset = form === 3 ? 0 : control & 7;
  for (let index = 0; index <= form; index++) offset = offset * 256 + byteAt(values.bytes, next + index);
  offset += POINTER_BASES[form as 0 | 1 | 2 | 3];
  return { type: TYPE_POINTER, size: 0, at: values.base + offset, end: next + form + 1 };
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new Garbled(at, 'a value behind the end of the file');
  return byte;
}
