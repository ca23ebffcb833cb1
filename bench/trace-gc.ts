// Reads what `node --trace-gc` prints. Each line names its isolate (one a thread) by address, and the time since that
// isolate began:
//
//   [4242:0x5581a0c0]     1523 ms: Mark-Compact 12.1 (14.3) -> 9.8 (14.5) MB, ...
//   [4242:0x7f0c94000]    1524 ms: Scavenge 2.3 (3.0) -> 1.9 (4.0) MB, ...
//
// Nothing in a line says which thread it is; the options below make the main one collect before all others.

/** Options for node under which a trace can be read here. */
export const TRACE_OPTIONS: readonly string[] = [
  '--trace-gc',
  '--expose-gc',
  '--import',
  'data:text/javascript,import{isMainThread}from"node:worker_threads";if(isMainThread)gc()',
];

export interface IsolateCollections {
  readonly isolate: string;
  /** The main thread's: the first to collect, by TRACE_OPTIONS. */
  readonly main: boolean;
  /** After `fromMs`. */
  minor: number;
  major: number;
}

const LINE = /^\[\d+:(0x[0-9a-f]+)(?::\d+)?\]\s+(\d+) ms: (Scavenge|Minor Mark|Mark-Compact|Mark-sweep)/i;

/**
 * Counts the collections of every isolate from `fromMs` on.
 * @param text   all that the process printed, in order
 * @param fromMs since the process began; other threads begin a little later, so their first moments count as before
 */
export function countCollections(text: string, fromMs: number): IsolateCollections[] {
  const isolates = new Map<string, IsolateCollections>();
  for (const line of text.split('\n')) {
    const [, isolate, ms, kind] = LINE.exec(line.trim()) ?? [];
    if (isolate === undefined) continue;
    const counts = isolates.get(isolate) ?? { isolate, main: isolates.size === 0, minor: 0, major: 0 };
    isolates.set(isolate, counts);
    if (Number(ms) < fromMs) continue;
    if (kind === 'Scavenge' || kind === 'Minor Mark') counts.minor++;
    else counts.major++;
  }
  return [...isolates.values()];
}
