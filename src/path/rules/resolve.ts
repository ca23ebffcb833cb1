// The action `resolve`: asks for the addresses of the target's name, so that the rules behind it can judge them. They are
// kept where the dialling finds them, which does not ask again. Owner worker only.

import { RESOLVED, RESOLVED_IN_VAIN, WAITS_FOR_RESOLUTION } from '../../layout/facts.ts';
import { ONLY_IPV4, ONLY_IPV6, PREFER_IPV4, PREFER_IPV6 } from '../../layout/messages.ts';
import { hasFacts } from '../aim.ts';
import { askName, targetName } from '../ask-name.ts';
import type { DataWorker } from '../data-worker.ts';
import { CONTINUE } from '../flags.ts';
import { ADDRESSES_MAX } from '../outbound/candidates.ts';
import { defaultOutbound } from '../route.ts';
import { mayWait, ruleMs, suspend } from './suspend.ts';
import { IN_VAIN } from './verdicts.ts';

/** Of the rule whose record this is. @returns CONTINUE (go on behind it), WAIT or IN_VAIN */
export function resolve(w: DataWorker, slot: number, row: number, rule: number, record: number): number {
  const { facts } = w;
  if (!hasFacts(w, slot) || facts.isNamed(slot) === 0) return CONTINUE;
  const known = facts.isResolved(slot);
  if (known === RESOLVED) return CONTINUE;
  if (known === RESOLVED_IN_VAIN) return IN_VAIN;
  if (!mayWait(w, slot)) {
    facts.setIsResolved(slot, RESOLVED_IN_VAIN);
    return IN_VAIN;
  }
  askName(w, slot, targetName(w, slot), families(w, slot), true, ruleMs(w, record));
  return suspend(w, slot, row, rule, record, WAITS_FOR_RESOLUTION);
}

/**
 * Both families, in the order of the outbound that the connection would take if no rule said otherwise: which one it takes
 * is not known yet, and the rules are to see all that it may lead to. The dialling leaves out what its outbound may not use.
 */
function families(w: DataWorker, slot: number): number {
  const version = w.outbounds[defaultOutbound(w, slot)]?.definition.ipVersion ?? PREFER_IPV6;
  if (version === ONLY_IPV4) return PREFER_IPV4;
  return version === ONLY_IPV6 ? PREFER_IPV6 : version;
}

/**
 * The control thread's answer. Where no block is free for the addresses, the first one is all that is known.
 * @param addresses four words each; none: nobody knows the name
 */
export function takeAddresses(w: DataWorker, slot: number, addresses: Int32Array): void {
  const { candidates, facts, table } = w;
  const count = Math.min(addresses.length >> 2, ADDRESSES_MAX);
  if (count === 0) {
    facts.setIsResolved(slot, RESOLVED_IN_VAIN);
    return;
  }
  const block = candidates.take();
  if (block >= 0) {
    for (let address = 0; address < count; address++)
      for (let word = 0; word < 4; word++)
        candidates.set(block, address, word, addresses[address * 4 + word] as number);
    candidates.begin(block, count);
  }
  table.setCandidates(slot, block);
  for (let word = 0; word < 4; word++) table.setTarget(slot, word, addresses[word] as number);
  facts.setIsResolved(slot, RESOLVED);
}
