// `--watch`: the same question again and again. On a terminal each answer takes the place of the one before; into a pipe
// they follow each other. Ctrl-C is how it ends, and no failure.

import { setTimeout } from 'node:timers/promises';
import { InvalidArgumentError, Option } from 'commander';
import { EXIT_OK } from './exit-codes.ts';

const INTERVAL_MIN_MS = 100;
const CLEAR = '\u001b[H\u001b[2J\u001b[3J';

export interface WatchOptions {
  readonly json?: boolean;
  /** Milliseconds, as `watchOption` reads them. */
  readonly watch?: number;
}

export function watchOption(): Option {
  return new Option('-w, --watch [seconds]', 'again and again, every 2 seconds or as given')
    .preset('2')
    .argParser(parseInterval);
}

/** `2`, `1.5s`, `500ms`. @returns milliseconds */
function parseInterval(text: string): number {
  const parts = /^(\d{1,6}(?:\.\d{1,3})?)(ms|s)?$/.exec(text);
  const ms = parts === null ? NaN : Number(parts[1]) * (parts[2] === 'ms' ? 1 : 1_000);
  if (!(ms >= INTERVAL_MIN_MS)) {
    throw new InvalidArgumentError(
      `expected seconds such as 2, 1.5s or 500ms, at least ${INTERVAL_MIN_MS}ms`,
    );
  }
  return ms;
}

/**
 * Prints what `show` answers: once, or until Ctrl-C.
 * @param show text, or the exit code of what it has complained of itself
 */
export async function showOrWatch(
  { watch: intervalMs }: WatchOptions,
  show: () => Promise<string | number>,
): Promise<number> {
  if (intervalMs === undefined) {
    const shown = await show();
    if (typeof shown === 'number') return shown;
    process.stdout.write(shown);
    return EXIT_OK;
  }
  const stop = new AbortController();
  const onStop = () => stop.abort();
  process.once('SIGINT', onStop);
  // Whoever reads us has gone: `sluice ps --watch | head`.
  process.stdout.once('error', onStop);
  try {
    while (!stop.signal.aborted) {
      const shown = await show();
      if (typeof shown === 'number') return shown;
      process.stdout.write(process.stdout.isTTY ? `${CLEAR}${shown}` : shown);
      await setTimeout(intervalMs, undefined, { signal: stop.signal }).catch(() => {});
    }
    return EXIT_OK;
  } finally {
    process.off('SIGINT', onStop);
  }
}
