// What is known of a connection beyond its slot, for rules to judge: one record a slot, in memory of its own, so that
// connections to addresses never touch it. Its worker writes; the control thread reads the name.

import { defineRecords, i32, words } from '../memory/records.ts';

/** 253 bytes of a name (RFC 1035), in words. */
export const FACT_NAME_WORDS = 64;

// `waitsFor`: what suspended the matching.
export const WAITS_FOR_NOTHING = 0;
export const WAITS_FOR_PROCESS = 1;
export const WAITS_FOR_EXTERNAL = 2;
export const WAITS_FOR_RESOLUTION = 3;
export const WAITS_FOR_SNIFF = 4;

export const factsType = defineRecords('Facts', {
  /** Bytes of the target's name; 0: an address, or not known yet. Lower case, without the root's dot. */
  nameBytes: i32,
  /** PROTOCOL_* (layout/rules.ts). */
  protocol: i32,
  /** Row of the snapshot that a suspended connection pins; -1: none. */
  pinned: i32,
  /** Rule at which it goes on. */
  cursor: i32,
  /** WAITS_FOR_*. */
  waitsFor: i32,
  /** NEED_* bits that were looked up, also in vain. */
  known: i32,
  /** Of NEED_PROCESS: keyed hashes of program name and path, two words each (0: not found), and the user id (-1). */
  processName: words(2),
  processPath: words(2),
  userId: i32,
  /** By judgement: whether it was given, and whether it was yes. */
  externalsKnown: i32,
  externalsTrue: i32,
  /** 1: the addresses of the name are in the slot's candidates. */
  isResolved: i32,
  name: words(FACT_NAME_WORDS),
});

export type FactsTable = ReturnType<typeof factsType.attach>;
