// `sluice rules`: what decides about connections, in the order in which it is asked; the snapshots that it was compiled
// into, and the rule sets that it refers to.

import { stringify } from 'yaml';
import type { RulesAnswer, RuleSetAnswer, SnapshotAnswer } from '../api/rule-schemas.ts';
import { type Answer, ask, CommandFailure, type DaemonOptions } from './client.ts';
import { EXIT_NOTHING } from './exit-codes.ts';
import { jsonText, type OutputOptions, printAnswer, printRefusal } from './refusal.ts';
import { formatAge, formatBytes, formatTable } from './table.ts';
import { showOrWatch, type WatchOptions } from './watch.ts';

/** Of what a rule says, so much as fits beside the rest on a wide terminal. */
const CONDITIONS_SHOWN_MAX = 60;
const WORD_BYTES = 4;
/** Everything else in a rule is a condition. */
const NO_CONDITIONS = new Set([
  'id',
  'action',
  'method',
  'outbound',
  'override_address',
  'override_port',
  'gate',
  'rate',
  'sniffer',
  'timeout',
  'on_timeout',
]);

type ListedRule = RulesAnswer['rules'][number];

interface ListOptions extends DaemonOptions, WatchOptions {
  readonly owner?: string;
  /** Ids only, one a line: for scripts, and for the completion. */
  readonly names?: boolean;
}

/** Whole lists that are begun anew because the rules have changed between two pages. */
const LIST_TRIES = 5;

/** All pages as one, of one snapshot; or what was answered instead. */
async function askForRules(options: ListOptions, tries = 1): Promise<Answer> {
  const rules: ListedRule[] = [];
  let snapshot: number | null | undefined;
  for (let cursor: string | undefined; ; ) {
    const query = new URLSearchParams();
    if (options.owner !== undefined) query.set('owner', options.owner);
    if (cursor !== undefined) query.set('cursor', cursor);
    const path = query.size === 0 ? '/v1/rules' : `/v1/rules?${query}`;
    const answer = await ask({ method: 'GET', path }, options);
    if (answer.status !== 200) return answer;
    const page = answer.body as RulesAnswer;
    snapshot ??= page.snapshot;
    if (page.snapshot !== snapshot && tries < LIST_TRIES) return askForRules(options, tries + 1);
    rules.push(...page.rules);
    if (typeof page.next !== 'string') return { ...answer, body: { ...page, rules } };
    cursor = page.next;
  }
}

export function listRulesCommand(options: ListOptions): Promise<number> {
  return showOrWatch(options, async () => {
    const answer = await askForRules(options);
    if (answer.status !== 200) return printRefusal(answer, options);
    const rules = answer.body as RulesAnswer;
    if (options.json === true) return jsonText(rules);
    if (options.names === true) return rules.rules.map(({ id }) => `${id}\n`).join('');
    return formatRules(rules);
  });
}

function formatRules({ rules, final, final_connections: finalConnections, ...rest }: RulesAnswer): string {
  const head = ['POSITION', 'RULE', 'OWNER', 'ACTION', 'OUTBOUND', 'CONNECTIONS', 'CONDITIONS'];
  const rows = rules.map((rule) => [
    rule.position,
    rule.id,
    rule.owner,
    rule.action,
    typeof rule.rule['outbound'] === 'string' ? rule.rule['outbound'] : '-',
    rule.connections,
    conditionsOf(rule),
  ]);
  const table = rows.length === 0 ? '' : `${formatTable(head, rows)}\n`;
  const snapshot = rest.snapshot === null ? 'no snapshot' : `snapshot ${rest.snapshot}`;
  return `${table}final: ${final} (${finalConnections} connections); ${snapshot}, revision ${rest.revision}\n`;
}

