// `sluice ps`: GET /v1/connections, page after page, as a table.

import type { ListedConnection } from '../api/connection-answer.ts';
import type { ConnectionsAnswer } from '../api/connections.ts';
import { ask } from './client.ts';
import type { DaemonOptions } from './client.ts';
import { jsonText, printRefusal } from './refusal.ts';
import { formatAge, formatBytes, formatTable } from './table.ts';
import { showOrWatch, type WatchOptions } from './watch.ts';

/** Of one request; more are further pages. */
const PAGE_MAX = 1_000;
const FILTERS = ['service', 'user', 'source', 'inbound', 'outbound', 'rule', 'worker'] as const;

export type FilterOptions = { readonly [Key in (typeof FILTERS)[number]]?: string };

interface PsOptions extends DaemonOptions, FilterOptions, WatchOptions {
  readonly limit: number;
}

interface Listed {
  readonly connections: readonly ListedConnection[];
  readonly total: number | undefined;
  readonly hasMore: boolean;
}

export function psCommand(options: PsOptions): Promise<number> {
  return showOrWatch(options, async () => {
    const listed = await list(options);
    if (typeof listed === 'number') return listed;
    return options.json === true ? psJson(listed) : formatPs(listed);
  });
}

/** @returns an exit code where the daemon refused */
async function list(options: PsOptions): Promise<Listed | number> {
  const connections: ListedConnection[] = [];
  const filter = FILTERS.flatMap((key) => {
    const value = options[key];
    return value === undefined ? [] : [[key, value] as [string, string]];
  });
  let total: number | undefined;
  let cursor: string | null | undefined;
  do {
    const limit = String(Math.min(PAGE_MAX, options.limit - connections.length));
    const query = new URLSearchParams([...filter, ['limit', limit]]);
    if (typeof cursor === 'string') query.set('cursor', cursor);
    const answer = await ask({ method: 'GET', path: `/v1/connections?${query}` }, options);
    if (answer.status !== 200) return printRefusal(answer, options);
    const page = answer.body as ConnectionsAnswer;
    connections.push(...page.connections);
    total ??= page.total;
    cursor = page.next;
  } while (cursor !== null && connections.length < options.limit);
  return { connections, total, hasMore: cursor !== null };
}

function psJson({ connections, total, hasMore }: Listed): string {
  return jsonText({ connections, ...(total === undefined ? {} : { total }), more: hasMore });
}

function formatPs({ connections, total, hasMore }: Listed): string {
  const head = [
    'ID',
    'SERVICE',
    'USER',
    'SOURCE',
    'INBOUND',
    'OUTBOUND',
    'TARGET',
    'STATE',
    'UP',
    'DOWN',
    'AGE',
  ];
  const rows = connections.map((connection) => [
    connection.id,
    connection.service ?? '-',
    connection.user ?? '-',
    connection.source,
    connection.inbound ?? '-',
    connection.outbound ?? '-',
    connection.target ?? '-',
    connection.state,
    formatBytes(connection.bytes_up),
    formatBytes(connection.bytes_down),
    formatAge(connection.age_ms),
  ]);
  const of = total === undefined ? '' : ` of ${total}`;
  const rest = hasMore ? `the first ${connections.length}${of}; --limit shows more\n` : '';
  return formatTable(head, rows) + rest;
}
