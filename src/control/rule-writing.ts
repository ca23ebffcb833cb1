// Changes of the API's rules, in the words in which they are written: replaced as a whole, or by id. Whether a rule makes
// sense is for the compiler to say; here is whose it is and where it goes. Pure. Control thread.

import { pathText, type RequestMistake } from '../config/mistakes.ts';
import { nearest } from '../config/nearest.ts';
import type { CompiledRule } from '../layout/compiler-messages.ts';
import { SluiceError } from './errors.ts';
import type { RulePatch } from './rules-control.ts';
import { isMapping } from './service-writing.ts';

/** Rules as written, and their ids as compiled: the API's come first. */
export interface KnownRules {
  readonly apiRules: readonly unknown[];
  readonly rules: readonly CompiledRule[];
}

/** @throws SluiceError request_invalid, rule_owned_by_file */
export function replacedRules(rules: readonly unknown[], known: KnownRules): readonly unknown[] {
  const mistakes = rules.flatMap((rule, place) => shapeMistake(rule, ['rules', place]));
  refuseMistakes(mistakes);
  const ofFile = idsOfFile(known);
  for (const rule of rules) refuseFileId(ofFile, idWritten(rule));
  return rules;
}

/** @throws SluiceError request_invalid, rule_owned_by_file, rule_unknown */
export function patchedRules(patches: readonly RulePatch[], known: KnownRules): readonly unknown[] {
  const ofFile = idsOfFile(known);
  const list = createChain(known);
  for (const [index, { id, rule, before }] of patches.entries()) {
    refuseFileId(ofFile, id);
    const link = list.find(id);
    if (rule === null) {
      if (link === undefined) throw unknownRule(id, known);
      list.remove(link);
      continue;
    }
    refuseMistakes([...shapeMistake(rule, ['patch', index, 'rule']), ...idMistake(rule, id, index)]);
    const written = { ...rule, id };
    if (link !== undefined && (before === undefined || before === id)) {
      link.written = written;
      continue;
    }
    if (link !== undefined) list.remove(link);
    const target = before === undefined || before === null ? list.end : list.find(before);
    if (target === undefined) throw unknownRule(before as string, known);
    list.insert(id, written, target);
  }
  return list.written();
}

/** A rule among its neighbours. */
interface Link {
  readonly id: string;
  written: unknown;
  previous: Link;
  next: Link;
}

/** The API's rules, where each of tens of thousands of changes costs the same. */
function createChain({ apiRules, rules }: KnownRules) {
  const end = { id: '', written: undefined } as Link;
  end.previous = end;
  end.next = end;
  const links = new Map<string, Link>();

  function insert(id: string, written: unknown, next: Link): void {
    const link = { id, written, previous: next.previous, next };
    next.previous.next = link;
    next.previous = link;
    links.set(id, link);
  }

  for (const [place, written] of apiRules.entries()) insert(rules[place]?.id ?? '', written, end);
  return {
    end,
    insert,
    find: (id: string) => links.get(id),
    remove({ id, previous, next }: Link) {
      previous.next = next;
      next.previous = previous;
      links.delete(id);
    },
    written() {
      const list: unknown[] = [];
      for (let link = end.next; link !== end; link = link.next) list.push(link.written);
      return list;
    },
  };
}

function idWritten(rule: unknown): string | undefined {
  const { id } = isMapping(rule) ? rule : {};
  return typeof id === 'string' ? id : undefined;
}

function idsOfFile({ rules }: KnownRules): ReadonlySet<string> {
  return new Set(rules.filter(({ owner }) => owner === 'file').map(({ id }) => id));
}

function refuseFileId(ofFile: ReadonlySet<string>, id: string | undefined): void {
  if (id === undefined || !ofFile.has(id)) return;
  const message = `rule "${id}" belongs to the configuration file; change it there and reload`;
  throw new SluiceError('rule_owned_by_file', message, { rule: id });
}

function unknownRule(id: string, { rules }: KnownRules): SluiceError {
  const near = nearest(
    id,
    rules.filter(({ owner }) => owner === 'api').map((rule) => rule.id),
  );
  const guess = near === undefined ? '' : `; did you mean "${near}"?`;
  const facts = { rule: id, nearest: near };
  return new SluiceError('rule_unknown', `the API has no rule "${id}"${guess}`, facts);
}

function shapeMistake(rule: unknown, path: readonly (string | number)[]): RequestMistake[] {
  if (isMapping(rule)) return [];
  const found = Array.isArray(rule) ? 'a list' : `${rule === null ? 'null' : typeof rule}`;
  const expected = 'a mapping with the keys of a rule';
  return [{ path: pathText(path), found, expected, message: `found ${found}, expected ${expected}` }];
}

function idMistake(rule: Readonly<Record<string, unknown>>, id: string, index: number): RequestMistake[] {
  const written = rule['id'];
  if (written === undefined || written === id) return [];
  const message = `the rule has another id than the patch; expected "${id}", or no "id"`;
  const path = pathText(['patch', index, 'rule', 'id']);
  return [{ path, found: 'another id', expected: `"${id}"`, message }];
}

function refuseMistakes(mistakes: readonly RequestMistake[]): void {
  if (mistakes.length === 0) return;
  const message = mistakes.length === 1 ? `${mistakes[0]?.message}` : `${mistakes.length} mistakes`;
  throw new SluiceError('request_invalid', message, { mistakes });
}
