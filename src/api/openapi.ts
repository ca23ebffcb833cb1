// The API's description of itself, /v1/openapi.json, made from the schemas that requests are checked against. What holds for
// every operation is added here: the problems that it may answer, as application/problem+json, and their one schema.

import { PROBLEM_TYPE, problemSchema, STATUS_TITLES } from './problem.ts';

interface Response {
  description?: string;
  headers?: Record<string, unknown>;
  content?: Record<string, { schema: unknown }>;
}

interface Operation {
  operationId?: string;
  security?: readonly unknown[];
  requestBody?: unknown;
  responses: Record<string, Response>;
}

/** As far as it is touched here. */
export interface OpenApiDocument {
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, unknown> };
}

const TAGS = {
  connections: 'Who is connected now, and ending one of them.',
  evictions: 'Ending exactly the connections that a filter names.',
  services: 'What belongs to whom, and what it may do.',
  rules: 'What decides about connections, and which rules were in force when.',
  daemon: 'The daemon as a whole.',
  probes: 'For whatever watches this machine; on loopback without a token.',
};

export function openApiHead(version: string) {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sluice admin API',
      version,
      description:
        'Over the Unix socket `admin.socket`, for whoever may open it; over TCP, where `admin.listen` is set, with the token of ' +
        '`admin.token_file`. Errors are problems (RFC 9457) with all mistakes at once.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'where this document was read' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    components: { securitySchemes: { token: { type: 'http' as const, scheme: 'bearer' } } },
    security: [{ token: [] }],
  };
}

/** Answers of these carry the revision of what they show. */
const TAGGED = new Set([
  'getService',
  'putService',
  'patchService',
  'listRules',
  'putRules',
  'rollBackRules',
]);
const ETAG = { description: 'its revision in quotes, for `If-Match`', schema: { type: 'string' } };

const PROBLEM_REFERENCE = { $ref: '#/components/schemas/Problem' };

/** Adds what every operation has. */
export function completeOpenApi<D extends OpenApiDocument>({ openapiObject }: { openapiObject: D }): D {
  for (const [path, operations] of Object.entries(openapiObject.paths)) {
    for (const operation of Object.values(operations)) {
      const isOpen = operation.security?.length === 0;
      const always = [
        ...(isOpen ? [] : [401]),
        ...(operation.requestBody === undefined ? [] : [400, 413, 415]),
        ...(path.includes('{') ? [414] : []),
        500,
      ];
      for (const status of always) operation.responses[String(status)] ??= {};
      for (const [status, response] of Object.entries(operation.responses)) {
        if (Number(status) < 400) {
          // What goes on has no revision yet.
          if (status !== '202' && TAGGED.has(operation.operationId ?? '')) response.headers = { ETag: ETAG };
          continue;
        }
        response.description = STATUS_TITLES[Number(status)] ?? 'Error';
        response.content = { [PROBLEM_TYPE]: { schema: PROBLEM_REFERENCE } };
      }
    }
  }
  openapiObject.components = {
    ...openapiObject.components,
    schemas: { ...openapiObject.components?.schemas, Problem: problemSchema },
  };
  return openapiObject;
}
