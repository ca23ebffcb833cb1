// A connection whose rules want to know something that is not at hand waits for it, under the deadline of the rule that
// asks: it pins the snapshot that it is matched by, and goes on at that rule. Owner worker only.
//
//   rules ── needs ──► SLOT_WAITING, snapshot pinned ── answer, first bytes or deadline ──► rules, from the same rule on

import { unpin, WAITS_FOR_EXTERNAL, WAITS_FOR_NOTHING, WAITS_FOR_PROCESS } from '../../layout/facts.ts';
import type { ControlMessage } from '../../layout/messages.ts';
import { NEED_EXTERNAL, NEED_PROCESS, RULE_TIMEOUT_MS } from '../../layout/rules.ts';
import { SLOT_WAITING } from '../../layout/slot.ts';
import { hasFacts, haveFacts } from '../aim.ts';
import type { DataWorker } from '../data-worker.ts';
import { WAIT } from '../flags.ts';

/** Of a connection that waited: how often it is matched anew, and may wait again, because others came into force. */
const ROUNDS_MAX = 3;

type LookedUp = Extract<ControlMessage, { kind: 'looked_up' }>;

/** What the connection waits for in its rules: WAITS_FOR_*. */
export function waitsFor(w: DataWorker, slot: number): number {
  return hasFacts(w, slot) ? w.facts.waitsFor(slot) : WAITS_FOR_NOTHING;
}

/** Whether its rules may still keep it waiting: not once more than ROUNDS_MAX others came into force while they did. */
export function mayWait(w: DataWorker, slot: number): boolean {
  return !hasFacts(w, slot) || w.facts.rounds(slot) <= ROUNDS_MAX;
}

/**
 * Waits at a rule, for as long as that allows.
 * @param row    of the snapshot that it stands in
 * @param record of the rule, in the arena
 * @param reason WAITS_FOR_*
 */
export function suspend(
  w: DataWorker,
  slot: number,
  row: number,
  rule: number,
  record: number,
  reason: number,
): number {
  haveFacts(w, slot);
  const { facts } = w;
  if (facts.pinned(slot) !== row + 1) {
    unpin(facts, w.tables.snapshots, slot);
    w.tables.snapshots.addPins(row, 1);
    facts.setPinned(slot, row + 1);
  }
  facts.setCursor(slot, rule);
  facts.setWaitsFor(slot, reason);
  w.table.setState(slot, SLOT_WAITING);
  w.reactor.wheel.arm(slot, (w.reactor.nowTick + ruleMs(w, record)) | 0);
  return WAIT;
}

/** What a look-up of a rule may take. */
export function ruleMs(w: DataWorker, record: number): number {
  return Math.max(1, w.tables.rules[record + RULE_TIMEOUT_MS] as number);
}

/** What it waited for will not come, or came to nothing: its rules must not wait for that again. */
export function waitedInVain(w: DataWorker, slot: number): void {
  const { facts } = w;
  if (facts.waitsFor(slot) === WAITS_FOR_PROCESS) facts.setInVain(slot, facts.inVain(slot) | NEED_PROCESS);
  else if (facts.waitsFor(slot) === WAITS_FOR_EXTERNAL)
    facts.setExternalsInVain(slot, facts.externalsInVain(slot) | (1 << facts.external(slot)));
}

/**
 * Takes over what the control thread found out.
 * @returns false where the connection does not wait for this (any more)
 */
export function takeAnswer(w: DataWorker, slot: number, answer: LookedUp): boolean {
  const { facts } = w;
  const isProcess = answer.need === NEED_PROCESS;
  if (!isProcess && answer.need !== NEED_EXTERNAL) return false;
  if (waitsFor(w, slot) !== (isProcess ? WAITS_FOR_PROCESS : WAITS_FOR_EXTERNAL)) return false;
  if (answer.question !== facts.question(slot)) return false;
  if (!answer.found) {
    waitedInVain(w, slot);
  } else if (isProcess) {
    for (let word = 0; word < 2; word++) {
      facts.setProcessName(slot, word, answer.processName[word] as number);
      facts.setProcessPath(slot, word, answer.processPath[word] as number);
    }
    facts.setUserId(slot, answer.userId | 0);
    facts.setHasUserId(slot, answer.userId === -1 ? 0 : 1);
    facts.setKnown(slot, facts.known(slot) | NEED_PROCESS);
  } else {
    const bit = 1 << answer.external;
    facts.setExternalsKnown(slot, facts.externalsKnown(slot) | bit);
    if (answer.isTrue) facts.setExternalsTrue(slot, facts.externalsTrue(slot) | bit);
  }
  return true;
}
