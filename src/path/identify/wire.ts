// Numbers and fixed bytes as the protocols of identify/ write them. Network order throughout.
//
// Owner: a data worker. Allocates nothing but in `ascii`, which modules call while they load.

/** Four bytes in network order as int32. The caller knows that they are there. */
export function readWord(input: Uint8Array, at: number): number {
  return (
    ((input[at] as number) << 24) |
    ((input[at + 1] as number) << 16) |
    ((input[at + 2] as number) << 8) |
    (input[at + 3] as number)
  );
}

/** @returns where the next byte goes, as every writer here */
export function writeWord(output: Uint8Array, at: number, word: number): number {
  output[at] = word >>> 24;
  output[at + 1] = (word >>> 16) & 0xff;
  output[at + 2] = (word >>> 8) & 0xff;
  output[at + 3] = word & 0xff;
  return at + 4;
}

export function readPort(input: Uint8Array, at: number): number {
  return ((input[at] as number) << 8) | (input[at + 1] as number);
}

/** Writes a number below 2^53 in decimal. */
export function writeDecimal(output: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  let rest = value;
  for (let i = digits - 1; i >= 0; i--) {
    output[at + i] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return at + digits;
}

/** Copies `input[start .. end)`. What does not fit is dropped, and the answer is then beyond the output's end. */
export function writeSpan(
  output: Uint8Array,
  at: number,
  input: Uint8Array,
  start: number,
  end: number,
): number {
  for (let i = start; i < end; i++) output[at + i - start] = input[i] as number;
  return at + end - start;
}

export function writeAll(output: Uint8Array, at: number, bytes: Uint8Array): number {
  return writeSpan(output, at, bytes, 0, bytes.length);
}

/** The bytes of a constant. While a module loads. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}
