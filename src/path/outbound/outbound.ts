// Outbound: which object carries the connection, which address it dials. Owner worker only. It asks for names by mail and
// waits (an uncached name is one of the few things that may make a first byte wait, DESIGN law 3); all else is here.

import { RESOLVED, RESOLVED_IN_VAIN } from '../../layout/facts.ts';
import { LIST_OUTBOUND } from '../../layout/lists.ts';
import {
  CONNECT_UNREACHABLE,
  NAME_FAILED,
  NAME_NOT_FOUND,
  OUTBOUND_REMOVED,
  OUTBOUND_UNAVAILABLE,
  TARGET_OWN_LISTENER,
} from '../../layout/reasons.ts';
import { ONLY_IPV4, ONLY_IPV6, OUTBOUND_DIRECT } from '../../layout/messages.ts';
import { OVERRIDE_NAME, OVERRIDE_NONE } from '../../layout/rules.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';
import { hasFacts, haveFacts } from '../aim.ts';
import { askName, targetName } from '../ask-name.ts';
import type { DataWorker } from '../data-worker.ts';
import { UNIX_TARGET, WAIT } from '../flags.ts';
import { dropCandidates } from '../retire.ts';
import { defaultOutbound } from '../route.ts';
import { ADDRESSES_MAX } from './candidates.ts';
import { dial } from './dial.ts';
import type { Outbound } from './objects.ts';
import { judgeTarget, leadsToOurselves } from './target-policy.ts';

/**
 * Takes the outbound that a rule chose (`w.route`), else the service's, else `final`, and starts towards the target: the one
 * that a rule put in its place, else what the slot and its facts say.
 * @returns WAIT or a retire reason
 */
export function outbound(w: DataWorker, slot: number): number {
  const { route, table } = w;
  const index = route.outbound >= 0 ? route.outbound : defaultOutbound(w, slot);
  const chosen = w.outbounds[index];
  if (chosen === undefined) return OUTBOUND_REMOVED;
  // The rules may be older than the plan: its index may be another outbound's by now.
  if (route.outbound >= 0 && chosen.definition.generation !== route.outboundGeneration)
    return OUTBOUND_REMOVED;
  table.setOutbound(slot, index);
  table.setHandshakeMs(slot, w.reactor.nowMs - table.startedMs(slot));
  if (w.isIndexed) w.lists.link(LIST_OUTBOUND, index, slot);
  table.setOutboundGeneration(slot, chosen.definition.generation);
  if (chosen.definition.kind !== OUTBOUND_DIRECT) return OUTBOUND_UNAVAILABLE;
  if (route.override !== OVERRIDE_NONE || route.port !== 0) return toOverride(w, slot, chosen);
  return toTarget(w, slot, chosen);
}

/** A rule says where to go instead. What it takes the place of is kept: rules judge by that. */
function toOverride(w: DataWorker, slot: number, chosen: Outbound): number {
  const { facts, route, table } = w;
  haveFacts(w, slot);
  facts.setOverride(slot, route.override);
  facts.setOverrideHash(slot, route.overrideHash());
  facts.setChosenPort(slot, table.targetPort(slot));
  facts.setIsPortChosen(slot, route.port === 0 && table.targetIndex(slot) < 0 ? 1 : 0);
  for (let word = 0; word < 4; word++) facts.setChosen(slot, word, table.target(slot, word));
  if (route.port !== 0) table.setTargetPort(slot, route.port);
  if (route.override === OVERRIDE_NONE) return toTarget(w, slot, chosen);
  dropCandidates(w, slot);
  table.setFlags(slot, table.flags(slot) & ~UNIX_TARGET);
  table.setTargetIndex(slot, -1);
  if (route.override === OVERRIDE_NAME) {
    const name = Buffer.from(route.name.subarray(0, route.nameBytes)).toString('latin1');
    return askToDial(w, slot, chosen, name);
  }
  for (let word = 0; word < 4; word++) table.setTarget(slot, word, route.address[word] as number);
  const judged = judge(w, slot, chosen);
  return judged === 0 ? dial(w, slot) : judged;
}

