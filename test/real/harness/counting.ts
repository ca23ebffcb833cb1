// What a deed adds to the counters of ended connections, by reason. A connection may end a moment after its client
// does, so the counters are looked at until they have what is expected, and then compared exactly.

import { expect } from 'vitest';
import type { Daemon } from './daemon.ts';
import { until } from './until.ts';

type Counts = Readonly<Record<string, number>>;

/** Fails unless `deed` adds exactly `expected`; ends of other reasons may not occur, but ORDINARY ones. */
export async function counting<T>(daemon: Daemon, expected: Counts, deed: () => Promise<T>): Promise<T> {
  const before = (await daemon.status()).ended;
  const result = await deed();
  let gained: Record<string, number> = {};
  const look = async () => {
    const after = (await daemon.status()).ended;
    gained = Object.fromEntries(
      Object.entries(after)
        .map(([reason, count]) => [reason, count - (before[reason] ?? 0)] as const)
        .filter(([reason, count]) => count !== 0 && (reason in expected || !ORDINARY.has(reason))),
    );
    return Object.entries(expected).every(([reason, count]) => (gained[reason] ?? 0) >= count);
  };
  // What is missing is told by the comparison.
  await until('the counters have it', look, 3_000).catch(() => {});
  expect(gained).toEqual(expected);
  return result;
}

/** How a peer chose to end, perhaps one of the test before. */
const ORDINARY: ReadonlySet<string> = new Set(['finished', 'client_closed', 'client_reset', 'server_reset']);
