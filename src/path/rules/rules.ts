// Rules: which rule of the snapshot in force is the first that matches, and what it says. Owner worker only.
//
//   snapshot ─► query ─► matcher ─► route, reject ─► verdict
//                  ▲        │  limit: goes on
//                  │        ▼  sniff, resolve, look-ups: known, or the connection waits (suspend.ts)
//                  └──── known now; in vain: the rule's on_timeout
//
// A connection that waited was matched by one snapshot as a whole. If another one has come into force meanwhile it is
// matched by that, from the start, before it goes on: so nobody slips past a change. Who has waited too often by then does
// not wait any more: what the rules in force still want to know of it counts as looked up in vain. The verdict is in `w.route`; the key of
// the rule and the snapshot are in the slot, and the connection stands in the list of that rule.

import {
  nextQuestion,
  RESOLVED_IN_VAIN,
  unpin,
  WAITS_FOR_EXTERNAL,
  WAITS_FOR_PROCESS,
  WAITS_FOR_RESOLUTION,
  WAITS_FOR_SNIFF,
} from '../../layout/facts.ts';
import { LIST_RULE } from '../../layout/lists.ts';
import { LOOK_UP_TIMEOUT, RULE_REJECTED } from '../../layout/reasons.ts';
import {
  ACTION_REJECT,
  ACTION_RESOLVE,
  ACTION_ROUTE,
  ACTION_SNIFF,
  NEED_EXTERNAL,
  NEED_PROCESS,
  NO_SNAPSHOT,
  ON_TIMEOUT_ALLOW,
  ON_TIMEOUT_REJECT,
  RULE_ACTION,
  RULE_KEY,
  RULE_KEY_FINAL,
  RULE_ON_TIMEOUT,
  RULE_WORDS,
  SNAPSHOT_RECORDS_AT,
} from '../../layout/rules.ts';
import { NEEDS, NO_RULE } from '../../match/matcher.ts';
import { aimAnew, hasFacts, hasTargetGone, haveFacts } from '../aim.ts';
import type { DataWorker } from '../data-worker.ts';
import { CONTINUE, WAIT } from '../flags.ts';
import { ask } from './question.ts';
import { resolve } from './resolve.ts';
import { sniff, sniffedInVain, sniffersOf } from './sniff.ts';
import { mayWait, suspend, waitedInVain } from './suspend.ts';
import { DECIDED, IN_VAIN, PASSED_BY } from './verdicts.ts';

/** @returns CONTINUE (`w.route` says where to), WAIT or a retire reason (of RULE_REJECTED `w.route` says how) */
export function rules(w: DataWorker, slot: number): number {
  const inForce = w.tables.machine.snapshot(0);
  w.route.clear();
  if (inForce !== 0 && !w.warming) return match(w, slot, inForce - 1, 0);
  if (inForce !== 0) rehearse(w, slot, inForce - 1);
  decide(w, slot, RULE_KEY_FINAL, NO_SNAPSHOT);
  return CONTINUE;
}

/** A worker that warms up asks the rules that are there, so that their code is compiled, and does as if there were none. */
function rehearse(w: DataWorker, slot: number, row: number): void {
  ask(w, slot, w.tables.snapshots.id(row));
  w.matcher.match(w.tables.snapshots.at(row), w.query, 0);
}

/** It has waited, and what it waited for is known, or it never will be. @returns as `rules` */
export function resumeRules(w: DataWorker, slot: number): number {
  const { facts, tables } = w;
  let row = facts.pinned(slot) - 1;
  w.route.clear();
  if (hasTargetGone(w, slot)) {
    const aimed = aimAnew(w, slot);
    if (aimed !== CONTINUE) return aimed;
    facts.setCursor(slot, 0);
  }
  let answer = match(w, slot, row, facts.cursor(slot));
  while (answer === CONTINUE || isVerdict(answer)) {
    const inForce = tables.machine.snapshot(0);
    if (inForce === row + 1) break;
    facts.setRounds(slot, facts.rounds(slot) + 1);
    takeBack(w, slot);
    row = inForce - 1;
    answer = rules(w, slot);
  }
  if (answer !== WAIT) unpin(facts, tables.snapshots, slot);
  return answer;
}

/** What it waited for has not come in time. @returns as `rules` */
export function resumeInVain(w: DataWorker, slot: number): number {
  const { facts } = w;
  switch (facts.waitsFor(slot)) {
    case WAITS_FOR_SNIFF:
      sniffedInVain(w, slot, waitingRecord(w, slot));
      break;
    case WAITS_FOR_RESOLUTION:
      facts.setIsResolved(slot, RESOLVED_IN_VAIN);
      break;
    default:
      waitedInVain(w, slot);
  }
  return resumeRules(w, slot);
}

/** The record of the rule at which it waits. */
export function waitingRecord(w: DataWorker, slot: number): number {
  return recordOf(w, w.facts.pinned(slot) - 1, w.facts.cursor(slot));
}

function recordOf(w: DataWorker, row: number, rule: number): number {
  const at = w.tables.snapshots.at(row);
  return (w.tables.rules[at + SNAPSHOT_RECORDS_AT] as number) + rule * RULE_WORDS;
}

