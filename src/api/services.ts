// /v1/services: who belongs to whom, and what they may do. A change is checked in the words of the configuration file, stored,
// and in force when it is answered; connections that it no longer allows have ended by then. Passwords never leave.
//
//   GET    /v1/services           page by page, in the order of names
//   GET    /v1/services/{name}    with its revision as ETag
//   PUT    /v1/services/{name}    creates or replaces             PATCH, DELETE: policy, and all of it
//   POST   /v1/services           adds or changes many, as one    PUT: the API's services are these, and no others
//
// What the file owns is changed in the file: 409, and among many a mistake like others. `If-Match` makes a change conditional: 412. Control thread.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { serviceSchema } from '../config/schema.ts';
import type { Conditions, ServiceChanged, ServiceChanges } from '../control/service-changes.ts';
import { nameAfter } from '../control/services.ts';
import type { ApiContext } from './context.ts';
import { problemSchema } from './problem.ts';
import {
  describeEffect,
  describeService,
  liveConnections,
  serviceAnswerSchema,
  serviceChangedSchema,
  servicesChangedSchema,
} from './service-answer.ts';

const PAGE_DEFAULT = 100;
const PAGE_MAX = 1_000;
/** A hundred thousand services with everything that can be said of them. */
const BULK_BYTES_MAX = 64 * 1024 * 1024;

const pageSchema = Type.Object(
  {
    services: Type.Array(serviceAnswerSchema),
    next: Type.Union([Type.String(), Type.Null()], { description: '`cursor` of the next page' }),
  },
  { title: 'Services' },
);

const querySchema = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: PAGE_MAX, default: PAGE_DEFAULT }),
    cursor: Type.Optional(Type.String({ description: '`next` of the page before' })),
    owner: Type.Optional(Type.Enum(['file', 'api'], { description: 'who owns them' })),
    online: Type.Optional(Type.Boolean({ description: 'with connections, or without' })),
  },
  { additionalProperties: false },
);

const nameSchema = Type.Object({ name: Type.String({ description: 'of the service' }) });
const conditionsSchema = Type.Object({
  'if-match': Type.Optional(Type.String({ description: 'revision in quotes, or *: it is there' })),
  'if-none-match': Type.Optional(Type.String({ description: '*: it is not there' })),
});

const { name: _name, users: _users, server_names: _serverNames, ...policy } = serviceSchema.properties;
const whole = { ...serviceSchema.properties, name: Type.Optional(serviceSchema.properties.name) };
const putSchema = Type.Object(whole, {
  title: 'Service as written',
  description: 'as an item of `services` in the configuration; a user without `password` keeps it',
});
const patchSchema = Type.Object(policy, {
  title: 'Policy of a service',
  description: 'a merge patch (RFC 7396): null takes a key away',
});
const bulkSchema = Type.Object({ services: Type.Array(serviceSchema) }, { title: 'Services as written' });

const tags = ['services'];
const refusals = {
  404: problemSchema,
  409: problemSchema,
  412: problemSchema,
  422: problemSchema,
  503: problemSchema,
};

/** Bodies are checked where files are: their schemas only describe them here. */
const describedOnly = () => (value: unknown) => ({ value });

export function serviceRoutes(app: FastifyInstance, context: ApiContext): void {
  const { serviceChanges: changes } = context;
  // PATCH speaks of itself by this name.
  app.addContentTypeParser(
    'application/merge-patch+json',
    { parseAs: 'string' },
    app.getDefaultJsonParser('error', 'error'),
  );
  readRoutes(app, context);
  if (changes === undefined) return;
  putRoute(app, context, changes);
  patchRoute(app, context, changes);
  deleteRoute(app, changes);
  bulkRoutes(app, changes);
}

function readRoutes(app: FastifyInstance, context: ApiContext): void {
  app.get<{ Querystring: Static<typeof querySchema> }>(
    '/v1/services',
    {
      schema: {
        operationId: 'listServices',
        summary: 'Services, in the order of their names',
        tags,
        querystring: querySchema,
        response: { 200: pageSchema, 422: problemSchema },
      },
    },
    (request) => listServices(context, request.query),
  );
  app.get<{ Params: { name: string } }>(
    '/v1/services/:name',
    {
      schema: {
        operationId: 'getService',
        summary: 'One service',
        tags,
        params: nameSchema,
        response: { 200: serviceAnswerSchema, 404: problemSchema },
      },
    },
    (request, reply) => {
      const entry = context.edge.services.require(request.params.name);
      tag(reply, entry.revision);
      return describeService(context, entry);
    },
  );
}

