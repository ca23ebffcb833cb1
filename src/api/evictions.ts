// POST /v1/evictions: ends the connections that a filter names. It is answered when it is over, or with 202 after a second;
// GET /v1/evictions/{id} says how far it has come, DELETE leaves the rest alone. Everything must be asked for in so many
// words: a filter that names nothing is a mistake, not everybody.

import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Complaint } from '../config/mistakes.ts';
import { quoted } from '../config/mistakes.ts';
import type { Eviction, EvictionRequest } from '../control/eviction-record.ts';
import type { Evictions } from '../control/evictions.ts';
import { formatEventRate, parseEventRate } from '../policy/units.ts';
import type { ApiContext } from './context.ts';
import { filterProperties, resolveFilter } from './filters.ts';
import { notFound, problemSchema } from './problem.ts';
import { requireNone } from './validation.ts';

/** Longer evictions are looked up by their number. */
const ANSWER_WAIT_MS = 1_000;
const ID_MAX = 2 ** 31 - 1;

const Count = Type.Integer({ minimum: 0 });

const bodySchema = Type.Object(
  {
    ...filterProperties,
    all: Type.Optional(
      Type.Boolean({ title: 'true or false', description: 'every connection; no other filter then' }),
    ),
    dry_run: Type.Optional(Type.Boolean({ description: 'only count what would end' })),
    close: Type.Optional(
      Type.Enum(['reset', 'fin'], {
        description: 'reset (default): nobody takes a cut stream for a complete one; fin: orderly',
      }),
    ),
    rate: Type.Optional(
      Type.String({
        title: 'a rate such as 100/s',
        description:
          'connections to end in a time, as `100/s`, over all workers; default: as fast as it goes',
      }),
    ),
  },
  { additionalProperties: false, title: 'Eviction request' },
);

type Body = Static<typeof bodySchema>;

export const evictionSchema = Type.Object(
  {
    id: Count,
    state: Type.String({ description: 'running, done, cancelled, failed' }),
    note: Type.Union([Type.String(), Type.Null()], {
      description: '`workers_died`: with all their connections; what they had ended meanwhile is not counted',
    }),
    dry_run: Type.Boolean(),
    total: Type.Integer({
      minimum: 0,
      description: 'connections in the list that is walked, when it began: no more can match',
    }),
    matched: Type.Integer({ minimum: 0, description: 'connections that the filter found' }),
    closed: Count,
    duration_us: Type.Integer({ minimum: 0, description: 'from the request to the last answer of a worker' }),
    worker_us: Type.Integer({ minimum: 0, description: 'time of the workers that it took, summed' }),
    started_at: Type.String({ format: 'date-time' }),
    last_gone_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
      description: 'when the last of the connections was gone',
    }),
    by_service: Type.Record(Type.String(), Count, {
      description: 'of workers that are through; `(gone)`: it has no name any more; empty after a restart',
    }),
    by_inbound: Type.Record(Type.String(), Count, { description: 'likewise' }),
    filter: Type.Record(Type.String(), Type.Unknown(), { description: 'what was asked' }),
  },
  { title: 'Eviction' },
);

export type EvictionAnswer = Static<typeof evictionSchema>;

const listSchema = Type.Object({ evictions: Type.Array(evictionSchema) }, { title: 'Evictions' });
const idSchema = Type.Object({ id: Type.String({ description: 'number of an eviction' }) });
const tags = ['evictions'];

export function evictionRoutes(app: FastifyInstance, context: ApiContext): void {
  const { evictions } = context;
  startRoute(app, context, evictions);
  app.get(
    '/v1/evictions',
    {
      schema: {
        operationId: 'listEvictions',
        summary: 'The last evictions, newest first, those of before a restart among them',
        tags,
        response: { 200: listSchema },
      },
    },
    () => ({ evictions: evictions.list().map(evictionAnswer) }),
  );
  for (const [method, operationId, summary, act] of [
    ['GET', 'getEviction', 'How far an eviction has come', (id: number) => evictions.get(id)],
    ['DELETE', 'cancelEviction', 'Leave the rest of an eviction alone', (id: number) => evictions.cancel(id)],
  ] as const) {
    app.route<{ Params: { id: string } }>({
      method,
      url: '/v1/evictions/:id',
      schema: {
        operationId,
        summary,
        tags,
        params: idSchema,
        response: { 200: evictionSchema, 404: problemSchema },
      },
      handler: (request, reply) => {
        const { id } = request.params;
        const number = /^\d{1,10}$/.test(id) ? Number(id) : -1;
        const eviction = number >= 0 && number <= ID_MAX ? act(number) : undefined;
        if (eviction === undefined) return notFound(reply, `no eviction ${quoted(id)} is known`);
        return evictionAnswer(eviction);
      },
    });
  }
}

