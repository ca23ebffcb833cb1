// GET /v1/status: the daemon at a glance. Everything is read from the shared tables at the price of a few words a worker;
// no connection is looked at. The CLI prints this object.

import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { shownReconciled } from '../control/reload.ts';
import { REASONS_COUNT, reasonName } from '../layout/reasons.ts';
import { WORKER_DRAINING, WORKER_READY, WORKER_STARTING, WORKER_STOPPED } from '../layout/worker.ts';
import type { ApiContext } from './context.ts';
import { reconciledSchema } from './reload.ts';

const Count = Type.Integer({ minimum: 0 });

const workerSchema = Type.Object({
  worker: Count,
  life: Type.String({ description: 'absent, starting, ready, draining, stopped' }),
  stalled: Type.Boolean({ description: 'no turn of its loop for ten seconds' }),
  connections: Count,
  connections_highest: Count,
  accepted: Count,
  bytes_up: Count,
  bytes_down: Count,
  bytes_spliced: Count,
  pipes_open: Count,
  buffers_in_use: Count,
  reads_peeked: Count,
  accept_exhausted: Count,
  turns: Type.Integer(),
  plan: Type.Integer(),
  deaths: Count,
});

export const statusSchema = Type.Object(
  {
    version: Type.String(),
    pid: Count,
    phase: Type.String({ description: 'starting, ready, draining, stopping' }),
    uptime_ms: Count,
    configuration: Type.String({ description: 'the file' }),
    plan: Type.Integer({ description: 'version of the plan in force; grows with every reload' }),
    workers: Type.Array(workerSchema),
    totals: Type.Object({ connections: Count, accepted: Count, bytes_up: Count, bytes_down: Count }),
    ended: Type.Record(Type.String(), Count, {
      description: 'by reason; those that never occurred are left out',
    }),
    descriptors: Type.Object({
      limit: Count,
      reserved: Count,
      max: Count,
      used: Type.Integer(),
    }),
    inbounds: Type.Array(Type.Object({ tag: Type.String(), type: Type.String(), listen: Type.String() })),
    services: Count,
    last_reload: Type.Union([
      Type.Null(),
      Type.Object({
        at: Type.String({ format: 'date-time' }),
        trigger: Type.String(),
        ok: Type.Boolean(),
        duration_ms: Count,
        plan: Type.Integer(),
        error: Type.Union([Type.Null(), Type.String()]),
        restart_needed: Type.Array(Type.String()),
        reconciled: Type.Union([Type.Null(), reconciledSchema]),
      }),
    ]),
    evictions: Type.Object({
      started: Type.Integer({ minimum: 0, description: 'since the daemon started' }),
      running: Count,
      closed: Type.Integer({ minimum: 0, description: 'connections that evictions ended' }),
      dropped: Type.Integer({ minimum: 0, description: 'evictions that a failing store had no room for' }),
      last_reconcile: Type.Union([Type.Null(), reconciledSchema]),
    }),
    receipts: Type.Object({
      written: Type.Integer({ minimum: 0, description: 'lines of the access log' }),
      filtered: Type.Integer({ minimum: 0, description: 'left out by access_log.reasons and services' }),
      dropped: Type.Integer({ minimum: 0, description: 'lost to a full ring' }),
      errors: Type.Integer({ minimum: 0, description: 'lost to a file that could not be written' }),
    }),
    usage: Type.Object(
      {
        bytes_up: Count,
        bytes_down: Count,
        connections: Count,
        refused: Type.Record(Type.String(), Count),
        services_online: Type.Integer({ minimum: 0, description: 'services with connections' }),
      },
      { description: 'of all services, over restarts' },
    ),
    rules: Type.Union([
      Type.Null(),
      Type.Object({
        snapshot: Type.Union([Type.Null(), Count], { description: 'in force; null: none' }),
        count: Type.Integer({ minimum: 0, description: 'rules in force' }),
        swaps: Type.Integer({ minimum: 0, description: 'snapshots published since the daemon started' }),
        pins: Type.Integer({ minimum: 0, description: 'connections that wait in a snapshot for a look-up' }),
        sets: Count,
        sets_stale: Type.Integer({
          minimum: 0,
          description: 'rule sets of which an older version is in force',
        }),
        ended: Type.Integer({ minimum: 0, description: 'connections that changes of rules have ended' }),
        undecided: Type.Integer({
          minimum: 0,
          description: 'those that could not be judged again, and stayed',
        }),
        process_lookups: Type.Integer({ minimum: 0, description: 'programs of clients that were asked for' }),
        judgements: Type.Integer({ minimum: 0, description: 'of addresses, that were asked for' }),
        arena_words: Type.Integer({ minimum: 0, description: 'memory of all snapshots, 4 bytes each' }),
      }),
    ]),
    hot_rows: Type.Integer({
      minimum: 0,
      description: 'counters of services and users that changed of late; all others are not looked at',
    }),
    store: Type.Object({
      state: Type.String({ description: 'ok, failed' }),
      error: Type.Union([Type.Null(), Type.String()]),
      commits: Count,
      last_commit_at: Type.Union([Type.Null(), Type.String({ format: 'date-time' })]),
    }),
    log: Type.Object({
      dropped: Type.Integer({ minimum: 0, description: 'lines that a stalled reader of the log lost' }),
    }),
    names: Type.Record(Type.String(), Count),
    passwords: Type.Record(Type.String(), Count),
  },
  { title: 'Status' },
);

export type Status = Static<typeof statusSchema>;

