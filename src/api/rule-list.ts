// GET /v1/rules: rules in the order of their evaluation, a page at a time; the revision of the API's as ETag. A page says of
// which snapshot it is: whoever finds another one on the next begins anew. Control thread.

import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { quoted } from '../config/mistakes.ts';
import type { ApiContext } from './context.ts';
import { problemSchema } from './problem.ts';
import { describeRules } from './rule-answer.ts';
import { rulesSchema } from './rule-schemas.ts';
import { requireNone } from './validation.ts';

const PAGE_MAX = 1_000;
const POSITION_DIGITS_MAX = 9;

const listQuery = Type.Object(
  {
    id: Type.Optional(Type.String({ description: 'this rule only' })),
    owner: Type.Optional(Type.Enum(['file', 'api'], { description: 'who owns them' })),
    limit: Type.Integer({ minimum: 1, maximum: PAGE_MAX, default: PAGE_MAX }),
    cursor: Type.Optional(Type.String({ description: '`next` of the page before' })),
  },
  { additionalProperties: false },
);

export function ruleListRoute(app: FastifyInstance, { rules }: ApiContext): void {
  if (rules === undefined) return;
  app.get<{ Querystring: Static<typeof listQuery> }>(
    '/v1/rules',
    {
      schema: {
        operationId: 'listRules',
        summary: 'Rules, in the order of their evaluation',
        tags: ['rules'],
        querystring: listQuery,
        response: { 200: rulesSchema, 422: problemSchema },
      },
    },
    ({ query: { id, owner, limit, cursor } }, reply) => {
      const current = rules.current({ id, owner, limit, from: positionOf(cursor) });
      reply.header('etag', `"${current.revision}"`);
      return describeRules(current);
    },
  );
}

function positionOf(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (/^\d+$/.test(cursor) && cursor.length <= POSITION_DIGITS_MAX) return Number(cursor);
  requireNone([{ path: ['cursor'], found: quoted(cursor), expected: '`next` of the page before' }]);
  return 0;
}
