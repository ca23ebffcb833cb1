// Outbound: which object carries the connection, which address it dials. Owner worker only. It asks for names by mail and
// waits (an uncached name is one of the two things that may make a first byte wait, DESIGN law 3); all else is here.

import { formatIp } from '../../layout/ip-address.ts';
import { LIST_OUTBOUND } from '../../layout/lists.ts';
import {
  CONNECT_UNREACHABLE,
  KERNEL_ERROR,
  NAME_NOT_FOUND,
  OUTBOUND_REMOVED,
  OUTBOUND_UNAVAILABLE,
} from '../../layout/reasons.ts';
import { ONLY_IPV4, ONLY_IPV6, OUTBOUND_DIRECT } from '../../layout/messages.ts';
import { TARGET_IP, TARGET_NAME, TARGET_UNIX } from '../../layout/service.ts';
import { SLOT_WAITING } from '../../layout/slot.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';
import type { DataWorker } from '../data-worker.ts';
import { UNIX_TARGET, WAIT } from '../flags.ts';
import { HOST_IP } from '../identify/parsed.ts';
import { ADDRESSES_MAX } from './candidates.ts';
import { dial } from './dial.ts';
import type { Outbound } from './objects.ts';
import { judgeTarget } from './target-policy.ts';

/**
 * Chooses the outbound and starts towards the target: the slot's target record where an operator wrote it, else
 * what the client named (`w.parsed`, which the stage before has just filled).
 * @returns WAIT or a retire reason
 */
export function outbound(w: DataWorker, slot: number): number {
  const table = w.table;
  const ofService = w.tables.services.outbound(table.service(slot));
  const index = ofService >= 0 ? ofService : w.final;
  const chosen = w.outbounds[index];
  if (chosen === undefined) return OUTBOUND_REMOVED;
  table.setOutbound(slot, index);
  table.setHandshakeMs(slot, w.reactor.nowMs - table.startedMs(slot));
  if (w.isIndexed) w.lists.link(LIST_OUTBOUND, index, slot);
  table.setOutboundGeneration(slot, chosen.definition.generation);
  if (chosen.definition.kind !== OUTBOUND_DIRECT) return OUTBOUND_UNAVAILABLE;
  return table.targetIndex(slot) >= 0 ? toRecord(w, slot, chosen) : toChosen(w, slot, chosen);
}

/** An operator wrote the target. */
function toRecord(w: DataWorker, slot: number, chosen: Outbound): number {
  const targets = w.tables.targets;
  const target = w.table.targetIndex(slot);
  w.table.setTargetPort(slot, targets.port(target));
  switch (targets.kind(target)) {
    case TARGET_IP:
      for (let word = 0; word < 4; word++) w.table.setTarget(slot, word, targets.address(target, word));
      return dial(w, slot);
    case TARGET_UNIX:
      w.table.setFlags(slot, w.table.flags(slot) | UNIX_TARGET);
      return dial(w, slot);
    case TARGET_NAME:
      return askName(w, slot, chosen, recordText(w, target));
    default:
      return KERNEL_ERROR;
  }
}

/** The client chose it: an address is judged now, a name when its addresses are known. */
function toChosen(w: DataWorker, slot: number, chosen: Outbound): number {
  const table = w.table;
  const parsed = w.parsed;
  table.setTargetPort(slot, parsed.port);
  if (parsed.hostKind !== HOST_IP) {
    return askName(
      w,
      slot,
      chosen,
      Buffer.from(parsed.name.subarray(0, parsed.nameLength)).toString('latin1'),
    );
  }
  const words = parsed.hostWords;
  for (let word = 0; word < 4; word++) table.setTarget(slot, word, words[word] as number);
  const isIpv4 = words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD;
  const version = chosen.definition.ipVersion;
  if (version === (isIpv4 ? ONLY_IPV6 : ONLY_IPV4)) {
    // No connect was tried: the errno of another connection's is not to be told.
    w.connectErrno = 0;
    return CONNECT_UNREACHABLE;
  }
  const judged = judge(w, slot, chosen);
  return judged === 0 ? dial(w, slot) : judged;
}

/**
 * Mail: it allocates, and it is not rare. Every connection to a name costs a message to the control thread and its answer,
 * also where the control thread has the name in its cache; a shared table that workers read in place is to replace that.
 */
function askName(w: DataWorker, slot: number, chosen: Outbound, name: string): number {
  w.table.setState(slot, SLOT_WAITING);
  w.mailbox.post({
    kind: 'resolve',
    slot,
    generation: w.table.generation(slot),
    name,
    ipVersion: chosen.definition.ipVersion,
    source: sourceText(w, slot),
  });
  // The control thread has its own, shorter limit for a name; this one is for the case that it never answers.
  w.reactor.wheel.arm(slot, (w.reactor.nowTick + w.connectMs) | 0);
  return WAIT;
}

/**
 * The control thread's answer to a name. Addresses that the client may not choose are passed over.
 * @param addresses four words each, in the order to try
 * @returns WAIT or a retire reason
 */
export function dialResolved(w: DataWorker, slot: number, addresses: Int32Array, reason: number): number {
  const table = w.table;
  const chosen = w.outbounds[table.outbound(slot)];
  if (chosen === undefined) return OUTBOUND_REMOVED;
  const isChosen = table.targetIndex(slot) < 0;
  let block = -1;
  let count = 0;
  let refusal = reason === 0 ? NAME_NOT_FOUND : reason;
  for (let at = 0; at + 4 <= addresses.length && count < ADDRESSES_MAX; at += 4) {
    for (let word = 0; word < 4; word++) table.setTarget(slot, word, addresses[at + word] as number);
    const judged = isChosen ? judge(w, slot, chosen) : 0;
    if (judged !== 0) {
      refusal = judged;
      continue;
    }
    if (block < 0) block = w.candidates.take();
    if (block < 0) return dial(w, slot);
    for (let word = 0; word < 4; word++) w.candidates.set(block, count, word, addresses[at + word] as number);
    count++;
  }
  if (count === 0) return refusal;
  table.setCandidates(slot, block);
  w.candidates.begin(block, count);
  for (let word = 0; word < 4; word++) table.setTarget(slot, word, w.candidates.word(block, 0, word));
  return dial(w, slot);
}

function judge(w: DataWorker, slot: number, chosen: Outbound): number {
  const table = w.table;
  return judgeTarget(
    chosen,
    w.ownListeners,
    w.localAddresses,
    table.target(slot, 0),
    table.target(slot, 1),
    table.target(slot, 2),
    table.target(slot, 3),
    table.targetPort(slot),
  );
}

function sourceText(w: DataWorker, slot: number): string {
  const words = new Int32Array(4);
  for (let word = 0; word < 4; word++) words[word] = w.table.source(slot, word);
  return formatIp(words);
}

function recordText(w: DataWorker, target: number): string {
  const length = w.tables.targets.textBytes(target);
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++)
    bytes[i] = (w.tables.targets.text(target, i >> 2) >>> ((i & 3) * 8)) & 0xff;
  return bytes.toString('utf8');
}