export function statusRoute(app: FastifyInstance, context: ApiContext): void {
  app.get(
    '/v1/status',
    {
      schema: {
        operationId: 'getStatus',
        summary: 'The daemon at a glance',
        tags: ['daemon'],
        response: { 200: statusSchema },
      },
    },
    () => readStatus(context),
  );
}

export function readStatus(context: ApiContext): Status {
  const { tables, edge, supervisor } = context;
  const workers = supervisor.states().map((state, worker) => {
    const row = tables.workers;
    return {
      worker,
      life: state.phase === 'absent' || state.phase === 'gone' ? state.phase : lifeName(row.life(worker)),
      stalled: state.stalled,
      connections: row.connections(worker),
      connections_highest: row.connectionsHighest(worker),
      accepted: row.accepted(worker),
      bytes_up: row.upBytes(worker),
      bytes_down: row.downBytes(worker),
      bytes_spliced: row.splicedBytes(worker),
      pipes_open: row.pipesOpen(worker),
      buffers_in_use: row.leftoversInUse(worker),
      reads_peeked: row.peekedReads(worker),
      accept_exhausted: row.acceptExhausted(worker),
      turns: row.turns(worker),
      plan: row.plan(worker),
      deaths: state.deaths,
    };
  });
  const sum = (field: 'connections' | 'accepted' | 'bytes_up' | 'bytes_down') =>
    workers.reduce((total, worker) => total + worker[field], 0);
  return {
    version: context.version,
    pid: process.pid,
    phase: context.phase(),
    uptime_ms: Date.now() - context.startedAtMs,
    configuration: edge.configuration.fileName,
    plan: edge.version,
    workers,
    totals: {
      connections: sum('connections'),
      accepted: sum('accepted'),
      bytes_up: sum('bytes_up'),
      bytes_down: sum('bytes_down'),
    },
    ended: Object.fromEntries(endedByReason(context).filter(([, count]) => count > 0)),
    descriptors: { ...edge.budget, used: tables.machine.descriptors(0) },
    inbounds: [...edge.inbounds()],
    services: edge.identities.servicesCount,
    last_reload: lastReload(context),
    ...governance(context),
    rules: describeRules(context),
    log: { dropped: context.logDropped() },
    names: { ...context.names.statistics() },
    passwords: { ...context.verifier.statistics() },
  };
}

/** What evictions, keeper, hot set and book say of themselves. */
function governance(
  context: ApiContext,
): Pick<Status, 'evictions' | 'receipts' | 'usage' | 'hot_rows' | 'store'> {
  const { tables, keeper, hotSet, book } = context;
  const { started, running, closed, lastReconcile } = context.evictions.statistics();
  const kept = keeper.statistics();
  let dropped = 0;
  for (let worker = 0; worker < tables.workers.count; worker++)
    dropped += tables.workers.receiptsDropped(worker);
  const { upBytes, downBytes, connections, refused } = book.total;
  return {
    evictions: {
      started,
      running,
      closed,
      dropped: kept.evictionsDropped,
      last_reconcile: lastReconcile === undefined ? null : shownReconciled(lastReconcile),
    },
    receipts: {
      written: kept.receiptsWritten,
      filtered: kept.receiptsFiltered,
      dropped,
      errors: kept.accessLogErrors,
    },
    usage: {
      bytes_up: upBytes,
      bytes_down: downBytes,
      connections,
      refused: { ...refused },
      services_online: book.online,
    },
    hot_rows: hotSet.size,
    store: {
      state: kept.storeState,
      error: kept.storeError,
      commits: kept.commits,
      last_commit_at: kept.lastCommitAtMs === 0 ? null : new Date(kept.lastCommitAtMs).toISOString(),
    },
  };
}

function describeRules({ rules, lookUps }: ApiContext): Status['rules'] {
  if (rules === undefined) return null;
  const statistics = rules.statistics();
  const sets = rules.ruleSets();
  const lookedUp = lookUps?.statistics();
  return {
    snapshot: statistics.snapshot,
    count: statistics.rules,
    swaps: statistics.swaps,
    pins: statistics.pins,
    sets: sets.length,
    sets_stale: sets.filter(({ state }) => state === 'stale').length,
    ended: statistics.rejudgedEnded,
    undecided: statistics.undecided,
    process_lookups: lookedUp?.processes.asked ?? 0,
    judgements: lookedUp?.externals.asked ?? 0,
    arena_words: statistics.arenaWordsUsed,
  };
}

/** One row for every reason that there is, summed over the workers. */
export function endedByReason({ tables }: Pick<ApiContext, 'tables'>): [string, number][] {
  const rows: [string, number][] = [];
  for (let reason = 1; reason < REASONS_COUNT; reason++) {
    let count = 0;
    for (let worker = 0; worker < tables.workers.count; worker++)
      count += tables.workers.ended(worker, reason);
    rows.push([reasonName(reason), count]);
  }
  return rows;
}

function lifeName(life: number): string {
  switch (life) {
    case WORKER_STARTING:
      return 'starting';
    case WORKER_READY:
      return 'ready';
    case WORKER_DRAINING:
      return 'draining';
    case WORKER_STOPPED:
      return 'stopped';
    default:
      return 'unknown';
  }
}

function lastReload({ reloader }: ApiContext): Status['last_reload'] {
  const last = reloader.last();
  if (last === undefined) return null;
  return {
    at: new Date(last.atMs).toISOString(),
    trigger: last.trigger,
    ok: last.error === undefined,
    duration_ms: last.durationMs,
    plan: last.version,
    error: last.error?.message ?? null,
    restart_needed: [...last.restartNeeded],
    reconciled: last.changes === undefined ? null : shownReconciled(last.changes.reconciled),
  };
}
