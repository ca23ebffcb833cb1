// `sluice status`: GET /v1/status, as tables.

import type { Status } from '../api/status.ts';
import type { Problem } from '../api/problem.ts';
import { ask, CommandFailure } from './client.ts';
import type { DaemonOptions } from './client.ts';
import { EXIT_OK, EXIT_REFUSED } from './exit-codes.ts';
import { formatAge, formatBytes, formatTable } from './table.ts';

export async function statusCommand(options: DaemonOptions & { readonly json?: boolean }): Promise<number> {
  const { status, body } = await ask('GET', '/v1/status', options);
  if (status !== 200) throw new CommandFailure(EXIT_REFUSED, (body as Problem).detail);
  process.stdout.write(
    options.json ? `${JSON.stringify(body, undefined, 2)}\n` : formatStatus(body as Status),
  );
  return EXIT_OK;
}

function formatStatus(status: Status): string {
  const { totals, descriptors, last_reload: reload } = status;
  const facts = [
    ['sluice', `${status.version}, ${status.phase}, pid ${status.pid}, up ${formatAge(status.uptime_ms)}`],
    ['configuration', `${status.configuration} (plan ${status.plan}, ${status.services} services)`],
    ['connections', `${totals.connections} live, ${totals.accepted} accepted`],
    ['bytes', `${formatBytes(totals.bytes_up)} up, ${formatBytes(totals.bytes_down)} down`],
    [
      'descriptors',
      `${descriptors.used} of ${descriptors.max} (limit ${descriptors.limit}, ${descriptors.reserved} reserved)`,
    ],
  ];
  if (reload !== null) {
    const outcome = reload.ok ? `applied in ${reload.duration_ms} ms` : `refused: ${reload.error}`;
    facts.push(['last reload', `${reload.at} by ${reload.trigger}, ${outcome}`]);
    if (reload.restart_needed.length > 0) facts.push(['restart needed', reload.restart_needed.join(', ')]);
  }
  const width = Math.max(...facts.map(([name]) => name?.length ?? 0));
  const head = facts.map(([name, text]) => `${name?.padEnd(width)}  ${text}\n`).join('');
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
