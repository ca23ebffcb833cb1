// What `ip_is_private` and `source_ip_is_private` stand for: addresses that are nobody's on the public internet. As sing-box
// has it: private, loopback, link-local, multicast, unspecified.
// @source RFC 1918, 4193, 1122, 3927, 4291, 5771

import { parseIp } from '../layout/ip-address.ts';
import type { Network } from './rule.ts';

const TEXTS = [
  '0.0.0.0/32',
  '10.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '224.0.0.0/4',
  '::/128',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
  'ff00::/8',
];

export const PRIVATE_NETWORKS: readonly Network[] = TEXTS.map((text) => {
  const [address = '', bits] = text.split('/');
  const words = parseIp(address);
  if (words === undefined) throw new RangeError(`${address} is not an address`);
  const [a, b, c, d] = words as unknown as [number, number, number, number];
  return { words: [a, b, c, d], bits: Number(bits) + (address.includes(':') ? 0 : 96) };
});
