// `sluice rules put|patch|delete|rollback|refresh`: one request each; the daemon checks and compiles. What takes longer than it
// waits is followed to its end, with its progress on a terminal.

import { setTimeout } from 'node:timers/promises';
import type { Problem } from '../api/problem.ts';
import type { InstallationAnswer, RulesChangedAnswer, RuleSetAnswer } from '../api/rule-schemas.ts';
import { type Answer, ask, CommandFailure, type DaemonOptions, type Question } from './client.ts';
import { isMapping, readDocument } from './document.ts';
import { EXIT_OK, EXIT_REFUSED } from './exit-codes.ts';
import { jsonText, type OutputOptions, printAnswer, printRefusal } from './refusal.ts';
import { formatRuleSets } from './rules.ts';
import { formatTable } from './table.ts';

const FOLLOW_INTERVAL_MS = 250;

export interface RuleChangeOptions extends DaemonOptions, OutputOptions {
  readonly reconcile?: string;
  readonly rate?: string;
  readonly dryRun?: boolean;
  /** Revision, or `*`. */
  readonly ifMatch?: string;
  /** False with --no-wait. */
  readonly wait: boolean;
}

/** @param fileName a list of rules, or a mapping with `rules` such as the configuration; the API's rules become these */
export function putRulesCommand(fileName: string, options: RuleChangeOptions): Promise<number> {
  const document = readDocument(fileName);
  const rules = isMapping(document) ? document['rules'] : document;
  if (!Array.isArray(rules)) {
    throw new CommandFailure(EXIT_REFUSED, `${fileName}: a list of rules is expected, or "rules"`);
  }
  return change({ method: 'PUT', path: '/v1/rules' }, { rules }, options);
}

/** @param fileName rules by their ids (null: it goes), or a list of {id, rule, before} */
export function patchRulesCommand(fileName: string, options: RuleChangeOptions): Promise<number> {
  const document = readDocument(fileName);
  if (!isMapping(document) && !Array.isArray(document)) {
    throw new CommandFailure(
      EXIT_REFUSED,
      `${fileName}: rules by their ids are expected, null for those that go`,
    );
  }
  return change({ method: 'PUT', path: '/v1/rules' }, { patch: document }, options);
}

export function deleteRulesCommand(ids: readonly string[], options: RuleChangeOptions): Promise<number> {
  const patch = ids.map((id) => ({ id, rule: null }));
  return change({ method: 'PUT', path: '/v1/rules' }, { patch }, options);
}

export function rollBackCommand(snapshot: number, options: RuleChangeOptions): Promise<number> {
  return change({ method: 'POST', path: '/v1/rules/rollback' }, { snapshot }, options);
}

export async function refreshCommand(tag: string, options: DaemonOptions & OutputOptions): Promise<number> {
  const path = `/v1/rule-sets/${encodeURIComponent(tag)}/refresh`;
  const answer = await ask({ method: 'POST', path }, options);
  return printAnswer(answer, options, () => formatRuleSets([answer.body as RuleSetAnswer]));
}

async function change(
  question: Pick<Question, 'method' | 'path'>,
  what: object,
  options: RuleChangeOptions,
): Promise<number> {
  const { reconcile, rate, dryRun, ifMatch } = options;
  const body = {
    ...what,
    ...(reconcile === undefined ? {} : { reconcile }),
    ...(rate === undefined ? {} : { rate }),
    ...(dryRun === true ? { dry_run: true } : {}),
  };
  const headers: Record<string, string> = {};
  if (ifMatch !== undefined) headers['if-match'] = ifMatch === '*' ? '*' : `"${ifMatch.replaceAll('"', '')}"`;
  const answer = await ask({ ...question, body, headers }, options);
  if (answer.status >= 400) return printRefusal(answer, options);
  if (answer.status !== 202) return printChanged(answer.body as RulesChangedAnswer, options);
  return follow(answer, options);
}

async function follow(first: Answer, options: RuleChangeOptions): Promise<number> {
  let installation = first.body as InstallationAnswer;
  const isOver = () => installation.state === 'done' || installation.state === 'failed';
  while (!isOver() && options.wait) {
    showProgress(installation);
    await setTimeout(FOLLOW_INTERVAL_MS);
    const path = `/v1/rules/installations/${installation.id}`;
    const later = await ask({ method: 'GET', path }, options);
    if (later.status >= 400) return printRefusal(later, options);
    installation = later.body as InstallationAnswer;
  }
  clearProgress();
  const { id, state, result, problem } = installation;
  if (problem !== null) {
    const { status } = problem as Problem;
    return printRefusal({ status, body: problem }, options);
  }
  if (result !== null) return printChanged(result, options);
  const text = `rules: ${state}; GET /v1/rules/installations/${id} tells how it goes on\n`;
  process.stdout.write(options.json === true ? jsonText(installation) : text);
  return EXIT_OK;
}

function showProgress({ state, compiling }: InstallationAnswer): void {
  if (!process.stderr.isTTY) return;
  const part =
    compiling === null || compiling.all === 0
      ? state
      : `compiling ${compiling.what}, ${Math.floor((compiling.done / compiling.all) * 100)} %`;
  process.stderr.write(`\r\u001b[Krules: ${part}`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}

function printChanged(changed: RulesChangedAnswer, options: OutputOptions): number {
  for (const { path, message } of changed.warnings) process.stderr.write(`warning: ${path}: ${message}\n`);
  process.stdout.write(options.json === true ? jsonText(changed) : formatChanged(changed));
  return EXIT_OK;
}

function formatChanged(changed: RulesChangedAnswer): string {
  const { snapshot, revision, compile, dry_run: isDryRun, rollback_of: rollbackOf } = changed;
  const facts = [snapshot === null ? 'no snapshot' : `snapshot ${snapshot}`];
  if (rollbackOf !== null) facts.push(`with the rules of ${rollbackOf}`);
  facts.push(`${changed.rules} rules`, `revision ${revision}`);
  for (const kind of ['added', 'changed', 'removed', 'moved'] as const) {
    if (changed[kind].length > 0) facts.push(`${changed[kind].length} ${kind}`);
  }
  if (compile !== null) facts.push(`compiled in ${milliseconds(compile.duration_us)}`);
  facts.push(isDryRun ? 'nothing has changed' : `in force after ${milliseconds(changed.effective_us)}`);
  return `rules: ${facts.join(', ')}\n${formatRejudged(changed)}`;
}

function formatRejudged({ reconciled, dry_run: isDryRun }: RulesChangedAnswer): string {
  const { matched, ended, undecided, by_service: byService, sample } = reconciled;
  const count = isDryRun ? matched : ended;
  const lines: string[] = [];
  if (count > 0) {
    const gone = isDryRun
      ? 'would end'
      : `ended, the last gone after ${milliseconds(reconciled.last_gone_us)}`;
    lines.push(`${count} connections ${gone}\n`);
  } else lines.push(isDryRun ? 'no connection would end\n' : 'no connection ended\n');
  if (undecided > 0) lines.push(`${undecided} could not be judged again without a look-up, and stay\n`);
  if (reconciled.superseded) lines.push('a later change took over what was left\n');
  const rows = Object.entries(byService).sort(([, a], [, b]) => b - a);
  if (rows.length > 0) lines.push('\n', formatTable(['SERVICE', 'CONNECTIONS'], rows));
  if (sample.length > 0) lines.push('\n', ...sample.map((id) => `${id}\n`));
  return lines.join('');
}

function milliseconds(us: number): string {
  return `${(us / 1_000).toFixed(us < 10_000 ? 2 : 0)} ms`;
}
