// /v1/rule-sets: the files and addresses that rules refer to, how fresh what is in force is, and why it is not fresher.
// Control thread.

import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { quoted } from '../config/mistakes.ts';
import { SluiceError } from '../control/errors.ts';
import type { RulesControl } from '../control/rules-control.ts';
import type { ApiContext } from './context.ts';
import { notFound, problemSchema } from './problem.ts';
import { describeRuleSet } from './rule-answer.ts';
import { ruleSetSchema } from './rule-schemas.ts';
import { ruleTags } from './rules.ts';

export function ruleSetRoutes(app: FastifyInstance, { rules }: ApiContext): void {
  if (rules === undefined) return;
  app.get(
    '/v1/rule-sets',
    {
      schema: {
        operationId: 'listRuleSets',
        summary: 'Rule sets, and how fresh they are',
        tags: ruleTags,
        response: {
          200: Type.Object({ rule_sets: Type.Array(ruleSetSchema) }, { title: 'Rule sets' }),
        },
      },
    },
    () => ({ rule_sets: rules.ruleSets().map(describeRuleSet) }),
  );
  app.post<{ Params: { tag: string } }>(
    '/v1/rule-sets/:tag/refresh',
    {
      schema: {
        operationId: 'refreshRuleSet',
        summary: 'Read or fetch a rule set now',
        description: 'Answered when what it holds is in force. Where that fails, what was in force stays.',
        tags: ruleTags,
        params: Type.Object({ tag: Type.String({ description: 'of the rule set' }) }),
        response: { 200: ruleSetSchema, 404: problemSchema, 422: problemSchema, 503: problemSchema },
      },
    },
    async (request, reply) => {
      const { tag } = request.params;
      const refreshed = rules.refresh(tag);
      if (refreshed === undefined) return notFound(reply, `there is no rule set ${quoted(tag)}`);
      try {
        return describeRuleSet(await refreshed);
      } catch (error) {
        throw error instanceof SluiceError ? error : unavailable(rules, tag, error as Error);
      }
    },
  );
}

/** What a network or a file system says of it is no fault of ours. */
function unavailable(rules: RulesControl, tag: string, cause: Error): SluiceError {
  const from = rules.ruleSets().find((set) => set.tag === tag)?.from ?? '';
  const message = `rule set ${quoted(tag)} stays as it was: ${cause.message}`;
  return new SluiceError('rule_set_unavailable', message, { ruleSet: tag, from }, cause);
}