function startRoute(app: FastifyInstance, context: ApiContext, evictions: Evictions): void {
  app.post<{ Body: Body }>(
    '/v1/evictions',
    {
      attachValidation: true,
      schema: {
        operationId: 'startEviction',
        summary: 'End the connections that a filter names',
        description:
          'Several keys together mean the connections that have all of them. 200 when it is over; 202 with a Location where it takes over a second. 503 where too many are under way.',
        tags,
        body: bodySchema,
        response: { 200: evictionSchema, 202: evictionSchema, 422: problemSchema, 503: problemSchema },
      },
    },
    async (request, reply) => {
      const { id } = evictions.start(readRequest(context, request));
      const eviction = await evictions.wait(id, ANSWER_WAIT_MS);
      if (eviction.state === 'running') reply.code(202).header('location', `/v1/evictions/${id}`);
      return evictionAnswer(eviction);
    },
  );
}

/** @throws SluiceError request_invalid, with what the schema and what the names are to blame for */
function readRequest(
  context: ApiContext,
  { body, validationError }: { readonly body: unknown; readonly validationError?: Error },
): EvictionRequest {
  const complaints: Complaint[] = [];
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
  const { all, dry_run: dryRun, close, rate, ...named } = (isObject ? body : {}) as Body;
  resolveFilter(context.directory, named, complaints);
  const keys = Object.keys(named);
  if (all === true && keys.length > 0) {
    const found = `"all" together with ${keys.map((key) => `"${key}"`).join(', ')}`;
    const message = `${found}: leave "all" out to end only those, or the filter to end everything`;
    complaints.push({ path: ['all'], found, expected: 'one or the other', message });
  }
  // What is no object at all has been told as that.
  if (isObject && all !== true && keys.length === 0) {
    const expected = `one of ${Object.keys(filterProperties).join(', ')}`;
    const message = `no filter; expected ${expected}; to end every connection say "all": true`;
    complaints.push({ path: [], found: 'no filter', expected, message });
  }
  const ratePerSecond = typeof rate === 'string' ? parseEventRate(rate) : undefined;
  if (typeof ratePerSecond === 'object') {
    const { expected, wrong } = ratePerSecond;
    const found = quoted(rate as string);
    complaints.push({ path: ['rate'], found, expected, message: `${found} ${wrong}; expected ${expected}` });
  }
  requireNone(complaints, validationError);
  return {
    ...named,
    ...(all === true ? { all } : {}),
    ...(dryRun === true ? { dryRun } : {}),
    ...(close === 'fin' ? { orderly: true } : {}),
    ...(typeof ratePerSecond === 'number' ? { ratePerSecond } : {}),
  };
}

export function evictionAnswer(eviction: Eviction): EvictionAnswer {
  const { request } = eviction;
  const { dryRun, orderly, ratePerSecond, connection, ...filter } = request;
  return {
    id: eviction.id,
    state: eviction.state,
    note: eviction.note ?? null,
    dry_run: dryRun === true,
    total: eviction.total,
    matched: eviction.matched,
    closed: eviction.closed,
    duration_us: Math.round(eviction.durationUs),
    worker_us: Math.round(eviction.workerUs),
    started_at: new Date(eviction.startedAtMs).toISOString(),
    last_gone_at: eviction.lastGoneAtMs === undefined ? null : new Date(eviction.lastGoneAtMs).toISOString(),
    by_service: { ...eviction.byService },
    by_inbound: { ...eviction.byInbound },
    filter: {
      ...filter,
      ...(connection === undefined
        ? {}
        : { connection: `${connection.worker}-${connection.slot}-${connection.generation}` }),
      ...(orderly === true ? { close: 'fin' } : {}),
      ...(ratePerSecond === undefined ? {} : { rate: formatEventRate(ratePerSecond) }),
    },
  };
}
