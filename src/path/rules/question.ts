// What rules are asked about a connection: its query, filled from the slot, its facts and the rows that it belongs to. Owner
// worker only.

import { NEED_PROCESS, NETWORK_TCP, OVERRIDE_NONE, PROTOCOL_UNKNOWN } from '../../layout/rules.ts';
import { RESOLVED } from '../../layout/facts.ts';
import type { InboundDefinition } from '../../layout/messages.ts';
import { ADDRESSES_MAX } from '../../match/query.ts';
import { hasFacts } from '../aim.ts';
import type { DataWorker } from '../data-worker.ts';
import { UNIX_TARGET } from '../flags.ts';

const NO_PORT_OVERRIDE = 0;

/** Fills `w.query`. @param snapshot id: judgements that belong to another one are not known */
export function ask(w: DataWorker, slot: number, snapshot: number): void {
  const { table, query } = w;
  query.clear();
  askWho(w, slot);
  query.network = NETWORK_TCP;
  query.minuteOfWeek = w.tables.machine.minuteOfWeek(0);
  query.port = table.targetPort(slot);
  if (hasFacts(w, slot)) askFacts(w, slot, snapshot);
  else if ((table.flags(slot) & UNIX_TARGET) === 0) askTarget(w, slot);
}

function askWho(w: DataWorker, slot: number): void {
  const { table, query, tables } = w;
  const inbound: InboundDefinition | undefined = w.inbounds[table.inbound(slot)];
  const service = table.service(slot);
  const credential = table.credential(slot);
  for (let word = 0; word < 2; word++) {
    if (inbound !== undefined) query.inbound[word] = inbound.tagHash[word] as number;
    if (service >= 0) query.service[word] = tables.services.nameHash(service, word);
    if (credential >= 0) query.user[word] = tables.credentials.nameHash(credential, word);
  }
  for (let word = 0; word < 4; word++) query.source[word] = table.source(slot, word);
  query.sourcePort = table.sourcePort(slot);
}

/** The target is an address, the one that the slot holds. */
function askTarget(w: DataWorker, slot: number): void {
  for (let word = 0; word < 4; word++) w.query.addresses[word] = w.table.target(slot, word);
  w.query.addressesCount = 1;
}

function askFacts(w: DataWorker, slot: number, snapshot: number): void {
  const { facts, query, table } = w;
  query.protocol = facts.protocol(slot);
  const length = facts.nameBytes(slot);
  for (let at = 0; at < length; at += 4) {
    const word = facts.name(slot, at >> 2);
    for (let i = 0; i < 4 && at + i < length; i++) query.name[at + i] = (word >>> (i * 8)) & 0xff;
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
    for (let word = 0; word < 4; word++) query.addresses[word] = facts.chosen(slot, word);
    query.addressesCount = 1;
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
