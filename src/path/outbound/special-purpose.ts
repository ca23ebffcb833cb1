// Whether an address may not be reached through targets that clients choose: every block of the IANA special-purpose
// registries that is not globally reachable, multicast, and what lies outside the space from which global unicast is
// given. The guard against using the edge as a door into its own host and network (SSRF).
//
// Any thread. Branches only: no table, no allocation. An address that carries an IPv4 address is judged by that one.
// @source IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190); RFC 4291; RFC 9637; RFC 9602

import { MAPPED_WORD } from '../../sys/socket-address.ts';

/**
 * @param word0..word3 the address in network order as int32, IPv4 as 0, 0, 0xffff, v4
 * @returns true where only an operator's `allow_destinations` may open it
 */
export function isSpecialPurpose(word0: number, word1: number, word2: number, word3: number): boolean {
  if (word0 === 0 && word1 === 0 && word2 === MAPPED_WORD) return isSpecialIpv4(word3);
  // 64:ff9b::/96, NAT64: what the translator would reach.
  if (word0 === 0x0064ff9b && word1 === 0 && word2 === 0) return isSpecialIpv4(word3);
  // Global unicast is given from 2000::/3 only. Beyond it lie ::, ::1, IPv4-compatible ::/96, IPv4-translated
  // ::ffff:0:0:0/96, 64:ff9b:1::/48, 100::/64, 100:0:0:1::/64, 5f00::/16, fc00::/7, fe80::/10, fec0::/10, ff00::/8.
  if (word0 >>> 29 !== 1) return true;
  // 2002::/16, 6to4: the relay sends to the IPv4 address within.
  if (word0 >>> 16 === 0x2002) return isSpecialIpv4((word0 << 16) | (word1 >>> 16));
  // 2001::/23, protocol assignments, less the assignments that are globally reachable.
  if (word0 >>> 9 === 0x20010000 >>> 9) return !isGlobalAssignment(word0, word1, word2, word3);
  // 2001:db8::/32 and 3fff::/20, documentation.
  return word0 === 0x20010db8 || word0 >>> 12 === 0x3fff0000 >>> 12;
}

function isGlobalAssignment(word0: number, word1: number, word2: number, word3: number): boolean {
  // 2001:1::1 to 2001:1::3, anycast addresses of PCP, TURN and DNS-SD SRP.
  if (word0 === 0x20010001) return word1 === 0 && word2 === 0 && word3 >= 1 && word3 <= 3;
  // 2001:3::/32, AMT.
  if (word0 === 0x20010003) return true;
  // 2001:4:112::/48, AS112.
  if (word0 === 0x20010004) return word1 >>> 16 === 0x0112;
  // 2001:20::/28 and 2001:30::/28, ORCHIDv2 and drone identities.
  const block = word0 >>> 4;
  return block === 0x20010020 >>> 4 || block === 0x20010030 >>> 4;
}

function isSpecialIpv4(address: number): boolean {
  switch (address >>> 24) {
    case 0: // this network
    case 10: // private
    case 127: // loopback
      return true;
    case 100: // 100.64.0.0/10, shared address space
      return address >>> 22 === 0x64400000 >>> 22;
    case 169: // 169.254.0.0/16, link-local, with the cloud's metadata service
      return address >>> 16 === 0xa9fe;
    case 172: // 172.16.0.0/12, private
      return address >>> 20 === 0xac1;
    case 192:
      return isSpecialIn192(address);
    case 198: // 198.18.0.0/15, benchmarks; 198.51.100.0/24, documentation
      return address >>> 17 === 0xc6120000 >>> 17 || address >>> 8 === 0xc63364;
    case 203: // 203.0.113.0/24, documentation
      return address >>> 8 === 0xcb0071;
    default: // multicast, reserved, broadcast
      return address >>> 24 >= 224;
  }
}

function isSpecialIn192(address: number): boolean {
  // 192.168.0.0/16, private; 192.0.2.0/24, documentation; 192.88.99.0/24, the retired 6to4 relays (RFC 7526).
  if (address >>> 16 === 0xc0a8 || address >>> 8 === 0xc00002 || address >>> 8 === 0xc05863) return true;
  // 192.0.0.0/24, protocol assignments, less the anycast addresses of PCP and TURN.
  return address >>> 8 === 0xc00000 && address >>> 0 !== 0xc0000009 && address >>> 0 !== 0xc000000a;
}
