// What a client may choose as a target: nothing that is special-purpose unless the outbound lists it, and never one of
// our own listeners (which it may not choose by the port of an operator's override either). Asked of every address before it is dialled, whether the client wrote it or a name led to it, so that
// a name that changes its mind gains nothing. An address that carries an IPv4 address for a translator or a tunnel (NAT64,
// 6to4) is compared with our listeners as that one: it is where the connection would arrive. Owner worker only.

import { TARGET_FORBIDDEN, TARGET_OWN_LISTENER } from '../../layout/reasons.ts';
import { contains } from '../../layout/network-set.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';
import type { Outbound } from './objects.ts';
import { isSpecialPurpose } from './special-purpose.ts';

const LISTENER_WORDS = 5;
const ADDRESS_WORDS = 4;
/** 64:ff9b::/96. @source RFC 6052, section 2.1 */
const NAT64_WORD = 0x0064ff9b;
/** 2002::/16. @source RFC 3056, section 2 */
const SIX_TO_FOUR_PREFIX = 0x2002;

/**
 * @param ownListeners   address and port of each of our listeners, LISTENER_WORDS each
 * @param localAddresses addresses of this machine, ADDRESS_WORDS each
 * @returns 0, TARGET_FORBIDDEN or TARGET_OWN_LISTENER
 */
export function judgeTarget(
  outbound: Outbound,
  ownListeners: Int32Array,
  localAddresses: Int32Array,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  port: number,
): number {
  if (leadsToOurselves(ownListeners, localAddresses, word0, word1, word2, word3, port))
    return TARGET_OWN_LISTENER;
  if (!isSpecialPurpose(word0, word1, word2, word3)) return 0;
  const allowed = outbound.definition.allowDestinations;
  return allowed !== null && contains(allowed, word0, word1, word2, word3) ? 0 : TARGET_FORBIDDEN;
}

/** Whether it arrives at one of our own listeners. Parameters: as of `judgeTarget`. */
export function leadsToOurselves(
  ownListeners: Int32Array,
  localAddresses: Int32Array,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  port: number,
): boolean {
  if (word0 === NAT64_WORD && word1 === 0 && word2 === 0) {
    if (isOwnListener(ownListeners, localAddresses, 0, 0, MAPPED_WORD, word3, port)) return true;
  } else if (word0 >>> 16 === SIX_TO_FOUR_PREFIX) {
    const embedded = (word0 << 16) | (word1 >>> 16);
    if (isOwnListener(ownListeners, localAddresses, 0, 0, MAPPED_WORD, embedded, port)) return true;
  }
  return isOwnListener(ownListeners, localAddresses, word0, word1, word2, word3, port);
}

function isOwnListener(
  ownListeners: Int32Array,
  localAddresses: Int32Array,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
  port: number,
): boolean {
  for (let at = 0; at < ownListeners.length; at += LISTENER_WORDS) {
    if (ownListeners[at + 4] !== port) continue;
    const isWildcard = isUnspecified(ownListeners, at);
    if (
      isWildcard
        ? isLocal(localAddresses, word0, word1, word2, word3)
        : isAt(ownListeners, at, word0, word1, word2, word3)
    ) {
      return true;
    }
    // Connecting to an unspecified address means this machine's loopback (RFC 1122, section 3.2.1.3, as Linux has it).
    if (word0 === 0 && word1 === 0 && (word2 === 0 || word2 === MAPPED_WORD) && word3 === 0) return true;
  }
  return false;
}

function isUnspecified(words: Int32Array, at: number): boolean {
  const word2 = words[at + 2];
  return (
    words[at] === 0 && words[at + 1] === 0 && (word2 === 0 || word2 === MAPPED_WORD) && words[at + 3] === 0
  );
}

function isAt(
  words: Int32Array,
  at: number,
  word0: number,
  word1: number,
  word2: number,
  word3: number,
): boolean {
  return words[at + 3] === word3 && words[at + 2] === word2 && words[at + 1] === word1 && words[at] === word0;
}

function isLocal(addresses: Int32Array, word0: number, word1: number, word2: number, word3: number): boolean {
  if (word0 === 0 && word1 === 0) {
    if (word2 === MAPPED_WORD && word3 >>> 24 === 127) return true;
    if (word2 === 0 && word3 === 1) return true;
  }
  for (let at = 0; at < addresses.length; at += ADDRESS_WORDS) {
    if (isAt(addresses, at, word0, word1, word2, word3)) return true;
  }
  return false;
}
