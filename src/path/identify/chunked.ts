// Where a chunked body ends: a scanner that is shown the body in whatever pieces arrive and says how many of their bytes
// belong to it. It changes nothing; the bytes are forwarded as they are, so it must be at least as strict as any server
// behind it. Refused: blanks after the size, bare CR or LF, sizes beyond 2^31 - 1, malformed trailers.
//
//   size ─► [;extension] ─► CR LF ─► data ─► CR LF ─► size ...
//   0    ─► [;extension] ─► CR LF ─► [name: value CR LF]... ─► CR LF ─► done
//
// Owner: a data worker. State: CHUNKED_STATE_WORDS words of the caller's, zeros at the start. Allocates nothing.
// Bounds: extensions of a chunk and the trailers as a whole, so that framing cannot be used to send without end.
// @source RFC 9112, section 7.1

import { HEADER_TOO_LARGE, MALFORMED_HTTP } from '../../layout/reasons.ts';
import { COLON, CR, isTokenByte, isValueByte, LF } from './http-fields.ts';

/** Words of state: phase, bytes that the chunk still has, length of what is being read. */
export const CHUNKED_STATE_WORDS = 3;
/** Extensions of one chunk. */
export const CHUNK_EXTENSION_BYTES_MAX = 256;
/** All trailer lines together. */
export const TRAILER_BYTES_MAX = 4096;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const CHUNK = 3;
const CHUNK_CR = 4;
const CHUNK_LF = 5;
const TRAILER_START = 6;
const TRAILER_NAME = 7;
const TRAILER_VALUE = 8;
const TRAILER_LF = 9;
const LAST_LF = 10;
const DONE = 11;

const SIZE_DIGITS_MAX = 16;
const SEMICOLON = 0x3b;

/**
 * Scans `input[start .. end)`, which continues where the last call with this state stopped.
 * @returns bytes that belong to the body (fewer than given only once it is complete), or minus a reason:
 *   MALFORMED_HTTP or HEADER_TOO_LARGE; the state is then worthless
 */
export function scanChunked(
  state: Int32Array,
  stateAt: number,
  input: Uint8Array,
  start: number,
  end: number,
): number {
  let phase = state[stateAt] as number;
  let remaining = state[stateAt + 1] as number;
  let read = state[stateAt + 2] as number;
  let at = start;
  while (at < end && phase !== DONE) {
    if (phase === CHUNK) {
      const step = end - at < remaining ? end - at : remaining;
      at += step;
      remaining -= step;
      if (remaining === 0) phase = CHUNK_CR;
      continue;
    }
    const byte = input[at] as number;
    if (phase === SIZE) {
      const digit = hexDigit(byte);
      if (digit >= 0) {
        if (remaining > 0x7ffffff || ++read > SIZE_DIGITS_MAX) return -MALFORMED_HTTP;
        remaining = (remaining << 4) | digit;
        at++;
        continue;
      }
      if (read === 0) return -MALFORMED_HTTP;
      read = 0;
    }
    phase = nextPhase(phase, byte, remaining);
    if (phase < 0) return -MALFORMED_HTTP;
    read = phase === SIZE ? 0 : read + 1;
    if (phase === EXTENSION && read > CHUNK_EXTENSION_BYTES_MAX) return -HEADER_TOO_LARGE;
    if (phase >= TRAILER_START && read > TRAILER_BYTES_MAX) return -HEADER_TOO_LARGE;
    at++;
  }
  state[stateAt] = phase;
  state[stateAt + 1] = remaining;
  state[stateAt + 2] = read;
  return at - start;
}

/** Whether the body that this state stands for is complete. */
export function isChunkedDone(state: Int32Array, stateAt: number): boolean {
  return state[stateAt] === DONE;
}

/** The phase after one byte of framing that is no digit of a size, or -1. */
function nextPhase(phase: number, byte: number, chunkBytes: number): number {
  switch (phase) {
    case SIZE:
      return byte === CR ? SIZE_LF : byte === SEMICOLON ? EXTENSION : -1;
    case EXTENSION:
      return byte === CR ? SIZE_LF : isValueByte(byte) ? EXTENSION : -1;
    case SIZE_LF:
      if (byte !== LF) return -1;
      return chunkBytes > 0 ? CHUNK : TRAILER_START;
    case CHUNK_CR:
      return byte === CR ? CHUNK_LF : -1;
    case CHUNK_LF:
      return byte === LF ? SIZE : -1;
    case TRAILER_START:
      return byte === CR ? LAST_LF : isTokenByte(byte) ? TRAILER_NAME : -1;
    case TRAILER_NAME:
      return byte === COLON ? TRAILER_VALUE : isTokenByte(byte) ? TRAILER_NAME : -1;
    case TRAILER_VALUE:
      return byte === CR ? TRAILER_LF : isValueByte(byte) ? TRAILER_VALUE : -1;
    case TRAILER_LF:
      return byte === LF ? TRAILER_START : -1;
    default:
      return byte === LF ? DONE : -1;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
