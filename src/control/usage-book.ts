// What every service and each of its users has used, by name: what the store knew at start, and all that the hot set has
// folded since. It has a page for those that used anything at all. Control thread.

import type { UsageDelta, UsageTotal } from '../layout/keeper-messages.ts';

/** Sums of a service, or of one of its users. */
export interface Usage {
  readonly upBytes: number;
  readonly downBytes: number;
  readonly connections: number;
  /** By name of the reason. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface ServiceUsage extends Usage {
  /** By user name; '' is what no user has used. */
  readonly users: ReadonlyMap<string, Usage>;
  /** Milliseconds since 1970 when it last changed; 0: never. */
  readonly lastAtMs: number;
  /** Whether it had connections when it last changed. */
  readonly isOnline: boolean;
}

interface Sums {
  upBytes: number;
  downBytes: number;
  connections: number;
  readonly refused: Record<string, number>;
}

interface Page extends Sums {
  readonly users: Map<string, Sums>;
  lastAtMs: number;
  isOnline: boolean;
}

export interface UsageBook {
  /** What the store knows; before anything else. */
  load(totals: readonly UsageTotal[]): void;
  add(deltas: readonly UsageDelta[]): void;
  /** A service's connections, as they were when it last changed. */
  setPresence(service: string, connections: number): void;
  /** undefined: it has never used anything. */
  of(service: string): ServiceUsage | undefined;
  /** Of all services together, those that have gone included. */
  readonly total: Usage;
  /** How many services had connections when they last changed. */
  readonly online: number;
}

export function createUsageBook(): UsageBook {
  const pages = new Map<string, Page>();
  const total = nothing();
  let online = 0;

  function pageOf(service: string): Page {
    const page = pages.get(service) ?? { ...nothing(), users: new Map(), lastAtMs: 0, isOnline: false };
    pages.set(service, page);
    return page;
  }

  function addOne(delta: Omit<UsageDelta, 'atMs'>, atMs: number): void {
    const page = pageOf(delta.service);
    const user = page.users.get(delta.username) ?? nothing();
    addTo(page, delta);
    addTo(user, delta);
    addTo(total, delta);
    page.users.set(delta.username, user);
    page.lastAtMs = Math.max(page.lastAtMs, atMs);
  }

  return {
    load(totals) {
      for (const total of totals) addOne(total, total.lastAtMs);
    },
    add(deltas) {
      for (const delta of deltas) addOne(delta, delta.atMs);
    },
    setPresence(service, connections) {
      const page = pageOf(service);
      const isOnline = connections > 0;
      if (isOnline !== page.isOnline) online += isOnline ? 1 : -1;
      page.isOnline = isOnline;
    },
    of: (service) => pages.get(service),
    total,
    get online() {
      return online;
    },
  };
}

function nothing(): Sums {
  return { upBytes: 0, downBytes: 0, connections: 0, refused: {} };
}

function addTo(sums: Sums, delta: Omit<UsageDelta, 'atMs'>): void {
  sums.upBytes += delta.upBytes;
  sums.downBytes += delta.downBytes;
  sums.connections += delta.connections;
  for (const [reason, count] of delta.refused) sums.refused[reason] = (sums.refused[reason] ?? 0) + count;
}
