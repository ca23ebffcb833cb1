import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEADER_TOO_LARGE, MALFORMED_HTTP } from '../../layout/reasons.ts';
import {
  CHUNK_EXTENSION_BYTES_MAX,
  CHUNKED_STATE_WORDS,
  isChunkedDone,
  scanChunked,
  TRAILER_BYTES_MAX,
} from './chunked.ts';

/** Shows the text to a scanner in pieces of the given size. @returns bytes of the body, or minus a reason */
function scan(text: string, pieceBytes = text.length || 1): { answer: number; done: boolean } {
  const input = Buffer.from(text, 'latin1');
  const state = new Int32Array(CHUNKED_STATE_WORDS + 2);
  let total = 0;
  for (let at = 0; at < input.length && !isChunkedDone(state, 1); at += pieceBytes) {
    const end = Math.min(at + pieceBytes, input.length);
    const answer = scanChunked(state, 1, input, at, end);
    if (answer < 0) return { answer, done: false };
    if (answer < end - at) expect(isChunkedDone(state, 1)).toBe(true);
    total += answer;
  }
  expect([state[0], state[4]]).toEqual([0, 0]);
  return { answer: total, done: isChunkedDone(state, 1) };
}

const valid = [
  '0\r\n\r\n',
  '000\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\n',
  'a;x=1;y="q\\"q"\r\n0123456789\r\n0;last\r\n\r\n',
  '1\r\n\r\r\n2\r\n\r\n\r\n0\r\n\r\n',
  '5\r\n0\r\n\r\n\r\n0\r\nDigest: x\r\nEmpty:\r\nTabbed:\t\xe9 \r\n\r\n',
  'Ff\r\n' + 'z'.repeat(255) + '\r\n0\r\n\r\n',
];

describe('a chunked body', () => {
  it('ends where it ends, in pieces of any size, and nothing behind it belongs to it', () => {
    for (const body of valid) {
      for (const piece of [1, 2, 3, 7, body.length, body.length + 99]) {
        expect(scan(`${body}GET / HTTP/1.1\r\n`, piece), body).toEqual({ answer: body.length, done: true });
      }
    }
  });

  it('is not done at any truncation', () => {
    for (const body of valid) {
      for (let cut = 0; cut < body.length; cut++) {
        expect(scan(body.slice(0, cut))).toEqual({ answer: cut, done: false });
      }
    }
  });

  it.each([
    '\r\n',
    ';x\r\n',
    ' 5\r\nhello\r\n',
    '5 \r\nhello\r\n',
    '5 ;x\r\nhello\r\n',
    '5\t\r\nhello\r\n',
    '+5\r\nhello\r\n',
    '-1\r\n',
    '0x5\r\nhello\r\n',
    '5h\r\nhello\r\n',
    '5\nhello\r\n',
    '5\rhello\r\n',
    '5\r\nhello\n0\r\n',
    '5\r\nhello0\r\n\r\n',
    '5\r\nhello!\r\n',
    '5\r\nhell\r\n0\r\n',
    '5\r\nhello\r0\r\n',
    '5;x\n\r\nhello\r\n',
    '5;x\r\r\nhello\r\n',
    '5;x\0\r\nhello\r\n',
    '80000000\r\n',
    'ffffffff\r\n',
    '100000000\r\n',
    'fffffffffffffffff\r\n',
    '00000000000000005\r\n',
    '0\r\n\n',
    '0\r\n\rX',
    '0\r\n folded: x\r\n\r\n',
    '0\r\nName : x\r\n\r\n',
    '0\r\n: x\r\n\r\n',
    '0\r\nName\r\n\r\n',
    '0\r\nName: x\n\r\n',
    '0\r\nName: x\r\n folded\r\n\r\n',
    '0\r\nName: \0\r\n\r\n',
  ])('refuses %j however it arrives', (body) => {
    expect(scan(body).answer).toBe(-MALFORMED_HTTP);
    expect(scan(body, 1).answer).toBe(-MALFORMED_HTTP);
  });

  it('takes the largest size and counts it down without reading it', () => {
    const state = new Int32Array(CHUNKED_STATE_WORDS);
    const head = Buffer.from('7fffffff\r\n');
    expect(scanChunked(state, 0, head, 0, head.length)).toBe(head.length);
    const input = Buffer.alloc(4096);
    expect(scanChunked(state, 0, input, 0, input.length)).toBe(input.length);
    expect(isChunkedDone(state, 0)).toBe(false);
  });

  it('bounds extensions and trailers', () => {
    const extended = (bytes: number): string => `1;${'x'.repeat(bytes - 1)}\r\nz\r\n0\r\n\r\n`;
    expect(scan(extended(CHUNK_EXTENSION_BYTES_MAX)).done).toBe(true);
    expect(scan(extended(CHUNK_EXTENSION_BYTES_MAX + 1)).answer).toBe(-HEADER_TOO_LARGE);
    const oneLine = `0\r\nName: ${'x'.repeat(TRAILER_BYTES_MAX)}\r\n\r\n`;
    expect(scan(oneLine).answer).toBe(-HEADER_TOO_LARGE);
    expect(scan(`0\r\n${'a:b\r\n'.repeat(TRAILER_BYTES_MAX)}\r\n`, 3).answer).toBe(-HEADER_TOO_LARGE);
    expect(scan(`0\r\n${'a:b\r\n'.repeat(700)}\r\n`).done).toBe(true);
  });

  it('answers the same in one piece as in many, on anything', () => {
    const noise = fc
      .tuple(
        fc.constantFrom(...valid),
        fc.array(fc.tuple(fc.nat(), fc.constantFrom('\r', '\n', '0', 'f', ' ', ';', ':', '\0')), {
          maxLength: 3,
        }),
      )
      .map(([body, changes]) => {
        const characters = [...body];
        for (const [at, character] of changes) characters[at % body.length] = character;
        return characters.join('');
      });
    fc.assert(
      fc.property(
        fc.oneof(noise, fc.string({ maxLength: 60 })),
        fc.integer({ min: 1, max: 9 }),
        (body, piece) => {
          const latin1 = body.replace(/[^\0-\xff]/g, '?');
          const whole = scan(latin1);
          expect(scan(latin1, piece)).toEqual(whole);
          expect(whole.answer <= latin1.length).toBe(true);
        },
      ),
    );
  });
});
