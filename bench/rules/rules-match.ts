// What a decision takes, beside a linear matcher of the same rules: what a matcher's process measures, as a work.

import { type Comparison, EXTRA_MS, type Metric, type Work } from '../work.ts';
import type { DecisionsAnswer, DecisionsOrder } from './matcher/decisions.ts';

const COMPARISON: Comparison = { judged: 'snapshot', reference: 'linear' };
const ONLY_SNAPSHOT = ['snapshot'];

const METRICS: readonly Metric[] = [
  { name: 'p50', unit: 'ns a decision, singly', digits: 0, limits: { absolute: 1000 } },
  { name: 'p99', unit: 'ns a decision, singly', digits: 0, limits: { absolute: 3000 } },
  { name: 'mean', unit: 'ns a decision, in a loop', digits: 0 },
  { name: 'clock', unit: 'ns taken off each single one', digits: 0, plain: true },
  {
    name: 'allocated',
    unit: 'B of heap a decision',
    digits: 2,
    plain: true,
    // A garbage collector's own bookkeeping is noise of this order; the smallest object has 12 bytes.
    limits: { absolute: 1 },
  },
  { name: 'matched', unit: '% of questions', digits: 0, plain: true },
  {
    name: 'build',
    unit: 's from text to snapshot, first time',
    digits: 2,
    plain: true,
    only: ONLY_SNAPSHOT,
    limits: { absolute: 1.5 },
  },
  {
    name: 'build CPU',
    unit: 's',
    digits: 2,
    plain: true,
    only: ONLY_SNAPSHOT,
    limits: { absolute: 1.5 },
  },
  { name: 'check', unit: 's of it, rules as written', digits: 2, plain: true, only: ONLY_SNAPSHOT },
  { name: 'read', unit: 's of it, texts of sets', digits: 2, plain: true, only: ONLY_SNAPSHOT },
  { name: 'sets', unit: 's of it, blocks of sets', digits: 2, plain: true, only: ONLY_SNAPSHOT },
  { name: 'rules', unit: 's of it, block of rules', digits: 2, plain: true, only: ONLY_SNAPSHOT },
  { name: 'build again', unit: 's, second time', digits: 2, plain: true, only: ONLY_SNAPSHOT },
  {
    name: 'size',
    unit: 'B a domain of the large set',
    digits: 1,
    plain: true,
    only: ONLY_SNAPSHOT,
    limits: { absolute: 20 },
  },
  { name: 'all', unit: 'MB of arena', digits: 2, plain: true, only: ONLY_SNAPSHOT },
];

/** All runs are asked the same: a seed of their own would compare lists, not matchers. */
const SEED = 1;

export const rulesMatch: Work = {
  name: 'rules-match',
  title: 'a decision among 1,000 rules, 100,000 names and 50,000 networks, in one process',
  service: 0,
  subjects: ['snapshot', 'linear', 'interpreter'],
  comparison: COMPARISON,
  metrics: METRICS,
  async measure(_bench, running, { rules }, _rate, subject) {
    const order: DecisionsOrder = {
      kind: subject as DecisionsOrder['kind'],
      size: rules.size,
      questions: rules.questions,
      seed: SEED,
    };
    const found = (await running.ask?.(order, 4 * EXTRA_MS)) as DecisionsAnswer;
    const { build } = found;
    return {
      figures: {
        p50: found.p50Ns,
        p99: found.p99Ns,
        mean: found.meanNs,
        clock: found.clockNs,
        allocated: found.bytesADecision,
        matched: found.matchedShare * 100,
        build: build.wallS,
        'build CPU': build.cpuS,
        check: build.checkS,
        read: build.readS,
        sets: build.setsS,
        rules: build.snapshotS,
        'build again': found.builtAgainS,
        size: found.bytesADomain,
        all: found.bytes / 1e6,
      },
    };
  },
};
