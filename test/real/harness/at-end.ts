// What is to be undone when a file's tests are over, last things first. (Vitest takes hooks only while it collects
// tests; this may be called from within one.)

import { afterAll } from 'vitest';

const undo: (() => void | Promise<void>)[] = [];

afterAll(async () => {
  const failures: unknown[] = [];
  for (const step of undo.splice(0).reverse()) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('\n'));
});

export function atEnd(step: () => void | Promise<void>): void {
  undo.push(step);
}
