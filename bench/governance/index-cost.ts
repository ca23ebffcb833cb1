// What standing in lists costs a connection, and what its accounting costs a round trip: the same build with and without its
// index (a switch for this benchmark only), doing what its peers do elsewhere.

import type { Comparison, Metric, Work } from '../work.ts';
import { connectClose, roundTrip } from '../works.ts';

const COMPARISON: Comparison = {
  judged: 'sluice',
  reference: 'without-index',
  again: 'without-index-again',
};
const SUBJECTS = ['sluice', 'without-index', 'without-index-again'];
const LIMITS = { 'without-index': 1.05 };
const EACH_TRIP: Metric = { name: 'cpu', unit: 'us CPU a round trip', digits: 2, sameAgainShown: true };

function withLimit(work: Work, name: string, title: string): Work {
  const metrics = work.metrics.map((metric) =>
    metric.name === 'cpu' ? { ...metric, sameAgainShown: true, limits: LIMITS } : metric,
  );
  return { ...work, name, title, subjects: SUBJECTS, comparison: COMPARISON, metrics };
}

export const indexCost: readonly Work[] = [
  withLimit(
    connectClose('', '', false),
    'index-cost',
    'connect, 64 B each way, close by the client, with and without the index',
  ),
  withLimit(
    roundTrip('', '', 64, [EACH_TRIP]),
    'index-round-trip',
    '64 B round trips, closed loop, 100 connections, with and without the index',
  ),
];
