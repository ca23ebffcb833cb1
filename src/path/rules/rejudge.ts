// Rejudgement: what rules would say of a connection that they (or others) have let through before. Nobody is asked and
// nothing is waited for: it is judged by what is known of it. What can't be known any more counts as looked up in vain, as
// far as a rule's on_timeout says skip or allow; where a rule needs metadata that nobody has looked up, the verdict is
// undecided and the connection stays. Owner worker only; control rate.

import { RESOLVED, RESOLVED_IN_VAIN } from '../../layout/facts.ts';
import { LIST_RULE } from '../../layout/lists.ts';
import { REJUDGE_ALL } from '../../layout/messages.ts';
import { LOOK_UP_TIMEOUT, RULE_CHANGED, RULE_REJECTED } from '../../layout/reasons.ts';
import {
  ACTION_REJECT,
  ACTION_RESOLVE,
  ACTION_ROUTE,
  ACTION_SNIFF,
  NEED_EXTERNAL,
  NO_SNAPSHOT,
  OVERRIDE_NONE,
  RULE_ACTION,
  RULE_WORDS,
  SNAPSHOT_RECORDS_AT,
} from '../../layout/rules.ts';
import { SLOT_LINGERING, SLOT_SILENT, SLOT_WAITING } from '../../layout/slot.ts';
import { NEEDS, NO_RULE } from '../../match/matcher.ts';
import { hasFacts } from '../aim.ts';
import type { DataWorker } from '../data-worker.ts';
import { defaultOutbound } from '../route.ts';
import { ask, knowsProtocol } from './question.ts';
import { onTimeout } from './rules.ts';
import { sniffersOf } from './sniff.ts';
import { waitsFor } from './suspend.ts';
import { DECIDED, IN_VAIN, PASSED_BY } from './verdicts.ts';

/** It goes on as it is. */
const STAYS = 0;
/** Nobody can say without asking somebody; it goes on. */
export const UNDECIDED = -1;

/**
 * @param row    of the snapshot that judges; -1: there are no rules
 * @param mode   REJUDGE_REJECT or REJUDGE_ALL
 * @param isDry  nothing changes; else a connection stands under the rule that lets it, or because of which it ends
 * @returns STAYS, UNDECIDED or a retire reason
 */
export function rejudge(w: DataWorker, slot: number, row: number, mode: number, isDry: boolean): number {
  const { route, tables } = w;
  if (!isJudged(w, slot)) return STAYS;
  const id = row < 0 ? NO_SNAPSHOT : tables.snapshots.id(row);
  route.clear();
  let verdict = row < 0 ? STAYS : judge(w, slot, row, id);
  if (verdict === STAYS && mode === REJUDGE_ALL && isElsewhere(w, slot)) verdict = RULE_CHANGED;
  if (!isDry && verdict !== UNDECIDED) standUnder(w, slot, route.key, id);
  return verdict;
}

/** Those that have not come so far, and those that wait in their rules, are judged by the rules in force then. */
function isJudged(w: DataWorker, slot: number): boolean {
  const table = w.table;
  const state = table.state(slot);
  if (state === SLOT_LINGERING || state === SLOT_SILENT || table.rule(slot) < 0) return false;
  return state !== SLOT_WAITING || waitsFor(w, slot) === 0;
}

/** What the rule says that decides is in `w.route`. @returns STAYS, RULE_REJECTED or UNDECIDED (only an answer could tell) */
function judge(w: DataWorker, slot: number, row: number, id: number): number {
  const { matcher, query, tables } = w;
  const at = tables.snapshots.at(row);
  const records = tables.rules[at + SNAPSHOT_RECORDS_AT] as number;
  ask(w, slot, id);
  for (let rule = 0; ; rule++) {
    const found = matcher.match(at, query, rule);
    if (found === NO_RULE) return STAYS;
    rule = found === NEEDS ? matcher.rule : found;
    const record = records + rule * RULE_WORDS;
    let answer = found === NEEDS ? needed(w, slot, id) : act(w, slot, record);
    if (answer === IN_VAIN) answer = onTimeout(w, record);
    if (answer === PASSED_BY) continue;
    // To refuse it for what it was never asked would be a guess.
    if (answer === UNDECIDED || answer === LOOK_UP_TIMEOUT) return UNDECIDED;
    w.route.read(tables.rules, record);
    return answer === DECIDED ? STAYS : answer;
  }
}

function needed(w: DataWorker, slot: number, id: number): number {
  if (!hasFacts(w, slot)) return UNDECIDED;
  const { facts, matcher } = w;
  if (matcher.need !== NEED_EXTERNAL) return (facts.inVain(slot) & matcher.need) !== 0 ? IN_VAIN : UNDECIDED;
  const isInVain = (facts.externalsInVain(slot) & (1 << matcher.external)) !== 0;
  return isInVain && facts.externalsOf(slot) === id ? IN_VAIN : UNDECIDED;
}

function act(w: DataWorker, slot: number, record: number): number {
  switch (w.tables.rules[record + RULE_ACTION]) {
    case ACTION_ROUTE:
      return DECIDED;
    case ACTION_REJECT:
      return RULE_REJECTED;
    case ACTION_SNIFF:
      return sniffed(w, slot, record);
    case ACTION_RESOLVE:
      return resolved(w, slot);
    default:
      return PASSED_BY;
  }
}

/** Its first bytes have gone: what was not looked for then can't be found now. */
function sniffed(w: DataWorker, slot: number, record: number): number {
  if (!hasFacts(w, slot) || w.facts.isSniffLate(slot) === 1) return IN_VAIN;
  if (knowsProtocol(w, slot)) return PASSED_BY;
  return (sniffersOf(w, record) & ~w.facts.sniffed(slot)) === 0 ? PASSED_BY : IN_VAIN;
}

/** Of a name that no rule has had resolved, the address that was dialled is known, unless that is another target's. */
function resolved(w: DataWorker, slot: number): number {
  const { facts, query, table } = w;
  if (!hasFacts(w, slot) || facts.isNamed(slot) === 0 || facts.isResolved(slot) === RESOLVED)
    return PASSED_BY;
  if (facts.isResolved(slot) === RESOLVED_IN_VAIN) return IN_VAIN;
  if (table.state(slot) === SLOT_WAITING || facts.override(slot) !== OVERRIDE_NONE) return UNDECIDED;
  for (let word = 0; word < 4; word++) query.addresses[word] = table.target(slot, word);
  query.addressesCount = 1;
  return PASSED_BY;
}

/** Whether `w.route` leads elsewhere than the connection goes. */
function isElsewhere(w: DataWorker, slot: number): boolean {
  const { route, table } = w;
  const isChosen = route.outbound >= 0;
  const index = isChosen ? route.outbound : defaultOutbound(w, slot);
  const generation = isChosen ? route.outboundGeneration : w.outbounds[index]?.definition.generation;
  if (index !== table.outbound(slot) || generation !== table.outboundGeneration(slot)) return true;
  return route.overrideHash() !== (hasFacts(w, slot) ? w.facts.overrideHash(slot) : 0);
}

/** The list of the rule that decides now has it: the next change of that rule finds it there, or its receipt names it. */
function standUnder(w: DataWorker, slot: number, key: number, snapshot: number): void {
  const { lists, table } = w;
  const before = table.rule(slot);
  table.setSnapshot(slot, snapshot);
  if (key === before) return;
  const isLinked = w.isIndexed && lists.isLinked(LIST_RULE, slot);
  if (isLinked) lists.unlink(LIST_RULE, before, slot);
  table.setRule(slot, key);
  if (isLinked) lists.link(LIST_RULE, key, slot);
}
