// What a decision takes, in this process: the matcher that a worker has, on the snapshot that the compiler makes.
//
// Singly: each question is written into the one object that is asked with, then the clock is read before and after the
// decision. What two readings of the clock cost, with nothing between them, is taken off (its median, measured in between by
// the same code). Together: a loop over all questions without a clock, less the same loop that only writes them.

import { getHeapStatistics } from 'node:v8';
import { hashText, RULE_DOMAIN_SEED_KEY } from '../../../src/layout/name-hash.ts';
import { Matcher, NO_RULE } from '../../../src/match/matcher.ts';
import { Query } from '../../../src/match/query.ts';
import { referenceSet, type ReferenceSize } from '../reference-set.ts';
import { type BuildTimes, type BuiltReference, buildReference, KEYS } from './build.ts';
import { decideByInterpreter, LinearMatcher } from './linear.ts';
import { makeQuestions, prepare, type Questions } from './questions.ts';

export interface DecisionsOrder {
  readonly kind: 'snapshot' | 'linear' | 'interpreter';
  readonly size: ReferenceSize;
  readonly questions: number;
  readonly seed: number;
}

export interface DecisionsAnswer {
  readonly p50Ns: number;
  readonly p99Ns: number;
  readonly meanNs: number;
  /** What two readings of the clock cost, which was taken off p50 and p99. */
  readonly clockNs: number;
  readonly bytesADecision: number;
  readonly matchedShare: number;
  readonly build: BuildTimes;
  readonly builtAgainS: number;
  readonly bytesADomain: number;
  readonly bytes: number;
}

/** Answers a question by its number. @returns number of the rule, or NO_RULE */
type Decide = (index: number) => number;

const NS_A_MS = 1e6;
/** Questions that are asked before anything counts, so that the code is compiled as it will stay. */
const WARMUP_QUESTIONS = 200_000;
const LINEAR_SHARE = 20;
const INTERPRETED_SHARE = 1000;
/** Answers that are compared before anything is measured: with the linear matcher, and with the interpreter. */
const COMPARED_MAX = 5000;
const INTERPRETED_MAX = 100;

export function measureDecisions(order: DecisionsOrder): DecisionsAnswer {
  const reference = referenceSet(order.size, order.seed);
  const built = buildReference(reference);
  const again = buildReference(reference);
  const questions = makeQuestions(reference, order.questions, order.seed);
  const query = new Query();
  prepare(query);
  const { decide, count } = subjectOf(order.kind, built, questions, query);
  if (order.kind === 'snapshot') agree(built, questions, query, decide);
  for (let asked = 0; asked < Math.min(WARMUP_QUESTIONS, count * 4); asked++) {
    questions.fill(query, asked % count);
    decide(asked % count);
  }
  const { p50Ns, p99Ns, clockNs } = singly(questions, query, decide, count);
  const { meanNs, bytesADecision, matched } = together(questions, query, decide, count);
  return {
    p50Ns,
    p99Ns,
    clockNs,
    meanNs,
    bytesADecision,
    matchedShare: matched / count,
    build: built.times,
    builtAgainS: again.times.wallS,
    bytesADomain: built.bytesADomain,
    bytes: built.bytes,
  };
}

interface Asked {
  readonly decide: Decide;
  /** Questions that it is asked. */
  readonly count: number;
}

function subjectOf(
  kind: DecisionsOrder['kind'],
  built: BuiltReference,
  questions: Questions,
  query: Query,
): Asked {
  const { count } = questions;
  if (kind === 'snapshot') {
    const { arena, at } = built;
    const matcher = new Matcher(arena, hashText(KEYS, RULE_DOMAIN_SEED_KEY, '')[0] as number);
    return { decide: () => matcher.match(at, query, 0), count };
  }
  if (kind === 'linear') {
    const linear = new LinearMatcher(built);
    const decide = (index: number) => linear.decide(questions.connections[index]);
    return { decide, count: Math.ceil(count / LINEAR_SHARE) };
  }
  const decide = (index: number) => decideByInterpreter(built, questions.connections[index]);
  return { decide, count: Math.ceil(count / INTERPRETED_SHARE) };
}

/** All subjects answer alike, or there is nothing to compare. */
function agree(built: BuiltReference, questions: Questions, query: Query, decide: Decide): void {
  const linear = new LinearMatcher(built);
  for (let index = 0; index < Math.min(COMPARED_MAX, questions.count); index++) {
    const connection = questions.connections[index];
    const wanted = linear.decide(connection);
    const interpreted = index < INTERPRETED_MAX ? decideByInterpreter(built, connection) : wanted;
    questions.fill(query, index);
    const found = decide(index);
    if (found === wanted && interpreted === wanted) continue;
    const asked = JSON.stringify({ ...connection, externals: [] });
    throw new Error(`rule ${found}, linearly ${wanted}, as interpreted ${interpreted}, decides ${asked}`);
  }
}

function singly(
  questions: Questions,
  query: Query,
  decide: Decide,
  count: number,
): { p50Ns: number; p99Ns: number; clockNs: number } {
  const times = new Float64Array(count);
  const clocks = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    questions.fill(query, index);
    const beganMs = performance.now();
    decide(index);
    const endedMs = performance.now();
    times[index] = endedMs - beganMs;
    const emptyMs = performance.now();
    clocks[index] = performance.now() - emptyMs;
  }
  times.sort();
  clocks.sort();
  const clockNs = quantileNs(clocks, 0.5);
  return { clockNs, p50Ns: quantileNs(times, 0.5) - clockNs, p99Ns: quantileNs(times, 0.99) - clockNs };
}

function quantileNs(sorted: Float64Array, share: number): number {
  return (sorted[Math.floor(share * (sorted.length - 1))] as number) * NS_A_MS;
}

function together(
  questions: Questions,
  query: Query,
  decide: Decide,
  count: number,
): { meanNs: number; bytesADecision: number; matched: number } {
  fillAll(questions, query, count);
  const fillBeganMs = performance.now();
  fillAll(questions, query, count);
  const fillMs = performance.now() - fillBeganMs;
  collectGarbage();
  const heapBefore = getHeapStatistics().used_heap_size;
  const beganMs = performance.now();
  const matched = decideAll(questions, query, decide, count);
  const elapsedMs = performance.now() - beganMs;
  const heapAfter = getHeapStatistics().used_heap_size;
  const meanNs = ((elapsedMs - fillMs) * NS_A_MS) / count;
  return { meanNs, bytesADecision: (heapAfter - heapBefore) / count, matched };
}

function fillAll(questions: Questions, query: Query, count: number): void {
  for (let index = 0; index < count; index++) questions.fill(query, index);
}

function decideAll(questions: Questions, query: Query, decide: Decide, count: number): number {
  let matched = 0;
  for (let index = 0; index < count; index++) {
    questions.fill(query, index);
    if (decide(index) !== NO_RULE) matched++;
  }
  return matched;
}

function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error('the process runs without --expose-gc');
  globalThis.gc();
}
