// Why a connection would go where it goes: the rules in their order, what of each was looked at, what matched, and what
// somebody would have had to look up. A look-up that nobody tells the result of counts as failed, so that the explanation
// goes on as the rule's `on_timeout` says. Compiler thread.

import type {
  ExplainedConnection,
  ExplainedRule,
  Explanation,
  RuleComplaint,
} from '../layout/compiler-messages.ts';
import { NEED_PROCESS, ON_TIMEOUT_ALLOW, ON_TIMEOUT_REJECT, PROTOCOL_UNKNOWN } from '../layout/rules.ts';
import { describe } from './explained-connection.ts';
import { judge, newAsking, type Truth } from './interpret.ts';
import type { Beyond } from './items.ts';
import type { Rule, RuleSetRules } from './rule.ts';

/** Rules that did not match, in an answer; those that did are always told. */
const UNMATCHED_TOLD_MAX = 1_000;

export interface ExplainInit {
  readonly snapshotId: number;
  readonly rules: readonly Rule[];
  readonly sets: ReadonlyMap<string, RuleSetRules>;
  readonly beyond: Beyond;
  /** Default: the clock. */
  readonly now?: Date;
}

/** @returns what it would come to, or what is wrong with the question */
export function explain(
  init: ExplainInit,
  written: ExplainedConnection,
): Explanation | readonly RuleComplaint[] {
  const described = describe(written, init.now ?? new Date());
  if (described.mistakes.length > 0) return described.mistakes;
  const { rules, sets, beyond } = init;
  const told: ExplainedRule[] = [];
  const needs = new Set<string>();
  let { connection } = described;
  let unmatched = 0;
  for (const rule of rules) {
    const items: ExplainedRule['items'][number][] = [];
    const look = (item: string, truth: Truth, matched: string) =>
      items.push({ item, result: RESULTS[String(truth)] as Result, ...(matched === '' ? {} : { matched }) });
    const asking = newAsking({ sets, connection, beyond, look });
    const truth = judge(rule.condition, asking);
    if (truth !== false || ++unmatched <= UNMATCHED_TOLD_MAX) {
      told.push({ id: rule.id, path: rule.path, result: RESULTS[String(truth)] as Result, items });
    }
    if (truth === false) continue;
    let need =
      truth === true ? undefined : asking.need === NEED_PROCESS ? 'process' : `external ${asking.external}`;
    if (truth === true && rule.action.kind === 'resolve' && connection.name !== '') {
      need = described.resolved === undefined ? 'resolve' : undefined;
      connection = { ...connection, addresses: described.resolved ?? [] };
    }
    // What is spoken was said from the start, if at all; and a protocol that nobody recognises fails nothing.
    if (truth === true && rule.action.kind === 'sniff' && connection.protocol === PROTOCOL_UNKNOWN) {
      needs.add('sniff');
    }
    if (need !== undefined) needs.add(need);
    const end = need === undefined ? verdictOf(rule) : verdictAtTimeout(rule);
    if (end !== undefined) return { snapshot: init.snapshotId, ...end, needs: [...needs], rules: told };
  }
  return { snapshot: init.snapshotId, ...NOTHING, needs: [...needs], rules: told };
}

type Result = ExplainedRule['result'];
type Verdict = Pick<Explanation, 'rule' | 'action' | 'outbound'>;

const RESULTS: Readonly<Record<string, Result>> = { true: 'match', false: 'no_match', unknown: 'needs' };
/** The service's outbound, or `final`. */
const NOTHING: Verdict = { rule: null, action: 'route', outbound: null };

/** undefined: it ends nothing. */
function verdictOf({ id, action }: Rule): Verdict | undefined {
  if (action.kind === 'reject') return { rule: id, action: 'reject', outbound: null };
  return action.kind === 'route'
    ? { rule: id, action: 'route', outbound: action.outbound ?? null }
    : undefined;
}

function verdictAtTimeout({ id, action, onTimeout }: Rule): Verdict | undefined {
  if (onTimeout === ON_TIMEOUT_REJECT) return { rule: id, action: 'reject', outbound: null };
  if (onTimeout !== ON_TIMEOUT_ALLOW) return undefined;
  return action.kind === 'route' ? { rule: id, action: 'route', outbound: action.outbound ?? null } : NOTHING;
}
