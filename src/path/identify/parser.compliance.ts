// What every parser of identify/ promises, whatever its protocol: it decides once and for all (more bytes never change
// an answer), a truncated message only asks for more, nothing beyond the given length is read or consumed, and no
// input makes it throw.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REASONS_COUNT } from '../../layout/reasons.ts';
import { Parsed } from './parsed.ts';

export type Parser = (input: Uint8Array, length: number, parsed: Parsed) => number;

/** Runs the suite for one parser. `valid` messages are complete and nothing follows them. */
export function itKeepsTheParserContract(name: string, parse: Parser, valid: readonly Uint8Array[]): void {
  const parsed = new Parsed();
  const answerFor = (message: Uint8Array, length: number): number => parse(message, length, parsed);

  describe(`${name}, as every parser`, () => {
    it('completes a valid message with exactly its length', () => {
      for (const message of valid) expect(answerFor(message, message.length)).toBe(message.length);
    });

    it('asks for more at every truncation of a valid message', () => {
      for (const message of valid) {
        for (let length = 0; length < message.length; length++) {
          // As a cut array and as a shorter window: bytes behind the window must not be looked at.
          expect(answerFor(message.subarray(0, length), length), `of ${length}`).toBe(0);
          expect(answerFor(message, length), `window of ${length}`).toBe(0);
        }
      }
    });

    it('leaves what follows a valid message alone', () => {
      fc.assert(
        fc.property(fc.constantFrom(...valid), fc.uint8Array({ maxLength: 40 }), (message, tail) => {
          const input = Buffer.concat([message, tail]);
          expect(answerFor(input, input.length)).toBe(message.length);
        }),
      );
    });

    it('decides once: more bytes never change an answer', () => {
      const mutated = fc
        .tuple(
          fc.constantFrom(...valid),
          fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
          fc.uint8Array({ maxLength: 20 }),
        )
        .map(([message, changes, tail]) => {
          const input = Buffer.concat([message, tail]);
          for (const [at, byte] of changes) input[at % message.length] = byte;
          return input as Uint8Array;
        });
      const started = fc
        .tuple(fc.constantFrom(...valid), fc.nat(), fc.uint8Array({ maxLength: 80 }))
        .map(
          ([message, cut, tail]): Uint8Array =>
            Buffer.concat([message.subarray(0, cut % message.length), tail]),
        );
      fc.assert(
        fc.property(fc.oneof(mutated, started, fc.uint8Array({ maxLength: 120 })), (input) => {
          const before = Buffer.from(input);
          let decided = 0;
          for (let length = 0; length <= input.length; length++) {
            const answer = answerFor(input, length);
            expect(Number.isInteger(answer) && answer > -REASONS_COUNT).toBe(true);
            if (decided !== 0) expect(answer).toBe(decided);
            else if (answer > 0) expect(answer).toBe(length);
            decided = answer;
          }
          expect(before.equals(input)).toBe(true);
        }),
        { numRuns: 400 },
      );
    });
  });
}
