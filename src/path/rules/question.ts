// What rules are asked about a connection: its query, filled from the slot, its facts and the rows that it belongs to. Owner
// worker only.

import {
  DEVICE_UNKNOWN,
  NEED_PROCESS,
  NETWORK_TCP,
  OVERRIDE_NONE,
  PROTOCOL_UNKNOWN,
} from '../../layout/rules.ts';
import { RESOLVED } from '../../layout/facts.ts';
import { ADDRESSES_MAX } from '../../match/query.ts';
import { hasFacts } from '../aim.ts';
import type { DataWorker } from '../data-worker.ts';
import { UNIX_TARGET } from '../flags.ts';

const NO_PORT_OVERRIDE = 0;

/**
 * Fills `w.query`: every field that is not said to be unknown by another one, so that nothing has to be cleared before.
 * Word by word: for two or four of them a loop or a `fill` costs several times as much.
 * @param snapshot id: judgements that belong to another one are not known
 */
export function ask(w: DataWorker, slot: number, snapshot: number): void {
  const { table, query } = w;
  askWho(w, slot);
  query.network = NETWORK_TCP;
  query.protocol = PROTOCOL_UNKNOWN;
  query.device = DEVICE_UNKNOWN;
  query.minuteOfWeek = w.tables.machine.minuteOfWeek(0);
  query.port = table.targetPort(slot);
  query.nameBytes = 0;
  query.levelsCount = -1;
  query.addressesCount = 0;
  query.known = 0;
  query.externalsKnown = 0;
  query.externalsTrue = 0;
  if (hasFacts(w, slot)) askFacts(w, slot, snapshot);
  else if ((table.flags(slot) & UNIX_TARGET) === 0) askTarget(w, slot);
}

function askWho(w: DataWorker, slot: number): void {
  const { table, tables } = w;
  const { inbound, service, source, user } = w.query;
  const tagHash = w.inbounds[table.inbound(slot)]?.tagHash;
  inbound[0] = tagHash === undefined ? 0 : (tagHash[0] as number);
  inbound[1] = tagHash === undefined ? 0 : (tagHash[1] as number);
  const row = table.service(slot);
  service[0] = row < 0 ? 0 : tables.services.nameHash(row, 0);
  service[1] = row < 0 ? 0 : tables.services.nameHash(row, 1);
  const credential = table.credential(slot);
  user[0] = credential < 0 ? 0 : tables.credentials.nameHash(credential, 0);
  user[1] = credential < 0 ? 0 : tables.credentials.nameHash(credential, 1);
  source[0] = table.source(slot, 0);
  source[1] = table.source(slot, 1);
  source[2] = table.source(slot, 2);
  source[3] = table.source(slot, 3);
  w.query.sourcePort = table.sourcePort(slot);
}

/** The target is an address, the one that the slot holds. */
function askTarget(w: DataWorker, slot: number): void {
  const { addresses } = w.query;
  addresses[0] = w.table.target(slot, 0);
  addresses[1] = w.table.target(slot, 1);
  addresses[2] = w.table.target(slot, 2);
  addresses[3] = w.table.target(slot, 3);
  w.query.addressesCount = 1;
}

function askFacts(w: DataWorker, slot: number, snapshot: number): void {
  const { facts, query, table } = w;
  query.protocol = facts.protocol(slot);
  const length = facts.nameBytes(slot);
  const { name } = query;
  // Whole words: what comes behind the name is not looked at, and there is room for it.
  for (let at = 0; at < length; at += 4) {
    const word = facts.name(slot, at >> 2);
    name[at] = word & 0xff;
    name[at + 1] = (word >>> 8) & 0xff;
    name[at + 2] = (word >>> 16) & 0xff;
    name[at + 3] = word >>> 24;
  }
  query.nameBytes = length;
  if (facts.isNamed(slot) === 0 || facts.isResolved(slot) === RESOLVED) askAddresses(w, slot);
  if (isOverridden(w, slot)) query.port = facts.chosenPort(slot);
  query.known = facts.known(slot);
  if ((query.known & NEED_PROCESS) !== 0) {
    for (let word = 0; word < 2; word++) {
      query.processName[word] = facts.processName(slot, word);
      query.processPath[word] = facts.processPath(slot, word);
    }
    query.hasUserId = facts.hasUserId(slot) === 1;
    query.userId = facts.userId(slot);
  }
  if (facts.externalsOf(slot) === snapshot) {
    query.externalsKnown = facts.externalsKnown(slot);
    query.externalsTrue = facts.externalsTrue(slot);
  }
  if ((table.flags(slot) & UNIX_TARGET) !== 0 && !isOverridden(w, slot)) query.addressesCount = 0;
}

/** Before the dialling all addresses of a name count, afterwards the one that was dialled; never those of an override. */
function askAddresses(w: DataWorker, slot: number): void {
  const { facts, query, table } = w;
  if (isOverridden(w, slot)) {
    let bits = 0;
    for (let word = 0; word < 4; word++) {
      query.addresses[word] = facts.chosen(slot, word);
      bits |= facts.chosen(slot, word);
    }
    // It took the place of a Unix socket.
    query.addressesCount = bits === 0 ? 0 : 1;
    return;
  }
  const block = table.candidates(slot);
  if (block < 0) {
    askTarget(w, slot);
    return;
  }
  const count = Math.min(w.candidates.size(block), ADDRESSES_MAX);
  for (let address = 0; address < count; address++)
    for (let word = 0; word < 4; word++)
      query.addresses[address * 4 + word] = w.candidates.word(block, address, word);
  query.addressesCount = count;
}

function isOverridden(w: DataWorker, slot: number): boolean {
  return w.facts.override(slot) !== OVERRIDE_NONE || w.facts.overrideHash(slot) !== NO_PORT_OVERRIDE;
}

/** Whether its protocol is known, by its inbound or because it was recognised. */
export function knowsProtocol(w: DataWorker, slot: number): boolean {
  return hasFacts(w, slot) && w.facts.protocol(slot) !== PROTOCOL_UNKNOWN;
}
