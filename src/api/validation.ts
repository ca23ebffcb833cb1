// Requests against the schemas of their routes. Every mistake is told at once, in the words of the configuration check:
// path, what was found, what was expected, the nearest valid name. Unknown keys are mistakes, types are not bent to fit
// (but in a query, where everything is text). Control thread.

import { Ajv, type ErrorObject } from 'ajv';
import type { FastifySchemaCompiler } from 'fastify';
import { Type } from 'typebox';
import type { TSchema } from 'typebox';
import {
  type Complaint,
  messageOf,
  type Path,
  pathText,
  type RequestMistake,
  shown,
} from '../config/mistakes.ts';
import { nearest } from '../config/nearest.ts';
import { SluiceError } from '../control/errors.ts';

/** More are not listed: whoever sends a million wrong items learns enough from these. */
const MISTAKES_MAX = 100;

export const mistakeSchema = Type.Object(
  {
    path: Type.String({ description: 'where in the request: `services[0].rate.up`' }),
    found: Type.String(),
    expected: Type.String(),
    nearest: Type.Optional(Type.String({ description: 'the valid name or key closest to what was found' })),
    message: Type.String({ description: 'a sentence' }),
  },
  { title: 'Mistake' },
);

/** What fastify hands to the error handler where a request does not fit its schema. */
export class RequestMismatch extends Error {
  readonly mistakes: readonly RequestMistake[];

  constructor(mistakes: readonly RequestMistake[]) {
    super('the request has mistakes');
    this.mistakes = mistakes;
  }
}

/**
 * @param mismatch `validationError` of a route with `attachValidation`, whose own checks go further
 * @throws SluiceError request_invalid where there are any mistakes
 */
export function requireNone(complaints: readonly Complaint[], mismatch?: Error): void {
  const before = mismatch instanceof RequestMismatch ? mismatch.mistakes : [];
  const mistakes = [...before, ...complaints.map(mistakeOf)];
  if (mistakes.length > 0) throw requestInvalid(mistakes);
}

export function requestInvalid(mistakes: readonly RequestMistake[]): SluiceError<'request_invalid'> {
  const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`;
  return new SluiceError('request_invalid', `the request has ${count}; nothing has changed`, { mistakes });
}

export function createValidation(): FastifySchemaCompiler<TSchema> {
  const options = { allErrors: true, verbose: true, strict: false, useDefaults: true } as const;
  const exact = new Ajv(options);
  // Of a query and the path: `limit=5` is a number.
  const bent = new Ajv({ ...options, coerceTypes: true });
  return ({ schema, httpPart }) => {
    const validate = (httpPart === 'body' ? exact : bent).compile(schema);
    return (value: unknown) => {
      if (validate(value)) return { value };
      const complaints = withoutCombinations(validate.errors ?? []).map((error) => complaintOf(error, value));
      return { error: new RequestMismatch(complaints.slice(0, MISTAKES_MAX).map(mistakeOf)) };
    };
  };
}

function mistakeOf(complaint: Complaint): RequestMistake {
  const { path, found, expected, nearest: near } = complaint;
  const mistake = { path: pathText(path), found, expected, message: messageOf(complaint) };
  return near === undefined ? mistake : { ...mistake, nearest: near };
}

/** `anyOf` only says that a combination failed; its branches' errors say how. */
function withoutCombinations(errors: readonly ErrorObject[]): ErrorObject[] {
  const told = errors.filter(({ keyword }) => keyword !== 'anyOf' && keyword !== 'oneOf' && keyword !== 'if');
  return told.length === 0 ? [...errors] : told;
}

function complaintOf(error: ErrorObject, root: unknown): Complaint {
  const path = pathOf(root, error.instancePath);
  if (error.keyword === 'additionalProperties') {
    const key = String(error.params['additionalProperty']);
    const keys = Object.keys((error.parentSchema as { properties?: object }).properties ?? {});
    const found = `unknown key ${JSON.stringify(key.slice(0, 64))}`;
    const near = nearest(key, keys);
    return {
      path: [...path, key],
      found,
      expected: `one of ${keys.join(', ')}`,
      nearest: near,
      message: found,
    };
  }
  if (error.keyword === 'required') {
    const key = String(error.params['missingProperty']);
    return { path: [...path, key], found: 'nothing', expected: 'a value', message: `lacks "${key}"` };
  }
  const near =
    error.keyword === 'enum' && typeof error.data === 'string'
      ? nearest(error.data, (error.schema as unknown[]).map(String))
      : undefined;
  return { path, found: shown(error.data, path), expected: expectedBy(error), nearest: near };
}

const JSON_TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  integer: 'a whole number',
  number: 'a number',
  object: 'an object',
  string: 'a string',
};

/** A schema's title says what is expected, where it has one. */
function expectedBy(error: ErrorObject): string {
  const schema = error.parentSchema as {
    title?: string;
    type?: string;
    minimum?: number;
    maximum?: number;
    enum?: readonly unknown[];
  };
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (schema.minimum !== undefined && schema.maximum !== undefined)
    return `a whole number from ${schema.minimum} to ${schema.maximum}`;
  if (error.keyword === 'type' && schema.type === 'object') return 'an object';
  return schema.title ?? JSON_TYPES[String(schema.type)] ?? error.message ?? 'another value';
}

/** A JSON pointer as a path. Whether a step is an index shows only on the value itself. */
function pathOf(root: unknown, pointer: string): Path {
  const path: (string | number)[] = [];
  let value: unknown = root;
  for (const escaped of pointer.split('/').slice(1)) {
    const step = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
    path.push(Array.isArray(value) ? Number(step) : step);
    value = (value as Record<string, unknown> | undefined)?.[step];
  }
  return path;
}
