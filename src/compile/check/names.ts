// Names and networks of the target as rules write them → as the matcher compares them: ASCII, lower case, without the
// root's dot; words and bits. Also what people write instead (addresses, wildcards, ports), told as what it is.

import { domainToASCII } from 'node:url';
import { type AddressMistake, parseAddress, parsePrefix } from '../../config/addresses.ts';
import { isHostName, isNumericLookalike, parseIp } from '../../layout/ip-address.ts';
import { isRegexMistake } from '../build/regex-reading.ts';
import { measureRegex } from '../build/regex-work.ts';
import type { DomainSuffix, Network } from '../rule.ts';

const NAME_FORMS = 'a name such as www.example.com';
const SUFFIX_FORMS = 'a name such as example.com, or .example.com for what is below it only';
const KEYWORD_FORMS = 'a part of a name: letters, digits, hyphens, underscores and dots';
const NAME_CHARACTERS_MAX = 253;

export function parseName(text: string): string | AddressMistake {
  const name = asciiName(text);
  if (typeof name === 'string') return name;
  if (text.startsWith('.') || text.startsWith('*')) {
    const wrong = `${name.wrong}; its key is \`domain_suffix\``;
    return { expected: NAME_FORMS, wrong, nearest: text.replace(/^\*?\.*/, '.') };
  }
  return { expected: NAME_FORMS, ...name };
}

export function parseSuffix(text: string): DomainSuffix | AddressMistake {
  const isBelow = text.startsWith('.');
  const name = asciiName(isBelow ? text.slice(1) : text);
  if (typeof name === 'string') return { name, isBelow };
  return text.startsWith('*.')
    ? { expected: SUFFIX_FORMS, ...name, nearest: text.slice(1) }
    : { expected: SUFFIX_FORMS, ...name };
}

/** What no name can hold would never match. */
export function parseKeyword(text: string): string | AddressMistake {
  if (text.length > NAME_CHARACTERS_MAX) {
    return { expected: KEYWORD_FORMS, wrong: 'is longer than any name' };
  }
  if (!/^[\w.-]+$/.test(text)) return { expected: KEYWORD_FORMS, wrong: 'occurs in no name' };
  return text.toLowerCase();
}

export function parseExpression(text: string): string | AddressMistake {
  const measure = measureRegex(text);
  if (!isRegexMistake(measure)) return text;
  const { wrong, at, expected } = measure;
  return { expected, wrong: `is wrong at character ${at + 1}: ${wrong}` };
}

export function parseNetwork(text: string): Network | AddressMistake {
  const prefix = parsePrefix(text);
  if (typeof prefix !== 'string') return prefix;
  const [address = '', bits] = prefix.split('/');
  const [a = 0, b = 0, c = 0, d = 0] = parseIp(address) ?? [];
  return { words: [a, b, c, d], bits: Number(bits) + (address.includes(':') ? 0 : 96) };
}

/** What an address or a name to go to comes to. */
export function parseOverride(text: string): { words: Network['words'] } | { name: string } | AddressMistake {
  const address = parseAddress(text);
  if (address !== undefined) return { words: address.words };
  const name = asciiName(text);
  return typeof name === 'string'
    ? { name }
    : { expected: 'an IP address or a name, without a port', ...name };
}

function asciiName(text: string): string | { wrong: string } {
  if (text === '') return { wrong: 'is empty' };
  if (text.includes('*')) return { wrong: 'has a wildcard' };
  if (parseAddress(text.replace(/^\[(.*)\]$/, '$1')) !== undefined) {
    return { wrong: 'is an address; its key is `ip_cidr`' };
  }
  // What is ASCII already is not shown to the URL parser, which would take `1.2` for an address.
  const isAscii = Buffer.byteLength(text) === text.length;
  const name = (isAscii ? text : domainToASCII(text)).toLowerCase().replace(/\.$/, '');
  const bytes = Buffer.from(name, 'latin1');
  if (!isHostName(bytes, 0, bytes.length) || name.endsWith('.')) return { wrong: 'is not a name' };
  if (isNumericLookalike(bytes, 0, bytes.length)) return { wrong: 'ends in a number, as no name does' };
  return name;
}
