// Tables of fixed records in shared memory, with typed accessors generated from a description of the fields. A table is
// a view: two threads that attach to the same bytes see the same records. The accessors are emitted as source text
// once, at module load, so that every offset is a constant and V8 inlines the reads; nothing here allocates afterwards.
//
//   defineRecords('Slot', { clientFd: i32, upBytes: f64, source: words(4), gate: atomic })
//     table.clientFd(r)   table.setClientFd(r, v)          plain word, one writer
//     table.upBytes(r)    table.setUpBytes(r, v)  addUpBytes(r, d)   float64, one writer
//     table.source(r, k)  table.setSource(r, k, v)         k-th word of a vector
//     table.gate(r)  setGate(r, v)  addGate(r, d)  swapGate(r, from, to)   Atomics; several writers
//
// Fields lie in the order written; float64 fields are aligned to 8 bytes; a record is a multiple of 64 bytes, so that
// two records never share a cache line.

export interface I32 {
  readonly kind: 'i32';
}
export interface F64 {
  readonly kind: 'f64';
}
export interface Atomic {
  readonly kind: 'atomic';
}
export interface Words {
  readonly kind: 'words';
  readonly count: number;
}
export interface F64Vector {
  readonly kind: 'f64s';
  readonly count: number;
}
type Field = I32 | F64 | Atomic | Words | F64Vector;

/** A signed 32-bit word with a single writer. */
export const i32: I32 = { kind: 'i32' };
/** A float64 with a single writer: byte counts beyond 2^31, times of day. */
export const f64: F64 = { kind: 'f64' };
/** A signed 32-bit word that several threads write. */
export const atomic: Atomic = { kind: 'atomic' };

/** A vector of `count` signed 32-bit words. */
export function words(count: number): Words {
  return { kind: 'words', count };
}

/** A vector of `count` float64, one writer. */
export function f64s(count: number): F64Vector {
  return { kind: 'f64s', count };
}

type Get<F extends Field> = F extends Words | F64Vector
  ? (record: number, index: number) => number
  : (record: number) => number;
type Set<F extends Field> = F extends Words | F64Vector
  ? (record: number, index: number, value: number) => void
  : (record: number, value: number) => void;
type Add<F extends Field> = F extends F64Vector
  ? (record: number, index: number, delta: number) => void
  : F extends Atomic
    ? (record: number, delta: number) => number
    : (record: number, delta: number) => void;

type Schema = Record<string, Field>;
type Adding<S extends Schema> = { [K in keyof S]: S[K] extends Words ? never : K }[keyof S] & string;
type Swapping<S extends Schema> = { [K in keyof S]: S[K] extends Atomic ? K : never }[keyof S] & string;

/** The accessors of a table; see the file's head for their meaning. */
export type Records<S extends Schema> = { readonly [K in keyof S & string]: Get<S[K]> } & {
  readonly [K in keyof S & string as `set${Capitalize<K>}`]: Set<S[K]>;
} & { readonly [K in Adding<S> as `add${Capitalize<K>}`]: Add<S[K]> } & {
  /** Compare-and-swap; answers the word that was there (equal to `from` on success). */
  readonly [K in Swapping<S> as `swap${Capitalize<K>}`]: (record: number, from: number, to: number) => number;
} & {
  /** Number of records. */
  readonly count: number;
  /** Sets every word of a record to 0. */
  readonly clear: (record: number) => void;
};

/** What `defineRecords` answers: the size, and a way to lay the view over memory. */
export interface RecordType<S extends Schema> {
  readonly recordBytes: number;
  /** Lays the table over `buffer` from `byteOffset` (a multiple of 64) on. The caller keeps the range for it alone. */
  readonly attach: (buffer: ArrayBufferLike, byteOffset: number, count: number) => Records<S>;
}

const CACHE_LINE_WORDS = 16;

/** Generates the accessors for `schema`. At module load only: it compiles source text. */
export function defineRecords<const S extends Schema>(name: string, schema: S): RecordType<S> {
  let word = 0;
  const offsets = new Map<string, number>();
  for (const [field, { kind }] of Object.entries(schema)) {
    if (kind === 'f64' || kind === 'f64s') word = (word + 1) & ~1;
    offsets.set(field, word);
    word += fieldWords(schema[field] as Field);
  }
  const recordWords = Math.ceil(word / CACHE_LINE_WORDS) * CACHE_LINE_WORDS;
  const methods = Object.entries(schema).map(([field, type]) =>
    emit(field, type, offsets.get(field) as number, recordWords),
  );
  const source = `'use strict';
return class ${name}Records {
  constructor(i32, f64, count) { this.i32 = i32; this.f64 = f64; this.count = count; }
  clear(r) { this.i32.fill(0, r * ${recordWords}, (r + 1) * ${recordWords}); }
${methods.join('\n')}
}`;
  const Table = new Function(source)() as new (i: Int32Array, f: Float64Array, count: number) => Records<S>;
  const recordBytes = recordWords * 4;
  return {
    recordBytes,
    attach(buffer, byteOffset, count) {
      if (byteOffset % 64 !== 0 || byteOffset + count * recordBytes > buffer.byteLength) {
        throw new RangeError(`${name}: ${count} records of ${recordBytes} bytes do not fit at ${byteOffset}`);
      }
      return new Table(
        new Int32Array(buffer, byteOffset, count * recordWords),
        new Float64Array(buffer, byteOffset, (count * recordWords) / 2),
        count,
      );
    },
  };
}

function fieldWords(field: Field): number {
  switch (field.kind) {
    case 'f64':
      return 2;
    case 'words':
      return field.count;
    case 'f64s':
      return field.count * 2;
    default:
      return 1;
  }
}

function emit(field: string, type: Field, offset: number, recordWords: number): string {
  const suffix = field.charAt(0).toUpperCase() + field.slice(1);
  const at = `${scaled('r', recordWords)} + ${offset}`;
  const at64 = `${scaled('r', recordWords / 2)} + ${offset / 2}`;
  switch (type.kind) {
    case 'i32':
      return `  ${field}(r) { return this.i32[${at}]; }
  set${suffix}(r, v) { this.i32[${at}] = v; }
  add${suffix}(r, d) { this.i32[${at}] += d; }`;
    case 'f64':
      return `  ${field}(r) { return this.f64[${at64}]; }
  set${suffix}(r, v) { this.f64[${at64}] = v; }
  add${suffix}(r, d) { this.f64[${at64}] += d; }`;
    case 'words':
      return `  ${field}(r, k) { return this.i32[${at} + k]; }
  set${suffix}(r, k, v) { this.i32[${at} + k] = v; }`;
    case 'f64s':
      return `  ${field}(r, k) { return this.f64[${at64} + k]; }
  set${suffix}(r, k, v) { this.f64[${at64} + k] = v; }
  add${suffix}(r, k, d) { this.f64[${at64} + k] += d; }`;
    case 'atomic':
      return `  ${field}(r) { return Atomics.load(this.i32, ${at}); }
  set${suffix}(r, v) { Atomics.store(this.i32, ${at}, v); }
  add${suffix}(r, d) { return Atomics.add(this.i32, ${at}, d); }
  swap${suffix}(r, from, to) { return Atomics.compareExchange(this.i32, ${at}, from, to); }`;
  }
}

function scaled(variable: string, factor: number): string {
  const shift = Math.log2(factor);
  return Number.isInteger(shift) ? `(${variable} << ${shift})` : `${variable} * ${factor}`;
}
