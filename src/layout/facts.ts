// What is known of a connection beyond its slot, for rules to judge: one record a slot, in memory of its own, so that
// connections to addresses never touch it. Its worker writes; the control thread reads the name.

import { defineRecords, i32, words } from '../memory/records.ts';
import type { SnapshotTable } from './rules.ts';

/** 253 bytes of a name (RFC 1035), in words. */
const FACT_NAME_WORDS = 64;

// `waitsFor`: what suspended the matching.
export const WAITS_FOR_NOTHING = 0;
export const WAITS_FOR_PROCESS = 1;
export const WAITS_FOR_EXTERNAL = 2;
export const WAITS_FOR_RESOLUTION = 3;
export const WAITS_FOR_SNIFF = 4;

// `isResolved`.
export const RESOLVED = 1;
export const RESOLVED_IN_VAIN = 2;

/** What a slot's last connection left is cleared when the next one has facts; only its name and its pin go with it. */
export const factsType = defineRecords('Facts', {
  /** Bytes of the target's name; 0: an address, or not known yet. Lower case, without the root's dot. */
  nameBytes: i32,
  /** 1: the target is a name. 0: it has an address, and the name was said beside it (sniffed, TLS server name). */
  isNamed: i32,
  /** PROTOCOL_* (layout/rules.ts). */
  protocol: i32,
  /** Row of the snapshot that a suspended connection pins, + 1; 0: none. */
  pinned: i32,
  /** Rule at which it goes on. */
  cursor: i32,
  /** WAITS_FOR_*; and of judgements, which one. */
  waitsFor: i32,
  external: i32,
  /** Number of its last question. What answers another one is late: since then its target or its rules may have changed. */
  question: i32,
  /** Snapshots that it was matched by, because others came while it waited. */
  rounds: i32,
  /** NEED_* bits that were looked up, and that were in vain: those take the on_timeout of each rule that asks. */
  known: i32,
  inVain: i32,
  /** Of NEED_PROCESS: keyed hashes of program name and path, two words each (0: not found), and the user id if it has one. */
  processName: words(2),
  processPath: words(2),
  userId: i32,
  hasUserId: i32,
  /** By judgement: whether it was given, whether it was yes, and whether nobody could say; and of which snapshot (id). */
  externalsKnown: i32,
  externalsTrue: i32,
  externalsInVain: i32,
  externalsOf: i32,
  /** RESOLVED: the addresses of the name were asked for; while it is not dialled they are in the slot's candidates. */
  isResolved: i32,
  /** Protocols (bits) that its first bytes were looked at for; 1: they came too late. */
  sniffed: i32,
  isSniffLate: i32,
  /** OVERRIDE_* of the rule that routed it, and a hash of what it said; 0: as the client wished. */
  override: i32,
  overrideHash: i32,
  /** What an override took the place of: address (of a resolved name its first) and port. */
  chosen: words(4),
  chosenPort: i32,
  /** Of an override: 1 where the port that is dialled is still the one that the client chose. */
  isPortChosen: i32,
  name: words(FACT_NAME_WORDS),
});

export type FactsTable = ReturnType<typeof factsType.attach>;

/** It asks somebody. @returns the number of the question */
export function nextQuestion(facts: FactsTable, slot: number): number {
  const question = (facts.question(slot) + 1) | 0;
  facts.setQuestion(slot, question);
  return question;
}

/** The connection has ended, or its worker has. Untouched memory stays untouched. */
export function forgetFacts(facts: FactsTable, snapshots: SnapshotTable, slot: number): void {
  unpin(facts, snapshots, slot);
  if (facts.nameBytes(slot) !== 0) facts.setNameBytes(slot, 0);
}

/** It is no longer suspended. */
export function unpin(facts: FactsTable, snapshots: SnapshotTable, slot: number): void {
  const pinned = facts.pinned(slot);
  if (pinned === 0) return;
  facts.setWaitsFor(slot, WAITS_FOR_NOTHING);
  facts.setPinned(slot, 0);
  snapshots.addPins(pinned - 1, -1);
}
