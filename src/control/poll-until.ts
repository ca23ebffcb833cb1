// Waiting for what another thread writes into shared memory. Rare (start, reload, stop), so a few looks a second's
// fraction apart cost nothing, and unlike Atomics.waitAsync one loop can watch several words and the clock.

import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_EVERY_MS = 5;

/** @returns whether the condition came true within the time */
export async function pollUntil(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() >= deadline) return condition();
    await sleep(LOOK_EVERY_MS);
  }
  return true;
}
