// Keywords and expressions of a rule set, or of all rules that stand in no set, while they are read: how much of them there
// may be, told of the one that is too much, where it stands. Workers look for all of them in every name, and the compiler
// builds one automaton of the keywords. Any thread.

import { KEYWORD_PREDICATES_MAX } from '../match/keywords.ts';
import { sharedPredicates } from './build/expressions.ts';
import {
  firstBeyond,
  measureRegex,
  REGEX_WORK_MAX,
  type RegexMeasure,
  regexWork,
} from './build/regex-work.ts';
import { isRegexMistake, type RegexMistake } from './build/regex-reading.ts';

/** Of keywords, and of the texts that expressions want: a state each, of about 250 bytes while the automaton is built. */
const KEYWORD_BYTES_MAX = 2 ** 20;
const EXPRESSIONS_MAX = 8_192;
/** Words of all machines. */
const MACHINE_WORDS_MAX = 2 ** 22;
/** Lists of keywords, and expressions. */
const PREDICATES_MAX = KEYWORD_PREDICATES_MAX - sharedPredicates(EXPRESSIONS_MAX);

/** What is too much. */
export interface Excess {
  readonly found: string;
  readonly expected: string;
  readonly message: string;
}

export class TextBounds<Place> {
  /** Of the different expressions, in the order of reading. */
  readonly measures: RegexMeasure[] = [];
  private readonly places: Place[] = [];
  private readonly expressions = new Set<string>();
  private keywordBytes = 0;
  private predicates = 0;
  private machineWords = 0;
  /** There are so many already that no more are read. */
  private isFull = false;
  private isTold = false;

  /** @returns what is too much, where these are the first to be it */
  addKeywords(keywords: readonly string[]): Excess | undefined {
    return this.addText(keywords.reduce((sum, { length }) => sum + length, 0));
  }

  /** A condition that has keywords, whose answer is one by itself. */
  addPredicate(): Excess | undefined {
    if (++this.predicates !== PREDICATES_MAX + 1) return undefined;
    return tooMany('conditions with keywords, and expressions', PREDICATES_MAX);
  }

  /** @returns also what is wrong with the expression itself */
  addExpression(text: string, place: Place): Excess | RegexMistake | undefined {
    if (this.isFull || this.expressions.has(text)) return undefined;
    if (this.expressions.size === EXPRESSIONS_MAX) return this.fill(tooMany('expressions', EXPRESSIONS_MAX));
    const measure = measureRegex(text);
    if (isRegexMistake(measure)) return measure;
    const { literals, words } = measure;
    this.expressions.add(text);
    this.machineWords += words;
    if (this.machineWords > MACHINE_WORDS_MAX) return this.fill(TOO_LARGE);
    this.places.push(place);
    const count = this.measures.push(measure);
    // Now and then, since nobody is to wait until thousands have been built that are too much.
    if ((count & (count - 1)) === 0 && regexWork(this.measures) > REGEX_WORK_MAX) this.isFull = true;
    const bytes = literals.reduce((sum, { length }) => sum + length, 0);
    return this.addText(bytes) ?? (literals.length === 0 ? undefined : this.addPredicate());
  }

  /** After all have been added. @returns the first expression that a worker has no time for */
  beyondWork(): { readonly place: Place; readonly excess: Excess } | undefined {
    const first = this.isTold ? -1 : firstBeyond(this.measures);
    if (first < 0) return undefined;
    return { place: this.places[first] as Place, excess: workExcess(this.measures.slice(0, first + 1)) };
  }

  private addText(bytes: number): Excess | undefined {
    const before = this.keywordBytes;
    this.keywordBytes += bytes;
    if (before > KEYWORD_BYTES_MAX || this.keywordBytes <= KEYWORD_BYTES_MAX) return undefined;
    return tooMany('bytes of keywords', KEYWORD_BYTES_MAX);
  }

  private fill(excess: Excess): Excess {
    this.isFull = true;
    this.isTold = true;
    return excess;
  }
}

function tooMany(what: string, max: number): Excess {
  const expected = `at most ${max} ${what}`;
  return { found: 'more', expected, message: `more than ${max} ${what} together with those before` };
}

const TOO_LARGE: Excess = {
  found: 'more',
  expected: 'fewer expressions, or smaller ones',
  message: 'the expressions up to this one are too large together',
};

/** @param whose among which they stand, if not in one list */
export function workExcess(measures: readonly RegexMeasure[], whose = ''): Excess {
  const found = `${regexWork(measures)} steps a byte`;
  const expected = `at most ${REGEX_WORK_MAX}, which is a millisecond a name`;
  const message = `the expressions ${whose === '' ? '' : `${whose} `}up to this one may take ${found} of a name together; expected ${expected}: fewer, smaller ones, or ones that want a longer text in the name`;
  return { found, expected, message };
}
