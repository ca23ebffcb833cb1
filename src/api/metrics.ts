// GET /metrics in the Prometheus text format, version 0.0.4. A writer of our own: every number lies in the shared tables
// already, and a registry would only copy them. Labels come from fixed sets, so that the number of series is bounded.
// @source prometheus.io, exposition formats

import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { ApiContext } from './context.ts';
import { family, type Sample } from './metric-text.ts';
import { ruleFamilies } from './rule-metrics.ts';
import { endedByReason, readStatus, type Status } from './status.ts';

export function metricsRoute(app: FastifyInstance, context: ApiContext): void {
  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'getMetrics',
        summary: 'Metrics, in the Prometheus text format',
        tags: ['probes'],
        security: [],
        response: { 200: { description: 'samples', content: { 'text/plain': { schema: Type.String() } } } },
      },
    },
    (_request, reply) => {
      reply.type('text/plain; version=0.0.4; charset=utf-8');
      return metricsText(context);
    },
  );
}

function metricsText(context: ApiContext): string {
  const status = readStatus(context);
  const each = (
    field: 'connections' | 'accepted' | 'accept_exhausted' | 'reads_peeked' | 'deaths' | 'pipes_open',
  ): Sample[] => status.workers.map((worker) => [{ worker: String(worker.worker) }, worker[field]]);
  const { descriptors, totals, names, passwords } = status;
  const only = (value: number): Sample[] => [[{}, value]];
  return [
    family('sluice_build_info', 'gauge', 'The program.', [[{ version: status.version }, 1]]),
    family('sluice_uptime_seconds', 'gauge', 'Time since start.', only(status.uptime_ms / 1000)),
    family('sluice_ready', 'gauge', '1 while connections are taken.', only(status.phase === 'ready' ? 1 : 0)),
    family('sluice_plan_version', 'gauge', 'Plan in force; grows with every reload.', only(status.plan)),
    family('sluice_connections', 'gauge', 'Live connections.', each('connections')),
    family('sluice_accepted_total', 'counter', 'Connections accepted.', each('accepted')),
    family(
      'sluice_ended_total',
      'counter',
      'Connections ended or refused, by reason.',
      endedSamples(context),
    ),
    family('sluice_bytes_total', 'counter', 'Bytes relayed: up is from client to server.', [
      [{ direction: 'up' }, totals.bytes_up],
      [{ direction: 'down' }, totals.bytes_down],
    ]),
    family('sluice_pipes_open', 'gauge', 'Pipes for splicing.', each('pipes_open')),
    family('sluice_descriptors', 'gauge', 'Descriptors held or reserved by workers.', only(descriptors.used)),
    family('sluice_descriptors_max', 'gauge', 'Descriptors that workers may hold.', only(descriptors.max)),
    family('sluice_descriptors_limit', 'gauge', 'Descriptor limit of the process.', only(descriptors.limit)),
    family(
      'sluice_reads_peeked_total',
      'counter',
      'Reads that had to leave bytes in the kernel: all leftover buffers were in use.',
      each('reads_peeked'),
    ),
    family(
      'sluice_accept_exhausted_total',
      'counter',
      'accept4 without descriptors or memory.',
      each('accept_exhausted'),
    ),
    family('sluice_worker_deaths_total', 'counter', 'Workers that died and were replaced.', each('deaths')),
    ...governanceFamilies(context, status),
    ...ruleFamilies(context),
    family('sluice_log_dropped_total', 'counter', 'Log lines that nobody took.', only(status.log.dropped)),
    family('sluice_names_total', 'counter', 'Name look-ups, by outcome.', outcomes(names, NAME_OUTCOMES)),
    family(
      'sluice_passwords_total',
      'counter',
      'Hashed passwords asked, by outcome.',
      outcomes(passwords, PASSWORD_OUTCOMES),
    ),
  ].join('');
}

function governanceFamilies({ tables }: ApiContext, status: Status): string[] {
  const { evictions, receipts, store } = status;
  const only = (value: number): Sample[] => [[{}, value]];
  const rows = Array.from({ length: tables.workers.count }, (_, worker) => worker);
  const closed = rows.reduce((sum, worker) => sum + tables.workers.evicted(worker), 0);
  const reconciled = (evictions.last_reconcile?.duration_us ?? 0) / 1e6;
  const lastViolator = (evictions.last_reconcile?.last_gone_us ?? 0) / 1e6;
  return [
    family('sluice_evictions_total', 'counter', 'Evictions started.', only(evictions.started)),
    family('sluice_evicted_connections_total', 'counter', 'Connections that evictions ended.', only(closed)),
    family(
      'sluice_reconcile_seconds',
      'gauge',
      'Time from the last change to the end of the connections that it no longer allowed.',
      only(reconciled),
    ),
    family(
      'sluice_reconcile_last_violator_seconds',
      'gauge',
      'Time from the last change until the last connection that it no longer allowed was gone; 0: there was none.',
      only(lastViolator),
    ),
    family(
      'sluice_evictions_dropped_total',
      'counter',
      'Evictions that a failing store had no room for.',
      only(evictions.dropped),
    ),
    family(
      'sluice_receipts_dropped_total',
      'counter',
      'Receipts lost: the ring was full, or the access log could not be written.',
      [
        [{ where: 'ring' }, receipts.dropped],
        [{ where: 'file' }, receipts.errors],
      ],
    ),
    family(
      'sluice_services_online',
      'gauge',
      'Services with connections.',
      only(status.usage.services_online),
    ),
    family(
      'sluice_hot_rows',
      'gauge',
      'Counters of services and users that changed of late.',
      only(status.hot_rows),
    ),
    family(
      'sluice_store_ok',
      'gauge',
      '1 while the store takes what is written to it.',
      only(store.state === 'ok' ? 1 : 0),
    ),
  ];
}

const NAME_OUTCOMES = ['cached', 'looked_up', 'failed', 'timed_out', 'refused', 'refused_source'];
const PASSWORD_OUTCOMES = ['right', 'wrong', 'remembered', 'gated', 'busy'];

function outcomes(statistics: Readonly<Record<string, number>>, of: readonly string[]): Sample[] {
  return of.map((outcome) => [{ outcome }, statistics[outcome] ?? 0]);
}

function endedSamples(context: ApiContext): Sample[] {
  return endedByReason(context).map(([reason, count]) => [{ reason }, count]);
}
