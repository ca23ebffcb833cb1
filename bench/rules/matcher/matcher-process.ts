// The process of a matcher: takes one order from the benchmark, measures, answers.

import { type DecisionsOrder, measureDecisions } from './decisions.ts';

process.on('message', (order: DecisionsOrder) => {
  try {
    process.send?.({ answer: measureDecisions(order) });
  } catch (error) {
    process.send?.({ error: error instanceof Error ? error.stack : String(error) });
  }
});
process.on('disconnect', () => process.exit(0));
