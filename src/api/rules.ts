// /v1/rules: what decides about connections. A change is checked and compiled aside, in the words of the configuration file,
// and published at once; then the connections that it concerns are judged again. A mistake anywhere changes nothing.
//
//   GET  /v1/rules                     as they are (rule-list.ts)
//   PUT  /v1/rules                     the API's rules are these, or: these of them by their ids
//   GET  /v1/rules/installations/{id}  how far a change has come that took over a second
//
// Rules of the file are changed there: 409. `If-Match` makes a change conditional: 412. Control thread.

import type { FastifyInstance, FastifyReply } from 'fastify';
import { type Static, Type } from 'typebox';
import { type Complaint, quoted } from '../config/mistakes.ts';
import type { Installation, RuleChangeOptions, RulePatch, RulesControl } from '../control/rules-control.ts';
import { parseEventRate } from '../policy/units.ts';
import type { ApiContext } from './context.ts';
import { notFound, problemSchema } from './problem.ts';
import { describeChanged, describeInstallation } from './rule-answer.ts';
import {
  installationSchema,
  type InstallationAnswer,
  rulesChangedSchema,
  type RulesChangedAnswer,
} from './rule-schemas.ts';
import { requireNone } from './validation.ts';

/** Whatever takes longer is looked up by its number. */
const ANSWER_WAIT_MS = 1_000;
/** Thirty thousand rules, or lists of names that would better be rule sets. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;
const ID_DIGITS_MAX = 9;
/** Lists and mappings in each other, of one rule. Whoever walks or copies one further inside has a stack that ends. */
const NESTING_MAX = 64;

export const ruleTags = ['rules'];
export const ruleRefusals = { 412: problemSchema, 422: problemSchema, 503: problemSchema };

/** How a change is to be made: of every request that makes one. */
export const changeProperties = {
  reconcile: Type.Optional(
    Type.Enum(['none', 'reject', 'all'], {
      description:
        'who is judged again and may end: nobody; whoever would be rejected now (default); whoever would be treated otherwise',
    }),
  ),
  rate: Type.Optional(
    Type.String({
      title: 'a rate such as 100/s',
      description: 'connections to end in a time, as `100/s`, over all workers; default: as fast as it goes',
    }),
  ),
  dry_run: Type.Optional(Type.Boolean({ description: 'only compile, and count who would end' })),
};

const Rule = Type.Record(Type.String(), Type.Unknown(), {
  title: 'a rule',
  description: 'as an item of `rules` in the configuration',
});
const RuleOrNull = Type.Union([Rule, Type.Null()], {
  title: 'a rule, or null',
  description: 'null: it goes',
});

const putSchema = Type.Object(
  {
    rules: Type.Optional(
      Type.Array(Rule, { title: 'a list of rules', description: 'these, and no others of the API' }),
    ),
    patch: Type.Optional(
      Type.Union(
        [
          Type.Record(Type.String(), RuleOrNull),
          Type.Array(
            Type.Object(
              {
                id: Type.String({ minLength: 1, maxLength: 256 }),
                rule: RuleOrNull,
                before: Type.Optional(
                  Type.Union([Type.String(), Type.Null()], {
                    title: 'the id of a rule, or null',
                    description: 'id of the rule that it is to stand before; null: at the end',
                  }),
                ),
              },
              { additionalProperties: false },
            ),
          ),
        ],
        {
          title: 'rules by their ids, or a list of {id, rule, before}',
          description: 'replaced in place, added at the end, removed where null; others stay',
        },
      ),
    ),
    ...changeProperties,
  },
  { additionalProperties: false, title: 'Change of rules' },
);

export const changeHeaders = Type.Object({
  'if-match': Type.Optional(Type.String({ description: 'revision in quotes' })),
});

export type ChangeBody = Pick<Static<typeof putSchema>, 'reconcile' | 'rate' | 'dry_run'>;

export function ruleRoutes(app: FastifyInstance, { rules }: ApiContext): void {
  if (rules === undefined) return;
  putRoute(app, rules);
  installationRoutes(app, rules);
}

function putRoute(app: FastifyInstance, rules: RulesControl): void {
  app.put<{ Body: Static<typeof putSchema> }>(
    '/v1/rules',
    {
      bodyLimit: BODY_BYTES_MAX,
      attachValidation: true,
      schema: {
        operationId: 'putRules',
        summary: "Replace the API's rules, or change some of them by their ids",
        description:
          'Compiled aside, published at once, then connections are judged again. 202 with a Location where it takes over a second.',
        tags: ruleTags,
        headers: changeHeaders,
        body: putSchema,
        response: {
          200: rulesChangedSchema,
          202: installationSchema,
          404: problemSchema,
          409: problemSchema,
          ...ruleRefusals,
        },
      },
    },
    ({ body, headers, validationError }, reply) => {
      const complaints: Complaint[] = [];
      const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
      const { rules: whole, patch } = isObject ? body : {};
      if (isObject && (whole === undefined) === (patch === undefined)) {
        const found = whole === undefined ? 'neither "rules" nor "patch"' : '"rules" together with "patch"';
        complaints.push({ path: [], found, expected: 'one of them' });
      }
      for (const key of ['rules', 'patch'] as const)
        if (isObject) complainOfNesting(body[key], key, complaints);
      const options = readOptions(isObject ? body : {}, headers['if-match'], rules, complaints);
      requireNone(complaints, validationError);
      const installation =
        whole === undefined ? rules.patch(readPatch(patch), options) : rules.replace(whole, options);
      return answerInstallation(rules, installation, reply);
    },
  );
}

