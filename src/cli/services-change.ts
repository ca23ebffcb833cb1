// `sluice services put|set|enable|disable|delete|load`: one request each; the daemon checks, the CLI prints. With --if-match a
// change is made only to the revision that was looked at.

import type { Static } from 'typebox';
import { parse } from 'yaml';
import type { serviceChangedSchema, servicesChangedSchema } from '../api/service-answer.ts';
import { ask, CommandFailure, type DaemonOptions, type Question } from './client.ts';
import { isMapping, readDocument } from './document.ts';
import { EXIT_REFUSED, EXIT_USAGE } from './exit-codes.ts';
import { type OutputOptions, printAnswer } from './refusal.ts';
import { servicePath } from './services.ts';

export interface ChangeOptions extends DaemonOptions, OutputOptions {
  /** Revision, or `*`. */
  readonly ifMatch?: string;
}

/** What the answers to one service and to many have, as far as it is told. */
type Changed = Partial<
  Pick<Static<typeof serviceChangedSchema>, 'revision' | 'effective_us' | 'reconciled' | 'warnings'> &
    Pick<Static<typeof servicesChangedSchema>, 'added' | 'changed' | 'unchanged' | 'removed'>
>;

/** @param fileName YAML or JSON of one service; `-` for standard input */
export function putServiceCommand(fileName: string, options: ChangeOptions): Promise<number> {
  const service = readDocument(fileName);
  const name = isMapping(service) ? service['name'] : undefined;
  if (typeof name !== 'string' || name === '') {
    throw new CommandFailure(EXIT_REFUSED, `${fileName}: one service is expected, with its "name"`);
  }
  return change({ method: 'PUT', path: servicePath(name), body: service }, `service ${name}`, options);
}

/** @param assignments `rate.up=20mbit`, `gate=null`; values as in YAML */
export function setServiceCommand(
  name: string,
  assignments: readonly string[],
  options: ChangeOptions,
): Promise<number> {
  const patch = patchOf(assignments);
  return change({ method: 'PATCH', path: servicePath(name), body: patch }, `service ${name}`, options);
}

export function deleteServiceCommand(name: string, options: ChangeOptions): Promise<number> {
  return change({ method: 'DELETE', path: servicePath(name) }, `service ${name}`, options, 'deleted');
}

/** @param fileName a list of services, or a mapping with `services`; `replace`: the API's services are these, and no others */
export function loadServicesCommand(
  fileName: string,
  options: ChangeOptions & { readonly replace?: boolean },
): Promise<number> {
  const document = readDocument(fileName);
  const services = isMapping(document) ? document['services'] : document;
  if (!Array.isArray(services)) {
    throw new CommandFailure(EXIT_REFUSED, `${fileName}: a list of services is expected, or "services"`);
  }
  const method = options.replace === true ? 'PUT' : 'POST';
  return change(
    { method, path: '/v1/services', body: { services } },
    `${services.length} services`,
    options,
    'loaded',
  );
}

async function change(
  question: Question,
  what: string,
  options: ChangeOptions,
  verb = 'changed',
): Promise<number> {
  const { ifMatch } = options;
  const headers: Record<string, string> = {};
  if (ifMatch !== undefined) headers['if-match'] = ifMatch === '*' ? '*' : `"${ifMatch.replaceAll('"', '')}"`;
  const answer = await ask({ ...question, headers }, options);
  return printAnswer(answer, options, () => {
    const changed = (answer.body ?? {}) as Changed;
    const { revision, effective_us: effectiveUs, reconciled, warnings = [] } = changed;
    for (const { path, message } of warnings) process.stderr.write(`warning: ${path}: ${message}\n`);
    const facts = [answer.status === 201 ? 'created' : verb];
    for (const count of ['added', 'changed', 'unchanged', 'removed'] as const) {
      if ((changed[count] ?? 0) > 0) facts.push(`${changed[count]} ${count}`);
    }
    if (revision !== undefined) facts.push(`revision ${revision}`);
    if (effectiveUs !== undefined) facts.push(`in force after ${(effectiveUs / 1_000).toFixed(2)} ms`);
    if (reconciled !== undefined) facts.push(`${reconciled.ended} connections ended`);
    return `${what}: ${facts.join(', ')}\n`;
  });
}

function patchOf(assignments: readonly string[]): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  for (const assignment of assignments) {
    const parts = /^([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)=(.*)$/s.exec(assignment);
    const keys = parts?.[1]?.split('.');
    if (parts === null || keys === undefined) {
      const hint = 'expected key=value, such as rate.up=20mbit or gate=null';
      throw new CommandFailure(EXIT_USAGE, `"${assignment}": ${hint}`);
    }
    let holder = patch;
    for (const key of keys.slice(0, -1)) {
      const inner = own(holder, key);
      holder = isMapping(inner) ? inner : put(holder, key, {});
    }
    put(holder, keys.at(-1) as string, valueOf(parts[2] ?? ''));
  }
  return patch;
}

function own(holder: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(holder, key) ? holder[key] : undefined;
}

/** `__proto__` is a key like any other, for the daemon to refuse. */
function put<T>(holder: Record<string, unknown>, key: string, value: T): T {
  Object.defineProperty(holder, key, { value, enumerable: true, writable: true, configurable: true });
  return value;
}

/** As in the configuration: `true`, `5`, `null`, `[a, b]`, or text. */
function valueOf(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch {
    return text;
  }
}
