// The action `sniff`: looks at what the client says first, to know what it speaks and which name it says. A client whose
// protocol waits for an answer gets it before (and never again). The bytes stay in the socket. Where the server speaks
// first nothing comes until the rule's deadline. Owner worker only.

import { WAITS_FOR_SNIFF } from '../../layout/facts.ts';
import { CLIENT_CLOSED, CLIENT_RESET } from '../../layout/reasons.ts';
import { PROTOCOL_NAMES, RULE_SNIFFERS } from '../../layout/rules.ts';
import { CLIENT } from '../../layout/slot.ts';
import { haveFacts, keepName } from '../aim.ts';
import { sayOpen } from '../answer.ts';
import { HEAD_BYTES_MAX } from '../data-worker.ts';
import type { DataWorker } from '../data-worker.ts';
import { CONTINUE, ENDING, WAIT } from '../flags.ts';
import { HOST_NAME } from '../identify/parsed.ts';
import { peekHead } from '../identify/peek.ts';
import { knowsProtocol } from './question.ts';
import { recognise, UNDECIDED } from './recognise.ts';
import { suspend } from './suspend.ts';
import { IN_VAIN } from './verdicts.ts';

const ALL = (1 << PROTOCOL_NAMES.length) - 1;

/** Of the rule whose record this is. @returns CONTINUE (go on behind it), WAIT, IN_VAIN or a retire reason */
export function sniff(w: DataWorker, slot: number, row: number, rule: number, record: number): number {
  if (knowsProtocol(w, slot)) return CONTINUE;
  haveFacts(w, slot);
  const wanted = sniffersOf(w, record);
  if ((wanted & ~w.facts.sniffed(slot)) === 0) return w.facts.isSniffLate(slot) === 1 ? IN_VAIN : CONTINUE;
  if (!sayOpen(w, slot)) return CLIENT_RESET;
  const looked = look(w, slot, wanted);
  if (looked !== WAIT) return looked;
  return suspend(w, slot, row, rule, record, WAITS_FOR_SNIFF);
}

/** The client has said more, and a rule waits for it. @returns CONTINUE (its rules can go on), WAIT or a retire reason */
export function sniffOn(w: DataWorker, slot: number, record: number): number {
  const looked = look(w, slot, sniffersOf(w, record));
  return looked === IN_VAIN ? CONTINUE : looked;
}

/** The deadline of the rule has come. */
export function sniffedInVain(w: DataWorker, slot: number, record: number): void {
  w.facts.setSniffed(slot, w.facts.sniffed(slot) | sniffersOf(w, record));
  w.facts.setIsSniffLate(slot, 1);
}

export function sniffersOf(w: DataWorker, record: number): number {
  const sniffers = w.tables.rules[record + RULE_SNIFFERS] as number;
  return sniffers === 0 ? ALL : sniffers;
}

function look(w: DataWorker, slot: number, wanted: number): number {
  const { facts, parsed } = w;
  const length = peekHead(w, slot);
  if (length < 0 && length !== -CLIENT_CLOSED) return -length;
  // Its FIN is in: what is there is all.
  const isAll = length < 0 || length >= HEAD_BYTES_MAX || (w.table.flags(slot) & (ENDING << CLIENT)) !== 0;
  if (length <= 0 && !isAll) return WAIT;
  let protocol = length > 0 ? recognise(w.head, length, wanted, parsed) : UNDECIDED;
  if (protocol === UNDECIDED) {
    if (!isAll) return WAIT;
    protocol = 0;
  }
  facts.setSniffed(slot, facts.sniffed(slot) | wanted);
  facts.setIsSniffLate(slot, length <= 0 ? 1 : 0);
  facts.setProtocol(slot, protocol);
  // What the client asked for by name keeps that name.
  if (protocol !== 0 && parsed.hostKind === HOST_NAME && facts.nameBytes(slot) === 0) keepName(w, slot);
  return length <= 0 ? IN_VAIN : CONTINUE;
}