function listServices(context: ApiContext, query: Static<typeof querySchema>): Static<typeof pageSchema> {
  const registry = context.edge.services;
  const names = registry.names();
  const services = [];
  for (let at = query.cursor === undefined ? 0 : nameAfter(names, query.cursor); at < names.length; at++) {
    const name = names[at] as string;
    const entry = registry.find(name);
    if (entry === undefined || (query.owner !== undefined && entry.owner !== query.owner)) continue;
    if (query.online !== undefined && liveConnections(context, name) > 0 !== query.online) continue;
    if (services.length === query.limit) return { services, next: services.at(-1)?.name ?? null };
    services.push(describeService(context, entry));
  }
  return { services, next: null };
}

function putRoute(app: FastifyInstance, context: ApiContext, changes: ServiceChanges): void {
  app.put<{ Params: { name: string } }>(
    '/v1/services/:name',
    {
      validatorCompiler: describedOnly,
      schema: {
        operationId: 'putService',
        summary: 'Create or replace a service',
        tags,
        params: nameSchema,
        headers: conditionsSchema,
        body: putSchema,
        response: { 200: serviceChangedSchema, 201: serviceChangedSchema, ...refusals },
      },
    },
    async (request, reply) => {
      const changed = await changes.put(request.params.name, request.body, conditionsOf(request));
      if (changed.isNew) {
        reply.code(201).header('location', `/v1/services/${encodeURIComponent(request.params.name)}`);
      }
      return answerChanged(context, reply, changed);
    },
  );
}

function patchRoute(app: FastifyInstance, context: ApiContext, changes: ServiceChanges): void {
  app.patch<{ Params: { name: string } }>(
    '/v1/services/:name',
    {
      validatorCompiler: describedOnly,
      schema: {
        operationId: 'patchService',
        summary: 'Change the policy of a service',
        description: 'Who belongs to it (users, server names) is changed with PUT.',
        tags,
        params: nameSchema,
        headers: conditionsSchema,
        body: patchSchema,
        response: { 200: serviceChangedSchema, ...refusals },
      },
    },
    async (request, reply) => {
      const changed = await changes.patch(request.params.name, request.body, conditionsOf(request));
      return answerChanged(context, reply, changed);
    },
  );
}

function deleteRoute(app: FastifyInstance, changes: ServiceChanges): void {
  app.delete<{ Params: { name: string } }>(
    '/v1/services/:name',
    {
      schema: {
        operationId: 'deleteService',
        summary: 'Remove a service; its connections end',
        tags,
        params: nameSchema,
        headers: conditionsSchema,
        response: { 204: Type.Null({ description: 'gone' }), ...refusals },
      },
    },
    async (request, reply) => {
      await changes.remove(request.params.name, conditionsOf(request));
      return reply.code(204).send();
    },
  );
}

function bulkRoutes(app: FastifyInstance, changes: ServiceChanges): void {
  const ways = [
    ['POST', 'addServices', 'Add or change many services, all or none', changes.putAll],
    ['PUT', 'replaceServices', 'Make the services of the API exactly these, as one', changes.replaceAll],
  ] as const;
  for (const [method, operationId, summary, change] of ways) {
    app.route<{ Body: unknown }>({
      method,
      url: '/v1/services',
      bodyLimit: BULK_BYTES_MAX,
      validatorCompiler: describedOnly,
      schema: {
        operationId,
        summary,
        tags,
        body: bulkSchema,
        response: { 200: servicesChangedSchema, 422: problemSchema, 503: problemSchema },
      },
      handler: async (request) => {
        const changed = await change(request.body);
        const { added, changed: count, unchanged, removed } = changed;
        return { added, changed: count, unchanged, removed, ...describeEffect(changed) };
      },
    });
  }
}

function answerChanged(context: ApiContext, reply: FastifyReply, changed: ServiceChanged) {
  const { entry } = changed;
  if (entry === undefined) throw new RangeError('a service that was put is there');
  tag(reply, entry.revision);
  return { ...describeService(context, entry), ...describeEffect(changed) };
}

function tag(reply: FastifyReply, revision: number): void {
  reply.header('etag', `"${revision}"`);
}

/** Weak tags and whatever else is no revision match nothing. @source RFC 9110, section 13.1 */
function conditionsOf(request: FastifyRequest): Conditions {
  const ifMatch = request.headers['if-match']?.trim();
  const ifAbsent = request.headers['if-none-match']?.trim() === '*';
  if (ifMatch === undefined) return { ifAbsent };
  if (ifMatch === '*') return { ifMatch: 'any', ifAbsent };
  const revisions = ifMatch.split(',').flatMap((part) => {
    const revision = /^"([1-9][0-9]{0,15})"$/.exec(part.trim())?.[1];
    return revision === undefined ? [] : [Number(revision)];
  });
  return { ifMatch: revisions, ifAbsent };
}