function complainOfNesting(rules: unknown, key: string, complaints: Complaint[]): void {
  if (typeof rules !== 'object' || rules === null) return;
  for (const [place, rule] of Object.entries(rules)) {
    if (!isNestedDeeper(rule, NESTING_MAX)) continue;
    const path = [key, Array.isArray(rules) ? Number(place) : place];
    const found = `more than ${NESTING_MAX} lists and mappings in each other`;
    complaints.push({ path, found, expected: 'a rule that is nested less' });
  }
}

function isNestedDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const inner of Object.values(value)) if (isNestedDeeper(inner, levels - 1)) return true;
  return false;
}

function readPatch(patch: Static<typeof putSchema>['patch']): RulePatch[] {
  if (patch === undefined) throw new RangeError('what was checked has a patch');
  if (!Array.isArray(patch)) return Object.entries(patch).map(([id, rule]) => ({ id, rule }));
  return patch.map(({ id, rule, before }) => (before === undefined ? { id, rule } : { id, rule, before }));
}

export function readOptions(
  body: ChangeBody,
  ifMatch: string | undefined,
  rules: RulesControl,
  complaints: Complaint[],
): RuleChangeOptions {
  const { reconcile, rate, dry_run: dryRun } = body;
  const ratePerSecond = typeof rate === 'string' ? parseEventRate(rate) : undefined;
  if (typeof ratePerSecond === 'object') {
    const { expected, wrong } = ratePerSecond;
    const found = quoted(rate as string);
    complaints.push({ path: ['rate'], found, expected, message: `${found} ${wrong}; expected ${expected}` });
  }
  return {
    ...(reconcile === undefined ? {} : { reconcile }),
    ...(typeof ratePerSecond === 'number' ? { ratePerSecond } : {}),
    ...(dryRun === true ? { dryRun } : {}),
    ...ifRevisionOf(ifMatch, rules),
  };
}

/** Weak tags and whatever else is no revision match nothing. @source RFC 9110, section 13.1.1 */
function ifRevisionOf(ifMatch: string | undefined, rules: RulesControl): { ifRevision?: number } {
  if (ifMatch === undefined || ifMatch.trim() === '*') return {};
  const revisions = ifMatch.split(',').flatMap((part) => {
    const revision = /^"(0|[1-9][0-9]{0,14})"$/.exec(part.trim())?.[1];
    return revision === undefined ? [] : [Number(revision)];
  });
  const { revision } = rules;
  return { ifRevision: revisions.includes(revision) ? revision : (revisions[0] ?? -1) };
}

/** @throws SluiceError, as `finished` of the installation */
export async function answerInstallation(
  rules: RulesControl,
  installation: Installation,
  reply: FastifyReply,
): Promise<RulesChangedAnswer | InstallationAnswer> {
  const { id, finished } = installation;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ANSWER_WAIT_MS, undefined);
  });
  try {
    const changed = await Promise.race([finished, late]);
    if (changed !== undefined) {
      reply.header('etag', `"${changed.revision}"`);
      return describeChanged(changed);
    }
  } finally {
    clearTimeout(timer);
  }
  // What comes of it is asked for by its number.
  finished.catch(() => {});
  const progress = rules.installation(id);
  if (progress === undefined) throw new RangeError('an installation that goes on is known');
  reply.code(202).header('location', `/v1/rules/installations/${id}`);
  return describeInstallation(progress);
}

function installationRoutes(app: FastifyInstance, rules: RulesControl): void {
  app.get(
    '/v1/rules/installations',
    {
      schema: {
        operationId: 'listRuleInstallations',
        summary: 'The last changes of rules, newest first, from whomever they came',
        tags: ruleTags,
        response: {
          200: Type.Object(
            { installations: Type.Array(installationSchema) },
            { title: 'Installations of rules' },
          ),
        },
      },
    },
    () => ({ installations: rules.progress().map(describeInstallation) }),
  );
  app.get<{ Params: { id: string } }>(
    '/v1/rules/installations/:id',
    {
      schema: {
        operationId: 'getRuleInstallation',
        summary: 'How far a change of rules has come, and what came of it',
        tags: ruleTags,
        params: Type.Object({ id: Type.String({ description: 'number of an installation' }) }),
        response: { 200: installationSchema, 404: problemSchema },
      },
    },
    (request, reply) => {
      const { id } = request.params;
      const isNumber = /^\d+$/.test(id) && id.length <= ID_DIGITS_MAX;
      const installation = isNumber ? rules.installation(Number(id)) : undefined;
      if (installation === undefined) return notFound(reply, `no installation ${quoted(id)} is known`);
      return describeInstallation(installation);
    },
  );
}
