// Networks as lists of countries and providers have them: IPv4 prefixes of 16 to 24 bits, mostly long ones, and a fifth of
// IPv6 from /29 to /48. Nobody is asked about them whose address does not begin as theirs do.

import type { Random } from './random.ts';

/** IPv6 networks, in thousandths. */
const IPV6_SHARE = 200;
/** 20.0.0.0 and on: neither loopback nor private, where clients and origins of benchmarks are. */
const FIRST_OCTET = 20;
const FIRST_OCTETS = 80;

function ipv4Network(random: Random): string {
  const bits = random.isIn(600) ? 22 + random.below(3) : 16 + random.below(6);
  const address =
    (((FIRST_OCTET + random.below(FIRST_OCTETS)) << 24) | random.below(2 ** 24)) & (-1 << (32 - bits));
  return `${dotted(address)}/${bits}`;
}

export function dotted(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

function ipv6Network(random: Random): string {
  const bits = random.isIn(500) ? 32 : 29 + random.below(20);
  const first = 0x2400 + random.below(0x700);
  const second = bits >= 32 ? random.below(2 ** 16) : random.below(2 ** (bits - 16)) << (32 - bits);
  const third = bits <= 32 ? 0 : random.below(2 ** (bits - 32)) << (48 - bits);
  return `${first.toString(16)}:${second.toString(16)}:${third.toString(16)}::/${bits}`;
}

/** Networks, none of them twice. */
export function distinctNetworks(random: Random, count: number): string[] {
  const networks = new Set<string>();
  while (networks.size < count)
    networks.add(random.isIn(IPV6_SHARE) ? ipv6Network(random) : ipv4Network(random));
  return [...networks];
}

/** An address in a network. */
export function addressIn(random: Random, network: string): string {
  const [start = '', bits = '32'] = network.split('/');
  if (start.includes(':')) {
    return start.replace(
      /::$/,
      `:${random.below(65_536).toString(16)}::${(1 + random.below(65_535)).toString(16)}`,
    );
  }
  const base = start.split('.').reduce((word, octet) => (word << 8) | Number(octet), 0);
  return dotted(base | random.below(2 ** (32 - Number(bits))));
}
