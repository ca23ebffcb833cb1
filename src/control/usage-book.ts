// What every service and each of its users has used, by name: what the store knew at start, and all that the hot set has
// folded since. It has a page for those that used anything at all. Those of services that have gone stay for a while: who
// deletes a service may want to know what it used, or make it anew. Control thread.

import type { UsageDelta, UsageTotal } from '../layout/keeper-messages.ts';

/** After its last use; as long as the service is there its page stays. */
const GONE_KEPT_MS = 30 * 24 * 3_600_000;
/** Of services that have gone; beyond these, those that were used last stay. */
const GONE_MAX = 100_000;
/** Pages of one slice; others of this thread have their turn between two. */
const PAGES_PER_SLICE = 8_192;

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
  /**
   * Drops the pages of services that have been gone for long, or of which there are too many.
   * @param exists whether there is a service of that name
   * @returns their names
   */
  forgetGone(exists: (service: string) => boolean, nowMs: number): Promise<string[]>;
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
    async forgetGone(exists, nowMs) {
      const gone: [service: string, page: Page][] = [];
      let looked = 0;
      for (const [service, page] of pages) {
        if (++looked % PAGES_PER_SLICE === 0) await new Promise(setImmediate);
        if (!exists(service)) gone.push([service, page]);
      }
      gone.sort(([, a], [, b]) => b.lastAtMs - a.lastAtMs);
      const isKept = ([service, page]: (typeof gone)[number], place: number) =>
        exists(service) || (place < GONE_MAX && page.lastAtMs > nowMs - GONE_KEPT_MS);
      const forgotten = gone.filter((one, place) => !isKept(one, place)).map(([service]) => service);
      for (const service of forgotten) {
        if (pages.get(service)?.isOnline === true) online--;
        pages.delete(service);
      }
      return forgotten;
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
