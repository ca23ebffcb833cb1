// GET /v1/connections: who is connected, read from the workers' slots without disturbing them (control/connections.ts).
// GET and DELETE /v1/connections/{id}: one of them. Ending it is an eviction like any other.

import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import {
  type Connection,
  type ConnectionId,
  countConnections,
  parseConnectionId,
  readConnection,
  readConnections,
} from '../control/connections.ts';
import type { Complaint } from '../config/mistakes.ts';
import { quoted } from '../config/mistakes.ts';
import { connectionSchema, describeConnection } from './connection-answer.ts';
import type { ApiContext } from './context.ts';
import { evictionAnswer, evictionSchema } from './evictions.ts';
import { filterProperties, type NamedFilter, resolveFilter } from './filters.ts';
import { notFound, problemSchema } from './problem.ts';
import { requireNone } from './validation.ts';

const PAGE_DEFAULT = 100;
const PAGE_MAX = 1_000;
/** Ending one connection takes one turn of its worker. */
const CLOSE_WAIT_MS = 1_000;

const pageSchema = Type.Object(
  {
    connections: Type.Array(connectionSchema),
    next: Type.Union([Type.String(), Type.Null()], { description: '`cursor` of the next page' }),
    total: Type.Optional(
      Type.Integer({ minimum: 0, description: 'how many match in all, where a count of them is kept' }),
    ),
  },
  { title: 'Connections' },
);

export type ConnectionsAnswer = Static<typeof pageSchema>;

const querySchema = Type.Object(
  {
    ...filterProperties,
    worker: Type.Optional(Type.Integer({ minimum: 0, maximum: 1023, description: 'index of a worker' })),
    limit: Type.Integer({ minimum: 1, maximum: PAGE_MAX, default: PAGE_DEFAULT }),
    cursor: Type.Optional(Type.String({ description: '`next` of the page before' })),
  },
  { additionalProperties: false },
);

const idSchema = Type.Object({ id: Type.String({ description: '`worker-slot-generation`' }) });
const closeSchema = Type.Object(
  { close: Type.Optional(Type.Enum(['reset', 'fin'], { description: 'default: reset' })) },
  { additionalProperties: false },
);

const tags = ['connections'];

export function connectionRoutes(app: FastifyInstance, context: ApiContext): void {
  app.get<{ Querystring: Static<typeof querySchema> }>(
    '/v1/connections',
    {
      attachValidation: true,
      schema: {
        operationId: 'listConnections',
        summary: 'Live connections, by worker and slot',
        description:
          'A page is read at once, the whole is not: connections that come and go between two pages may be missed. ' +
          'With a service, user, inbound, outbound or rule the shortest of their lists is followed; by a source alone all are looked at.',
        tags,
        querystring: querySchema,
        response: { 200: pageSchema, 422: problemSchema },
      },
    },
    (request) => listConnections(context, request.query, request.validationError),
  );
  app.get<{ Params: { id: string } }>(
    '/v1/connections/:id',
    {
      schema: {
        operationId: 'getConnection',
        summary: 'One connection',
        tags,
        params: idSchema,
        response: { 200: connectionSchema, 404: problemSchema },
      },
    },
    (request, reply) => {
      const connection = find(context, request.params.id);
      if (connection === undefined) return notFound(reply, noConnection(request.params.id));
      return describeConnection(context, connection);
    },
  );
  const { evictions } = context;
  app.delete<{ Params: { id: string }; Querystring: Static<typeof closeSchema> }>(
    '/v1/connections/:id',
    {
      schema: {
        operationId: 'endConnection',
        summary: 'End one connection',
        tags,
        params: idSchema,
        querystring: closeSchema,
        response: { 200: evictionSchema, 404: problemSchema, 422: problemSchema },
      },
    },
    async (request, reply) => {
      const connection = find(context, request.params.id);
      if (connection === undefined) return notFound(reply, noConnection(request.params.id));
      const { worker, slot, generation } = connection;
      const orderly = request.query.close === 'fin';
      const { id } = evictions.start({ connection: { worker, slot, generation }, orderly });
      const eviction = await evictions.wait(id, CLOSE_WAIT_MS);
      // It ended by itself while we asked.
      if (eviction.state === 'done' && eviction.matched === 0)
        return notFound(reply, noConnection(request.params.id));
      return evictionAnswer(eviction);
    },
  );
}

async function listConnections(
  context: ApiContext,
  query: Static<typeof querySchema>,
  mismatch: Error | undefined,
): Promise<ConnectionsAnswer> {
  const { worker, limit, cursor, ...named } = query;
  const complaints: Complaint[] = [];
  const filter = { ...resolveFilter(context.directory, named as NamedFilter, complaints), worker };
  const { slots } = context.tables;
  if (typeof worker === 'number' && worker >= slots.length) {
    const expected = `a worker from 0 to ${slots.length - 1}`;
    complaints.push({ path: ['worker'], found: String(worker), expected });
  }
  const after = cursor === undefined ? undefined : /^(\d{1,4})-(\d{1,10})$/.exec(cursor);
  if (after === null) {
    const expected = '`next` of the page before';
    complaints.push({ path: ['cursor'], found: quoted(cursor as string), expected });
  }
  requireNone(complaints, mismatch);
  const position = after ? { worker: Number(after[1]), slot: Number(after[2]) } : undefined;
  const total = countConnections(context.tables, filter);
  const page = await readConnections(context.tables, filter, position, limit);
  return {
    connections: page.connections.map((connection) => describeConnection(context, connection)),
    next: page.next === undefined ? null : `${page.next.worker}-${page.next.slot}`,
    ...(total === undefined ? {} : { total }),
  };
}

function find(context: ApiContext, text: string): Connection | undefined {
  const id: ConnectionId | undefined = parseConnectionId(text);
  return id === undefined ? undefined : readConnection(context.tables, id);
}

function noConnection(id: string): string {
  return `no connection ${quoted(id)} lives`;
}
