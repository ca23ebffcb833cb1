// Errors as the API answers them: RFC 9457, application/problem+json. `code` is the stable word for programs, `detail`
// the sentence for people; further members are the facts of the error. Nothing of a stack ever leaves.

import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { SluiceError } from '../control/errors.ts';
import type { SluiceErrorCode } from '../control/errors.ts';
import { mistakeSchema, requestInvalid, RequestMismatch } from './validation.ts';

export const PROBLEM_TYPE = 'application/problem+json';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly [fact: string]: unknown;
}

export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'urn:sluice:problem:<code>' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String({ description: 'stable, for programs' }),
    mistakes: Type.Optional(Type.Array(mistakeSchema, { description: 'all that is wrong, at once' })),
  },
  { additionalProperties: true, title: 'Problem (RFC 9457)' },
);

export const STATUS_TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Token missing or wrong',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  412: 'Changed meanwhile',
  413: 'Request too large',
  414: 'Path too long',
  415: 'Media type not supported',
  422: 'Cannot be applied',
  500: 'Internal error',
  // Whether trying again may help is said beside it.
  503: 'Not available',
};

export function problem(status: number, code: string, detail: string, facts: object = {}): Problem {
  const title = STATUS_TITLES[status] ?? 'Error';
  return { ...facts, type: `urn:sluice:problem:${code}`, title, status, detail, code };
}

/** For a handler that found nothing under the name given. */
export function notFound(reply: FastifyReply, detail: string): Problem {
  reply.code(404).type(PROBLEM_TYPE);
  return problem(404, 'not_found', detail);
}

/** What an operator can mend is 422, what may work later 503, the rest ours. */
const ERROR_STATUS: Readonly<Record<SluiceErrorCode, number>> = {
  configuration_unreadable: 422,
  configuration_invalid: 422,
  request_invalid: 422,
  eviction_invalid: 422,
  evictions_busy: 503,
  rules_invalid: 422,
  rule_owned_by_file: 409,
  rule_unknown: 404,
  rules_revision_conflict: 412,
  snapshot_unknown: 404,
  rules_busy: 503,
  compiler_failed: 503,
  rule_set_unavailable: 503,
  reconcile_late: 503,
  owner_conflict: 422,
  owned_by_file: 409,
  service_unknown: 404,
  revision_conflict: 412,
  stored_services_invalid: 500,
  table_full: 422,
  listen_failed: 422,
  admin_listen_failed: 500,
  token_unusable: 500,
  worker_failed: 500,
  plan_not_applied: 503,
  store_unusable: 500,
  store_failed: 503,
  keeper_failed: 500,
  stopping: 503,
  descriptor_failed: 503,
  descriptors_too_few: 422,
  internal: 500,
};

/** Of those that may work later: what comes of the world or of a bound, and is no failure of the daemon. */
const EXPECTED: ReadonlySet<string> = new Set<SluiceErrorCode>([
  'evictions_busy',
  'rule_set_unavailable',
  'rules_busy',
  'stopping',
]);

/** Whether this answer is one that nobody has to look into the daemon for. */
export function isExpected({ status, code }: Problem): boolean {
  return status < 500 || EXPECTED.has(code);
}

/** Codes of fastify that a client may meet, in our words. */
const FASTIFY_CODES: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'media_type_not_supported',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_BAD_URL: 'malformed_path',
  FST_ERR_MAX_PARAM_LENGTH: 'path_too_long',
};

export function problemOf(error: unknown): Problem {
  if (error instanceof RequestMismatch) return problemOf(requestInvalid(error.mistakes));
  if (error instanceof SluiceError) {
    const { code, message, facts, source, retryable }: SluiceError = error;
    return problem(ERROR_STATUS[code], code, message, { ...facts, source, retryable });
  }
  // Errors of fastify itself: a body that is no JSON, one that is too large.
  const { statusCode, code, message } = error as { statusCode?: number; code?: string; message?: string };
  if (statusCode !== undefined && statusCode < 500) {
    const ours = FASTIFY_CODES[code ?? ''] ?? code?.toLowerCase() ?? 'bad_request';
    return problem(statusCode, ours, message ?? 'the request is wrong');
  }
  return problem(500, 'internal', 'the daemon failed at this request; its log says more');
}
