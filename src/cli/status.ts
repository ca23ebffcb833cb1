// `sluice status`: GET /v1/status, as tables.

import type { Status } from '../api/status.ts';
import { ask } from './client.ts';
import type { DaemonOptions } from './client.ts';
import { jsonText, printRefusal } from './refusal.ts';
import { formatAge, formatBytes, formatTable } from './table.ts';
import { showOrWatch, type WatchOptions } from './watch.ts';

export function statusCommand(options: DaemonOptions & WatchOptions): Promise<number> {
  return showOrWatch(options, async () => {
    const answer = await ask({ method: 'GET', path: '/v1/status' }, options);
    if (answer.status !== 200) return printRefusal(answer, options);
    return options.json === true ? jsonText(answer.body) : formatStatus(answer.body as Status);
  });
}

function formatStatus(status: Status): string {
  const { totals, descriptors, last_reload: reload } = status;
  const facts: [string, string][] = [
    ['sluice', `${status.version}, ${status.phase}, pid ${status.pid}, up ${formatAge(status.uptime_ms)}`],
    ['configuration', `${status.configuration} (plan ${status.plan}, ${status.services} services)`],
    ['connections', `${totals.connections} live, ${totals.accepted} accepted`],
    ['bytes', `${formatBytes(totals.bytes_up)} up, ${formatBytes(totals.bytes_down)} down`],
    [
      'descriptors',
      `${descriptors.used} of ${descriptors.max} (limit ${descriptors.limit}, ${descriptors.reserved} reserved)`,
    ],
  ];
  facts.push(...governanceFacts(status));
  if (reload !== null) {
    const outcome = reload.ok ? `applied in ${reload.duration_ms} ms` : `refused: ${reload.error}`;
    facts.push(['last reload', `${reload.at} by ${reload.trigger}, ${outcome}`]);
    if (reload.restart_needed.length > 0) facts.push(['restart needed', reload.restart_needed.join(', ')]);
  }
  const width = Math.max(...facts.map(([name]) => name.length));
  const head = facts.map(([name, text]) => `${name.padEnd(width)}  ${text}\n`).join('');
  const inbounds = status.inbounds.map(({ tag, type, listen }) => [tag, type, listen]);
  const workers = status.workers.map((worker) => [
    worker.worker,
    worker.stalled ? 'stalled' : worker.life,
    worker.connections,
    worker.accepted,
    formatBytes(worker.bytes_up),
    formatBytes(worker.bytes_down),
    worker.deaths,
  ]);
  const ended = Object.entries(status.ended).sort(([, a], [, b]) => b - a);
  return [
    head,
    formatTable(['INBOUND', 'TYPE', 'LISTEN'], inbounds),
    formatTable(['WORKER', 'LIFE', 'CONNECTIONS', 'ACCEPTED', 'UP', 'DOWN', 'DEATHS'], workers),
    ...(ended.length === 0 ? [] : [formatTable(['ENDED', 'COUNT'], ended)]),
  ].join('\n');
}

/** What differs from a daemon where nothing has been governed yet. */
function governanceFacts({ evictions, receipts, store, rules }: Status): [string, string][] {
  const facts: [string, string][] = rulesFacts(rules);
  if (evictions.started > 0) {
    const running = evictions.running > 0 ? `, ${evictions.running} running` : '';
    facts.push(['evictions', `${evictions.started}${running}; ${evictions.closed} connections ended`]);
  }
  if (evictions.last_reconcile !== null) {
    const { ended, duration_us: durationUs } = evictions.last_reconcile;
    facts.push(['last change', `${ended} connections ended in ${(durationUs / 1_000).toFixed(1)} ms`]);
  }
  if (receipts.written + receipts.dropped + receipts.errors > 0) {
    facts.push(['receipts', `${receipts.written} written, ${receipts.dropped + receipts.errors} lost`]);
  }
  if (store.state !== 'ok') facts.push(['store', `${store.state}: ${store.error ?? ''}`]);
  return facts;
}

/** Nothing where there have never been any. */
function rulesFacts(rules: Status['rules']): [string, string][] {
  if (rules === null || rules.snapshot === null) return [];
  const { count, snapshot, sets, sets_stale: stale, ended } = rules;
  const facts: [string, string][] = [
    ['rules', `${count} in snapshot ${snapshot}, ${ended} connections ended`],
  ];
  if (sets > 0) facts.push(['rule sets', `${sets}${stale > 0 ? `, ${stale} stale: sluice rules sets` : ''}`]);
  return facts;
}