function match(w: DataWorker, slot: number, row: number, from: number): number {
  const { matcher, query, tables } = w;
  const at = tables.snapshots.at(row);
  const id = tables.snapshots.id(row);
  if (hasFacts(w, slot)) judgementsOf(w, slot, id);
  ask(w, slot, id);
  for (let rule = from; ; rule++) {
    const found = matcher.match(at, query, rule);
    if (found === NO_RULE) {
      decide(w, slot, RULE_KEY_FINAL, id);
      return CONTINUE;
    }
    rule = found === NEEDS ? matcher.rule : found;
    const record = recordOf(w, row, rule);
    let answer = found === NEEDS ? lookUp(w, slot, row, rule, record) : act(w, slot, row, rule, record);
    if (answer === IN_VAIN) answer = onTimeout(w, record);
    if (answer === DECIDED) {
      decide(w, slot, tables.rules[record + RULE_KEY] as number, id);
      w.route.read(tables.rules, record);
      return CONTINUE;
    }
    if (answer === PASSED_BY) continue;
    if (isVerdict(answer)) {
      w.table.setRule(slot, tables.rules[record + RULE_KEY] as number);
      w.table.setSnapshot(slot, id);
      w.route.read(tables.rules, record);
    }
    return answer;
  }
}

/** Judgements are numbered within a snapshot: those of another one say nothing here. */
function judgementsOf(w: DataWorker, slot: number, id: number): void {
  const { facts } = w;
  if (facts.externalsOf(slot) === id) return;
  facts.setExternalsOf(slot, id);
  facts.setExternalsKnown(slot, 0);
  facts.setExternalsTrue(slot, 0);
  facts.setExternalsInVain(slot, 0);
}

/** A refusal that a rule has spoken. */
function isVerdict(answer: number): boolean {
  return answer === RULE_REJECTED || answer === LOOK_UP_TIMEOUT;
}

/** Carries out the action of a rule that matches. @returns DECIDED, PASSED_BY, WAIT, IN_VAIN or a retire reason */
function act(w: DataWorker, slot: number, row: number, rule: number, record: number): number {
  let answer: number;
  switch (w.tables.rules[record + RULE_ACTION]) {
    case ACTION_ROUTE:
      return DECIDED;
    case ACTION_REJECT:
      return RULE_REJECTED;
    case ACTION_SNIFF:
      if (!mayWait(w, slot)) sniffedTooOften(w, slot, record);
      answer = sniff(w, slot, row, rule, record);
      break;
    case ACTION_RESOLVE:
      answer = resolve(w, slot, row, rule, record);
      break;
    default:
      return PASSED_BY;
  }
  if (answer !== CONTINUE && answer !== IN_VAIN) return answer;
  // What was found out counts for the rules behind it, also where it was not all.
  ask(w, slot, w.tables.snapshots.id(row));
  return answer === CONTINUE ? PASSED_BY : IN_VAIN;
}

/** What has not been looked for yet will not be. */
function sniffedTooOften(w: DataWorker, slot: number, record: number): void {
  if ((sniffersOf(w, record) & ~w.facts.sniffed(slot)) !== 0) sniffedInVain(w, slot, record);
}

/** The rule needs metadata: asks for it, unless that was in vain before, or has to be by now. @returns WAIT or IN_VAIN */
function lookUp(w: DataWorker, slot: number, row: number, rule: number, record: number): number {
  const { facts, matcher } = w;
  const { need, external } = matcher;
  haveFacts(w, slot);
  judgementsOf(w, slot, w.tables.snapshots.id(row));
  const inVain =
    need === NEED_EXTERNAL
      ? facts.externalsInVain(slot) & (1 << external)
      : facts.inVain(slot) & NEED_PROCESS;
  if (inVain !== 0 || !mayWait(w, slot)) return IN_VAIN;
  facts.setExternal(slot, external);
  suspend(w, slot, row, rule, record, need === NEED_EXTERNAL ? WAITS_FOR_EXTERNAL : WAITS_FOR_PROCESS);
  const generation = w.table.generation(slot);
  const question = nextQuestion(facts, slot);
  w.mailbox.post({ kind: 'look_up', slot, generation, question, need, external, snapshotRow: row });
  return WAIT;
}

/** @returns PASSED_BY, DECIDED or a retire reason */
export function onTimeout(w: DataWorker, record: number): number {
  switch (w.tables.rules[record + RULE_ON_TIMEOUT]) {
    case ON_TIMEOUT_REJECT:
      return LOOK_UP_TIMEOUT;
    case ON_TIMEOUT_ALLOW:
      return DECIDED;
    default:
      return PASSED_BY;
  }
}

/** Which rule decided, in which snapshot. From here on a change of that rule finds the connection. */
function decide(w: DataWorker, slot: number, key: number, snapshot: number): void {
  w.table.setRule(slot, key);
  w.table.setSnapshot(slot, snapshot);
  if (w.isIndexed) w.lists.link(LIST_RULE, key, slot);
}

/** The verdict was one of rules that are no longer in force. */
function takeBack(w: DataWorker, slot: number): void {
  if (w.isIndexed && w.lists.isLinked(LIST_RULE, slot)) w.lists.unlink(LIST_RULE, w.table.rule(slot), slot);
  w.table.setRule(slot, -1);
}
