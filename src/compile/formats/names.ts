// Domain names and networks as rule sets write them → as rules are checked (rule.ts): names in lower case ASCII without the
// root's dot, networks masked. Slow path, but a list may have a million lines: nothing is allocated for a plain name but
// the name.

import { domainToASCII } from 'node:url';
import { parseIp } from '../../layout/ip-address.ts';
import type { DomainSuffix, Network } from '../rule.ts';

const NAME_CHARACTERS_MAX = 253;
const MAPPED_BITS = 96;

/** More labels than host names may have (a hyphen at the end, say) are no harm: nothing asks for them. */
const NAME = /^(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}$/;
// oxlint-disable-next-line no-control-regex
const ASCII = /^[\u0000-\u007f]*$/;

/** @returns undefined for what is no domain name */
export function nameOf(text: string): string | undefined {
  let name = text.toLowerCase();
  if (name.endsWith('.')) name = name.slice(0, -1);
  if (name.length <= NAME_CHARACTERS_MAX && NAME.test(name)) return name;
  if (ASCII.test(text) || text.length > NAME_CHARACTERS_MAX) return undefined;
  name = domainToASCII(name);
  return name.length <= NAME_CHARACTERS_MAX && NAME.test(name) ? name : undefined;
}

/** `example.com`, or `.example.com` for what is below it only. */
export function suffixOf(text: string): DomainSuffix | undefined {
  const isBelow = text.startsWith('.');
  const name = nameOf(isBelow ? text.slice(1) : text);
  return name === undefined ? undefined : { name, isBelow };
}

/** A prefix or an address, host bits masked. */
export function networkOf(text: string): Network | undefined {
  const slash = text.indexOf('/');
  const words = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (words === undefined) return undefined;
  // A mapped address that is written as IPv6 counts on the scale of IPv6.
  const offset = text.includes(':') ? 0 : MAPPED_BITS;
  const length = slash < 0 ? String(128 - offset) : text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const bits = Number(length) + offset;
  return bits > 128 ? undefined : maskedNetwork(words, bits);
}

export function maskedNetwork(words: Int32Array, bits: number): Network {
  return {
    words: [
      masked(words[0] ?? 0, bits),
      masked(words[1] ?? 0, bits - 32),
      masked(words[2] ?? 0, bits - 64),
      masked(words[3] ?? 0, bits - 96),
    ],
    bits,
  };
}

function masked(word: number, bits: number): number {
  if (bits >= 32) return word;
  return bits <= 0 ? 0 : word & (-1 << (32 - bits));
}
