// POST /v1/rules/explain: which rule in force would decide about a connection, what was looked at on the way there, and what
// would have to be known to say more. Nothing is looked up for it. Control thread.

import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import type { ExplainedConnection } from '../layout/compiler-messages.ts';
import type { ApiContext } from './context.ts';
import { problemSchema } from './problem.ts';
import { ruleTags } from './rules.ts';

const Result = Type.String({ description: 'match, no_match, needs' });
const Name = (description: string) => Type.Optional(Type.String({ maxLength: 1_024, description }));

const connectionSchema = Type.Object(
  {
    target: Type.String({ maxLength: 1_024, description: 'name or address' }),
    port: Type.Integer({ minimum: 0, maximum: 65_535 }),
    addresses: Type.Optional(
      Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64, description: 'what the name resolves to' }),
    ),
    inbound: Name('tag'),
    service: Name('name'),
    user: Name('user name'),
    network: Type.Optional(Type.Enum(['tcp', 'udp'])),
    protocol: Name('as sniffed: tls, http, quic, ssh, dns'),
    source: Name('address of the client'),
    source_port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
    process_name: Name('program of a local client'),
    process_path: Name('path of the program'),
    user_id: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 })),
    device: Name('known, new, on_grace, denied'),
    time: Name('ISO 8601, local; default: now'),
    externals: Type.Optional(
      Type.Record(Type.String(), Type.Boolean(), { description: 'by address: the judgement' }),
    ),
  },
  { additionalProperties: false, title: 'Connection to explain' },
);

const explanationSchema = Type.Object(
  {
    snapshot: Type.Integer(),
    rule: Type.Union([Type.String(), Type.Null()], { description: 'id; null: `final` decides' }),
    action: Type.String(),
    outbound: Type.Union([Type.String(), Type.Null()]),
    needs: Type.Array(Type.String(), { description: 'metadata that was asked for and not given' }),
    rules: Type.Array(
      Type.Object({
        id: Type.String(),
        path: Type.String(),
        result: Result,
        items: Type.Array(
          Type.Object({ item: Type.String(), result: Result, matched: Type.Optional(Type.String()) }),
        ),
      }),
      { description: 'what was looked at, in that order' },
    ),
  },
  { title: 'Explanation' },
);

/** What a request says. */
export type ExplainedBody = Static<typeof connectionSchema>;
export type ExplanationAnswer = Static<typeof explanationSchema>;

export function ruleExplainRoute(app: FastifyInstance, { rules }: ApiContext): void {
  if (rules === undefined) return;
  app.post<{ Body: ExplainedConnection }>(
    '/v1/rules/explain',
    {
      schema: {
        operationId: 'explainRules',
        summary: 'Which rule in force would decide about a connection, and why',
        description: 'Nothing is looked up: what is not given is not known, and `needs` names it.',
        tags: ruleTags,
        body: connectionSchema,
        response: { 200: explanationSchema, 404: problemSchema, 422: problemSchema, 503: problemSchema },
      },
    },
    (request) => rules.explain(request.body),
  );
}
