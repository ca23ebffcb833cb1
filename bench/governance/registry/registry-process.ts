// The process of a registry: takes one order from the benchmark, measures, answers.

import { measureRegistry, type RegistryOrder } from './eviction-rounds.ts';

process.on('message', (order: RegistryOrder) => {
  measureRegistry(order).then(
    (answer) => process.send?.({ answer }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.stack : String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