function toTarget(w: DataWorker, slot: number, chosen: Outbound): number {
  if (hasFacts(w, slot) && w.facts.isNamed(slot) === 1) {
    switch (w.facts.isResolved(slot)) {
      case RESOLVED:
        return dialKnown(w, slot, chosen);
      case RESOLVED_IN_VAIN:
        // Rules have judged it without its addresses: whoever asked again could dial what they would have rejected.
        return NAME_FAILED;
      default:
        return askToDial(w, slot, chosen, targetName(w, slot));
    }
  }
  if (w.table.targetIndex(slot) >= 0) return dial(w, slot);
  if (!mayUse(chosen, w.table.target(slot, 0), w.table.target(slot, 1), w.table.target(slot, 2))) {
    // No connect was tried: the errno of another connection's is not to be told.
    w.connectErrno = 0;
    return CONNECT_UNREACHABLE;
  }
  const judged = judge(w, slot, chosen);
  return judged === 0 ? dial(w, slot) : judged;
}

/** Whether the outbound goes to addresses of that family. */
function mayUse(chosen: Outbound, word0: number, word1: number, word2: number): boolean {
  const isIpv4 = word0 === 0 && word1 === 0 && word2 === MAPPED_WORD;
  return chosen.definition.ipVersion !== (isIpv4 ? ONLY_IPV6 : ONLY_IPV4);
}

/** The control thread has its own, shorter limit for a name; ours is for the case that it never answers. */
function askToDial(w: DataWorker, slot: number, chosen: Outbound, name: string): number {
  askName(w, slot, name, chosen.definition.ipVersion, false, w.connectMs);
  return WAIT;
}

/** A rule has had the name resolved: of what is known, what the outbound and the policy allow. */
function dialKnown(w: DataWorker, slot: number, chosen: Outbound): number {
  const { candidates, table } = w;
  const block = table.candidates(slot);
  const size = block < 0 ? 1 : candidates.size(block);
  w.connectErrno = 0;
  let refusal = CONNECT_UNREACHABLE;
  let count = 0;
  for (let address = 0; address < size; address++) {
    if (block >= 0)
      for (let word = 0; word < 4; word++) table.setTarget(slot, word, candidates.word(block, address, word));
    if (!mayUse(chosen, table.target(slot, 0), table.target(slot, 1), table.target(slot, 2))) continue;
    const judged = judge(w, slot, chosen);
    if (judged !== 0) {
      refusal = judged;
      continue;
    }
    if (block >= 0)
      for (let word = 0; word < 4; word++) candidates.set(block, count, word, table.target(slot, word));
    count++;
  }
  if (count === 0) return refusal;
  if (block >= 0) {
    candidates.begin(block, count);
    for (let word = 0; word < 4; word++) table.setTarget(slot, word, candidates.word(block, 0, word));
  }
  return dial(w, slot);
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
  let block = -1;
  let count = 0;
  let refusal = reason === 0 ? NAME_NOT_FOUND : reason;
  for (let at = 0; at + 4 <= addresses.length && count < ADDRESSES_MAX; at += 4) {
    for (let word = 0; word < 4; word++) table.setTarget(slot, word, addresses[at + word] as number);
    const judged = judge(w, slot, chosen);
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

/**
 * Judges the address in the slot as far as the client chose it: an operator's target is not judged; of an operator's override
 * only whether it is one of our own listeners, where the port is still the client's.
 * @returns 0 or a retire reason
 */
function judge(w: DataWorker, slot: number, chosen: Outbound): number {
  const { facts, table } = w;
  if (table.targetIndex(slot) >= 0) return 0;
  const isOverridden = hasFacts(w, slot) && facts.override(slot) !== OVERRIDE_NONE;
  if (isOverridden && facts.isPortChosen(slot) === 0) return 0;
  const { ownListeners, localAddresses } = w;
  const word0 = table.target(slot, 0);
  const word1 = table.target(slot, 1);
  const word2 = table.target(slot, 2);
  const word3 = table.target(slot, 3);
  const port = table.targetPort(slot);
  if (!isOverridden)
    return judgeTarget(chosen, ownListeners, localAddresses, word0, word1, word2, word3, port);
  return leadsToOurselves(ownListeners, localAddresses, word0, word1, word2, word3, port)
    ? TARGET_OWN_LISTENER
    : 0;
}
