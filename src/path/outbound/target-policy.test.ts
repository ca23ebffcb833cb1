// Our own listeners, in every spelling that leads to them.

import { describe, expect, it } from 'vitest';
import { directOutbound } from '../../../test/exactness/simulated-edge.ts';
import { parseIp } from '../../layout/ip-address.ts';
import { compileNetworks } from '../../layout/network-set.ts';
import { TARGET_FORBIDDEN, TARGET_OWN_LISTENER } from '../../layout/reasons.ts';
import type { Outbound } from './objects.ts';
import { judgeTarget } from './target-policy.ts';

const PORT = 1080;

function words(address: string): Int32Array {
  const parsed = parseIp(address);
  if (parsed === undefined) throw new Error(`not an address: ${address}`);
  return parsed;
}

/** With listeners on a public address and on all addresses of a machine that has another one. */
function judged(address: string, port = PORT, allowed = ['0.0.0.0/0', '::/0']): number {
  const listeners = Int32Array.of(...words('198.51.100.7'), PORT, ...words('0.0.0.0'), 443);
  const definition = directOutbound({ allowDestinations: compileNetworks(allowed) });
  const outbound = { definition } as Outbound;
  const [word0, word1, word2, word3] = words(address) as unknown as [number, number, number, number];
  return judgeTarget(outbound, listeners, words('8.8.4.4'), word0, word1, word2, word3, port);
}

describe('targets', () => {
  it.each([
    ['as it is', '198.51.100.7', PORT],
    ['mapped', '::ffff:198.51.100.7', PORT],
    ['behind a NAT64', '64:ff9b::198.51.100.7', PORT],
    ['behind a 6to4 relay', '2002:c633:6407::1', PORT],
    ['of a wildcard listener', '8.8.4.4', 443],
    ['of a wildcard listener, behind a NAT64', '64:ff9b::8.8.4.4', 443],
    ['of a wildcard listener, behind a 6to4 relay', '2002:808:404::5', 443],
    ['of a wildcard listener, on loopback behind a NAT64', '64:ff9b::127.0.0.9', 443],
  ])('are no listener of ours, %s', (_, address, port) => {
    expect(judged(address, port)).toBe(TARGET_OWN_LISTENER);
    expect(judged(address, port + 1)).toBe(0);
  });

  it('are judged as they are, where they are no listener', () => {
    expect(judged('64:ff9b::10.0.0.1', PORT, [])).toBe(TARGET_FORBIDDEN);
    expect(judged('64:ff9b::10.0.0.1', PORT, ['10.0.0.0/8'])).toBe(TARGET_FORBIDDEN);
    expect(judged('64:ff9b::10.0.0.1', PORT, ['64:ff9b::/96'])).toBe(0);
    expect(judged('64:ff9b:1::198.51.100.7')).toBe(0);
    expect(judged('64:ff9b::8.8.8.8', PORT, [])).toBe(0);
  });
});
