// Aim: what the connection is to go to is written down where it outlasts the call: address and port in the slot, a name in
// its facts. From here on nobody needs `w.parsed`, so that the connection may wait. Owner worker only.

import { INBOUND_FORWARD, INBOUND_SNI } from '../layout/messages.ts';
import { SERVICE_REMOVED } from '../layout/reasons.ts';
import { NO_SNAPSHOT, PROTOCOL_HTTP, PROTOCOL_TLS } from '../layout/rules.ts';
import { TARGET_NAME, TARGET_UNIX } from '../layout/service.ts';
import type { DataWorker } from './data-worker.ts';
import { CONTINUE, HAS_FACTS, STEP_HTTP_FORWARD_HEAD, UNIX_TARGET } from './flags.ts';
import { HOST_NAME } from './identify/parsed.ts';
import { dropCandidates } from './retire.ts';

/** Whether anything is known of it beside its slot. */
export function hasFacts(w: DataWorker, slot: number): boolean {
  return (w.table.flags(slot) & HAS_FACTS) !== 0;
}

/** From here on its facts are its own. */
export function haveFacts(w: DataWorker, slot: number): void {
  const flags = w.table.flags(slot);
  if ((flags & HAS_FACTS) !== 0) return;
  w.facts.clear(slot);
  w.table.setFlags(slot, flags | HAS_FACTS);
}

/** `identify` has just said CONTINUE: what it found in this call is kept. */
export function aim(w: DataWorker, slot: number): void {
  const table = w.table;
  const parsed = w.parsed;
  if (table.targetIndex(slot) >= 0) {
    if (w.inbounds[table.inbound(slot)]?.type === INBOUND_SNI) {
      haveFacts(w, slot);
      keepName(w, slot);
      w.facts.setProtocol(slot, PROTOCOL_TLS);
    }
    aimAtRecord(w, slot);
    return;
  }
  table.setTargetPort(slot, parsed.port);
  if (parsed.hostKind === HOST_NAME) {
    haveFacts(w, slot);
    keepName(w, slot);
    w.facts.setIsNamed(slot, 1);
  } else {
    for (let word = 0; word < 4; word++) table.setTarget(slot, word, parsed.hostWords[word] as number);
  }
  if (table.step(slot) === STEP_HTTP_FORWARD_HEAD) {
    haveFacts(w, slot);
    w.facts.setProtocol(slot, PROTOCOL_HTTP);
  }
}

/** Whether the record that it is aimed at is no longer what it was. */
export function hasTargetGone(w: DataWorker, slot: number): boolean {
  const target = w.table.targetIndex(slot);
  return target >= 0 && w.tables.targets.generation(target) !== w.table.targetGeneration(slot);
}

/**
 * The connection has waited, and the record of its target has gone: there may be another one in its place.
 * @returns CONTINUE or a retire reason
 */
export function aimAnew(w: DataWorker, slot: number): number {
  const table = w.table;
  const inbound = w.inbounds[table.inbound(slot)];
  const isOwn = inbound !== undefined && inbound.type === INBOUND_FORWARD && inbound.target >= 0;
  const target = isOwn ? inbound.target : w.tables.services.target(table.service(slot));
  if (target < 0) return SERVICE_REMOVED;
  table.setTargetIndex(slot, target);
  table.setTargetGeneration(slot, w.tables.targets.generation(target));
  table.setFlags(slot, table.flags(slot) & ~UNIX_TARGET);
  for (let word = 0; word < 4; word++) table.setTarget(slot, word, 0);
  if (hasFacts(w, slot)) {
    // The name of a client's hello stays, and what it said first; a name that was the target's own goes with it, and where
    // the target now has one of its own that is the one.
    const isNamed = w.facts.isNamed(slot) === 1 || w.tables.targets.kind(target) === TARGET_NAME;
    if (isNamed && inbound?.type !== INBOUND_SNI) w.facts.setNameBytes(slot, 0);
    w.facts.setIsNamed(slot, 0);
    w.facts.setIsResolved(slot, 0);
    // Whoever judged has judged of the other one.
    w.facts.setExternalsOf(slot, NO_SNAPSHOT);
  }
  dropCandidates(w, slot);
  aimAtRecord(w, slot);
  return CONTINUE;
}

/** An operator wrote it. */
function aimAtRecord(w: DataWorker, slot: number): void {
  const table = w.table;
  const targets = w.tables.targets;
  const target = table.targetIndex(slot);
  table.setTargetPort(slot, targets.port(target));
  switch (targets.kind(target)) {
    case TARGET_NAME:
      haveFacts(w, slot);
      w.facts.setIsNamed(slot, 1);
      if (w.facts.nameBytes(slot) === 0) keepRecordName(w, slot, target);
      return;
    case TARGET_UNIX:
      table.setFlags(slot, table.flags(slot) | UNIX_TARGET);
      return;
    default:
      for (let word = 0; word < 4; word++) table.setTarget(slot, word, targets.address(target, word));
  }
}

/** The name in `w.parsed`: lower case, without the root's dot. */
export function keepName(w: DataWorker, slot: number): void {
  const { facts, parsed } = w;
  const { name, nameLength } = parsed;
  for (let at = 0; at < nameLength; at += 4) {
    let word = 0;
    for (let i = 0; i < 4 && at + i < nameLength; i++) word |= (name[at + i] as number) << (i * 8);
    facts.setName(slot, at >> 2, word);
  }
  facts.setNameBytes(slot, nameLength);
}

function keepRecordName(w: DataWorker, slot: number, target: number): void {
  const { targets } = w.tables;
  const length = targets.textBytes(target);
  for (let word = 0; word << 2 < length; word++) w.facts.setName(slot, word, targets.text(target, word));
  w.facts.setNameBytes(slot, length);
}