function conditionsOf({ rule }: ListedRule): string {
  const words = Object.entries(rule)
    .filter(([key]) => !NO_CONDITIONS.has(key))
    .map(
      ([key, value]) => `${key}=${Array.isArray(value) ? value.map(shortText).join(',') : shortText(value)}`,
    );
  const text = words.length === 0 ? 'everything' : words.join(' ');
  return text.length > CONDITIONS_SHOWN_MAX ? `${text.slice(0, CONDITIONS_SHOWN_MAX)}...` : text;
}

function shortText(value: unknown): string {
  return typeof value === 'object' ? '{...}' : String(value);
}

/** One rule as it was written, and what the daemon adds. */
export async function showRuleCommand(id: string, options: DaemonOptions & OutputOptions): Promise<number> {
  const query = new URLSearchParams({ id });
  const answer = await ask({ method: 'GET', path: `/v1/rules?${query}` }, options);
  const [rule] = answer.status === 200 ? (answer.body as RulesAnswer).rules : [];
  if (answer.status === 200 && rule === undefined) {
    throw new CommandFailure(EXIT_NOTHING, `there is no rule "${id}"`);
  }
  return printAnswer({ status: answer.status, body: rule ?? answer.body }, options, () => stringify(rule));
}

export function listSnapshotsCommand(options: DaemonOptions & WatchOptions): Promise<number> {
  return showOrWatch(options, async () => {
    const answer = await ask({ method: 'GET', path: '/v1/rules/snapshots' }, options);
    if (answer.status !== 200) return printRefusal(answer, options);
    if (options.json === true) return jsonText(answer.body);
    const { snapshots } = answer.body as { snapshots: readonly SnapshotAnswer[] };
    const head = [
      'SNAPSHOT',
      'STATE',
      'FROM',
      'RULES',
      'SETS',
      'MEMORY',
      'PINS',
      'COMPILED',
      'IN FORCE',
      'BACK',
    ];
    const rows = snapshots.map((snapshot) => [
      snapshot.id,
      snapshot.state,
      snapshot.rollback_of === null ? snapshot.cause : `rollback of ${snapshot.rollback_of}`,
      snapshot.rules,
      snapshot.sets.length,
      formatBytes(snapshot.words * WORD_BYTES),
      snapshot.pins,
      snapshot.compile_us === null ? '-' : `${(snapshot.compile_us / 1_000).toFixed(1)} ms`,
      inForceFor(snapshot),
      snapshot.can_roll_back ? 'yes' : 'no',
    ]);
    return formatTable(head, rows);
  });
}

/** How long it was, or has been, what decided. */
function inForceFor({ published_at: from, retired_at: to }: SnapshotAnswer): string {
  if (from === null) return '-';
  return formatAge((to === null ? Date.now() : Date.parse(to)) - Date.parse(from));
}

export function listRuleSetsCommand(options: DaemonOptions & WatchOptions): Promise<number> {
  return showOrWatch(options, async () => {
    const answer = await ask({ method: 'GET', path: '/v1/rule-sets' }, options);
    if (answer.status !== 200) return printRefusal(answer, options);
    if (options.json === true) return jsonText(answer.body);
    return formatRuleSets((answer.body as { rule_sets: readonly RuleSetAnswer[] }).rule_sets);
  });
}

export function formatRuleSets(sets: readonly RuleSetAnswer[]): string {
  const head = [
    'RULE SET',
    'STATE',
    'FORMAT',
    'DOMAINS',
    'NETWORKS',
    'RULES',
    'MEMORY',
    'CHECKED',
    'FAILURES',
    'FROM',
  ];
  const rows = sets.map((set) => [
    set.tag,
    set.state,
    set.format,
    set.domains,
    set.networks,
    set.rules,
    formatBytes(set.words * WORD_BYTES),
    set.last_ok_at === null ? 'never' : `${formatAge(Date.now() - Date.parse(set.last_ok_at))} ago`,
    set.failures,
    set.from,
  ]);
  const errors = sets.flatMap(({ tag, error }) => (error === null ? [] : [`${tag}: ${error}\n`]));
  return formatTable(head, rows) + (errors.length === 0 ? '' : `\n${errors.join('')}`);
}
