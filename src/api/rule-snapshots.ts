// /v1/rules/snapshots: rules that are or were in force, and where each stands in its life. POST /v1/rules/rollback puts those
// of an earlier one in force again, under a new number: a snapshot never comes back itself. Control thread.

import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Complaint } from '../config/mistakes.ts';
import type { ApiContext } from './context.ts';
import { problemSchema } from './problem.ts';
import { describeSnapshot } from './rule-answer.ts';
import { installationSchema, rulesChangedSchema, snapshotSchema } from './rule-schemas.ts';
import {
  answerInstallation,
  changeHeaders,
  changeProperties,
  readOptions,
  ruleRefusals,
  ruleTags,
} from './rules.ts';
import { requireNone } from './validation.ts';

const rollbackSchema = Type.Object(
  {
    snapshot: Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, title: 'the id of a snapshot' }),
    ...changeProperties,
  },
  { additionalProperties: false, title: 'Rollback' },
);

export function ruleSnapshotRoutes(app: FastifyInstance, { rules }: ApiContext): void {
  if (rules === undefined) return;
  app.get(
    '/v1/rules/snapshots',
    {
      schema: {
        operationId: 'listRuleSnapshots',
        summary: 'The last snapshots of rules, newest first, and the state of each',
        tags: ruleTags,
        response: {
          200: Type.Object({ snapshots: Type.Array(snapshotSchema) }, { title: 'Snapshots of rules' }),
        },
      },
    },
    () => ({ snapshots: rules.snapshots().map(describeSnapshot) }),
  );
  app.post<{ Body: Static<typeof rollbackSchema> }>(
    '/v1/rules/rollback',
    {
      attachValidation: true,
      schema: {
        operationId: 'rollBackRules',
        summary: 'Put the rules of an earlier snapshot in force again',
        description:
          'Those of the file too, until the next reload. 202 with a Location where it takes over a second.',
        tags: ruleTags,
        headers: changeHeaders,
        body: rollbackSchema,
        response: {
          200: rulesChangedSchema,
          202: installationSchema,
          404: problemSchema,
          ...ruleRefusals,
        },
      },
    },
    ({ body, headers, validationError }, reply) => {
      const complaints: Complaint[] = [];
      const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
      const options = readOptions(isObject ? body : {}, headers['if-match'], rules, complaints);
      requireNone(complaints, validationError);
      return answerInstallation(rules, rules.rollback(body.snapshot, options), reply);
    },
  );
}
