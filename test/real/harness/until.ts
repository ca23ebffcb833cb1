// Waiting for something to become true that nobody announces: it is looked at until it is, and a deadline names it.

import { setTimeout as delay } from 'node:timers/promises';

const TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 10;

/** @param what completes the sentence "waited in vain until ..." */
export async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  timeoutMs = TIMEOUT_MS,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await delay(LOOK_EVERY_MS);
  }
}

/** Settles as `promise`, unless that takes too long. */
export function within<T>(what: string, promise: Promise<T>, timeoutMs = TIMEOUT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`too late: ${what}`)), timeoutMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
