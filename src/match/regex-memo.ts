// What machines have answered in the question that is being asked: however many rules hold an expression, and however often
// a rule set is looked at, a machine runs once for a name. Any thread; allocates nothing.

import { matchesRegex } from './regex.ts';

/** Places by hash; who finds another machine in its place takes it, and that one may run again. */
const PLACES = 4_096;

export class RegexMemo {
  private readonly machines = new Int32Array(PLACES);
  private readonly questions = new Int32Array(PLACES).fill(-1);
  private readonly answers = new Uint8Array(PLACES);

  /**
   * As `matchesRegex`.
   * @param question which name is asked about, and in which snapshot: >= 0, another one for each
   */
  matches(arena: Int32Array, at: number, bytes: Uint8Array, length: number, question: number): boolean {
    const mixed = Math.imul(at, 0x9e3779b1);
    const place = (mixed ^ (mixed >>> 15)) & (PLACES - 1);
    if (this.machines[place] === at && this.questions[place] === question) return this.answers[place] === 1;
    const answer = matchesRegex(arena, at, bytes, length);
    this.machines[place] = at;
    this.questions[place] = question;
    this.answers[place] = answer ? 1 : 0;
    return answer;
  }

  /** Before questions are counted from 0 again. */
  forget(): void {
    this.questions.fill(-1);
  }
}
