// `sluice services`: what there is. GET /v1/services page after page, and one of them in full.

import { stringify } from 'yaml';
import type { ServiceAnswer } from '../api/service-answer.ts';
import { ask, type DaemonOptions } from './client.ts';
import { jsonText, type OutputOptions, printAnswer, printRefusal } from './refusal.ts';
import { formatBytes, formatTable } from './table.ts';
import { showOrWatch, type WatchOptions } from './watch.ts';

/** Of one request; more are further pages. */
const PAGE_MAX = 1_000;

interface ServicesAnswer {
  readonly services: readonly ServiceAnswer[];
  readonly next: string | null;
}

interface ListOptions extends DaemonOptions, WatchOptions {
  readonly limit: number;
  readonly owner?: string;
  readonly online?: boolean;
  /** Names only, one a line: for scripts, and for the completion. */
  readonly names?: boolean;
}

export function listServicesCommand(options: ListOptions): Promise<number> {
  return showOrWatch(options, async () => {
    const services: ServiceAnswer[] = [];
    let cursor: string | null | undefined;
    do {
      const limit = String(Math.min(PAGE_MAX, options.limit - services.length));
      const query = new URLSearchParams({ limit });
      if (options.owner !== undefined) query.set('owner', options.owner);
      if (options.online === true) query.set('online', 'true');
      if (typeof cursor === 'string') query.set('cursor', cursor);
      const answer = await ask({ method: 'GET', path: `/v1/services?${query}` }, options);
      if (answer.status !== 200) return printRefusal(answer, options);
      const page = answer.body as ServicesAnswer;
      services.push(...page.services);
      cursor = page.next;
    } while (typeof cursor === 'string' && services.length < options.limit);
    const hasMore = typeof cursor === 'string';
    if (options.json === true) return jsonText({ services, more: hasMore });
    if (options.names === true) return services.map(({ name }) => `${name}\n`).join('');
    return formatServices(services) + (hasMore ? `the first ${services.length}; --limit shows more\n` : '');
  });
}

function formatServices(services: readonly ServiceAnswer[]): string {
  const head = ['SERVICE', 'OWNER', 'STATE', 'REVISION', 'USERS', 'CONNECTIONS', 'UP', 'DOWN', 'OUTBOUND'];
  const rows = services.map((service) => [
    service.name,
    service.owner,
    service.enabled ? 'enabled' : 'disabled',
    service.revision,
    service.users.length,
    service.connections,
    formatBytes(service.usage.bytes_up),
    formatBytes(service.usage.bytes_down),
    service.outbound ?? '-',
  ]);
  return formatTable(head, rows);
}

/** One service as it would be written, with what the daemon adds; what its users have used is a table below. */
export async function showServiceCommand(
  name: string,
  options: DaemonOptions & OutputOptions,
): Promise<number> {
  const answer = await ask({ method: 'GET', path: servicePath(name) }, options);
  return printAnswer(answer, options, () => formatService(answer.body as ServiceAnswer));
}

function formatService(service: ServiceAnswer): string {
  const { users } = service;
  const text = stringify({ ...service, users: users.map(({ username }) => ({ username })) });
  if (users.length === 0) return text;
  const rows = users.map(({ username, usage }) => [
    username,
    usage.connections,
    formatBytes(usage.bytes_up),
    formatBytes(usage.bytes_down),
    Object.values(usage.refused).reduce((sum, count) => sum + count, 0),
  ]);
  return `${text}\n${formatTable(['USER', 'CONNECTIONS', 'UP', 'DOWN', 'REFUSED'], rows)}`;
}

export function servicePath(name: string): string {
  return `/v1/services/${encodeURIComponent(name)}`;
}
