// `sluice evict`: ends the connections that a filter names, or one by its id. What takes longer than the daemon waits is
// followed to its end, with its progress on a terminal; Ctrl-C leaves the rest alone.

import { setTimeout } from 'node:timers/promises';
import type { EvictionAnswer } from '../api/evictions.ts';
import { ask, type Question } from './client.ts';
import type { DaemonOptions } from './client.ts';
import { EXIT_INTERRUPTED, EXIT_NOTHING, EXIT_OK, EXIT_REFUSED } from './exit-codes.ts';
import type { FilterOptions } from './ps.ts';
import { jsonText, type OutputOptions, printRefusal } from './refusal.ts';
import { formatTable } from './table.ts';

const FOLLOW_INTERVAL_MS = 250;
const FILTERS = ['service', 'user', 'source', 'inbound', 'outbound', 'rule'] as const;

export interface EvictOptions extends DaemonOptions, OutputOptions, FilterOptions {
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly fin?: boolean;
  readonly rate?: string;
  /** False with --no-wait. */
  readonly wait: boolean;
}

/** Whether anything says which connections are meant. */
export function namesConnections(options: EvictOptions): boolean {
  return options.all === true || FILTERS.some((key) => options[key] !== undefined);
}

/** @param id of one connection; undefined: the filter of the options */
export async function evictCommand(id: string | undefined, options: EvictOptions): Promise<number> {
  let isInterrupted = false;
  const onInterrupt = () => {
    isInterrupted = true;
  };
  process.on('SIGINT', onInterrupt);
  try {
    const answer = await ask(id === undefined ? byFilter(options) : byId(id, options), options);
    if (answer.status >= 400) return printRefusal(answer, options);
    let eviction = answer.body as EvictionAnswer;
    while (eviction.state === 'running' && options.wait) {
      if (isInterrupted) return await cancel(eviction, options);
      showProgress(eviction);
      await setTimeout(FOLLOW_INTERVAL_MS);
      const later = await ask({ method: 'GET', path: `/v1/evictions/${eviction.id}` }, options);
      if (later.status >= 400) return printRefusal(later, options);
      eviction = later.body as EvictionAnswer;
    }
    clearProgress();
    process.stdout.write(options.json === true ? jsonText(eviction) : formatEviction(eviction));
    if (eviction.state === 'failed') return EXIT_REFUSED;
    return eviction.matched === 0 && eviction.state === 'done' ? EXIT_NOTHING : EXIT_OK;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

function byId(id: string, options: EvictOptions): Question {
  const query = options.fin === true ? '?close=fin' : '';
  return { method: 'DELETE', path: `/v1/connections/${encodeURIComponent(id)}${query}` };
}

function byFilter(options: EvictOptions): Question {
  const body: Record<string, unknown> = {};
  for (const key of FILTERS) if (options[key] !== undefined) body[key] = options[key];
  if (options.all === true) body['all'] = true;
  if (options.dryRun === true) body['dry_run'] = true;
  if (options.fin === true) body['close'] = 'fin';
  if (options.rate !== undefined) body['rate'] = options.rate;
  return { method: 'POST', path: '/v1/evictions', body };
}

async function cancel({ id }: EvictionAnswer, options: EvictOptions): Promise<number> {
  const answer = await ask({ method: 'DELETE', path: `/v1/evictions/${id}` }, options);
  clearProgress();
  if (answer.status >= 400) return printRefusal(answer, options);
  const eviction = answer.body as EvictionAnswer;
  if (options.json === true) process.stdout.write(jsonText(eviction));
  else process.stdout.write(formatEviction(eviction));
  process.stderr.write('sluice: interrupted; the connections that are left go on\n');
  return EXIT_INTERRUPTED;
}

function showProgress({ closed, total, duration_us: durationUs }: EvictionAnswer): void {
  if (!process.stderr.isTTY) return;
  const seconds = Math.round(durationUs / 1e6);
  process.stderr.write(`\r\u001b[Kevicting: ${closed} closed of at most ${total}, ${seconds} s`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}

function formatEviction(eviction: EvictionAnswer): string {
  const { id, state, matched, closed, dry_run: isDryRun } = eviction;
  const took = `in ${milliseconds(eviction.duration_us)} (${milliseconds(eviction.worker_us)} of the workers)`;
  const counted = state === 'running' ? ' so far' : '';
  // Whoever is cut short has not met all that match: what it has met is what it closed.
  const of = state === 'done' ? `${matched} matched` : `at most ${eviction.total}`;
  const verdict = isDryRun ? `${matched} would end` : `${closed} closed of ${of}`;
  const lines = [`eviction ${id} ${state}: ${verdict}${counted} ${took}\n`];
  if (eviction.note !== null) lines.push('workers died meanwhile, and their connections with them\n');
  for (const [head, counts] of [
    ['SERVICE', eviction.by_service],
    ['INBOUND', eviction.by_inbound],
  ] as const) {
    const rows = Object.entries(counts).sort(([, a], [, b]) => b - a);
    if (rows.length > 0) lines.push('\n', formatTable([head, 'CONNECTIONS'], rows));
  }
  if (state === 'running')
    lines.push(`\nGET /v1/evictions/${id} tells how it goes on, DELETE cancels the rest\n`);
  return lines.join('');
}

function milliseconds(us: number): string {
  return `${(us / 1_000).toFixed(us < 10_000 ? 2 : 0)} ms`;
}
