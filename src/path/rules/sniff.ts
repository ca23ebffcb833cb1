// The action `sniff`: looks at what the client says first, to know what it speaks and which name it says. A client whose
// protocol waits for an answer gets it before (and never again). The bytes stay in the socket. Where the server speaks
// first nothing comes until the rule's deadline. Whoever has begun to speak one of the protocols by then, and no more, is
// late as well, so that nobody is let through by speaking slowly; what is known of it so far counts. Owner worker only.

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
import { protocolSoFar, recognise, UNDECIDED } from './recognise.ts';
import { suspend } from './suspend.ts';
import { IN_VAIN } from './verdicts.ts';

const ALL = (1 << PROTOCOL_NAMES.length) - 1;

/** Of the rule whose record this is. @returns CONTINUE (go on behind it), WAIT, IN_VAIN or a retire reason */
export function sniff(w: DataWorker, slot: number, row: number, rule: number, record: number): number {
  haveFacts(w, slot);
  const wanted = sniffersOf(w, record);
  if (knowsProtocol(w, slot) || (wanted & ~w.facts.sniffed(slot)) === 0)
    return w.facts.isSniffLate(slot) === 1 ? IN_VAIN : CONTINUE;
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
  if (knowsProtocol(w, slot)) return;
  const wanted = sniffersOf(w, record);
  const length = peekHead(w, slot);
  const found = length > 0 ? recognise(w.head, length, wanted, w.parsed) : UNDECIDED;
  keep(w, slot, wanted, found, found < 0);
}

export function sniffersOf(w: DataWorker, record: number): number {
  const sniffers = w.tables.rules[record + RULE_SNIFFERS] as number;
  return sniffers === 0 ? ALL : sniffers;
}

function look(w: DataWorker, slot: number, wanted: number): number {
  const length = peekHead(w, slot);
  if (length < 0 && length !== -CLIENT_CLOSED) return -length;
  const isFull = length >= HEAD_BYTES_MAX;
  // Its FIN is in: what is there is all.
  const isAll = length < 0 || isFull || (w.table.flags(slot) & (ENDING << CLIENT)) !== 0;
  const found = length > 0 ? recognise(w.head, length, wanted, w.parsed) : UNDECIDED;
  if (found < 0 && !isAll) return WAIT;
  // Nobody can say what goes on beyond what can be looked at.
  const isInVain = length <= 0 || (isFull && found < 0);
  keep(w, slot, wanted, found, isInVain);
  return isInVain ? IN_VAIN : CONTINUE;
}

function keep(w: DataWorker, slot: number, wanted: number, found: number, isLate: boolean): void {
  const { facts } = w;
  const protocol = protocolSoFar(found);
  facts.setSniffed(slot, facts.sniffed(slot) | wanted);
  // Of an earlier rule, for other protocols, it stays so until one is known.
  if (isLate || found > 0) facts.setIsSniffLate(slot, isLate ? 1 : 0);
  facts.setProtocol(slot, protocol);
  // What the client asked for by name keeps that name.
  if (found > 0 && w.parsed.hostKind === HOST_NAME && facts.nameBytes(slot) === 0) keepName(w, slot);
}
