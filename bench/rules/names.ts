// Domain names as block lists have them: 2 to 4 labels of syllables, some with digits and hyphens, under a dozen ends of very
// different frequency. Their mean length is what the list of such names that people use have: 15 to 18 characters.

import type { Random } from './random.ts';

/** An end, and its share in thousandths. */
const ENDS: readonly (readonly [end: string, thousandths: number])[] = [
  ['com', 520],
  ['net', 120],
  ['org', 60],
  ['ru', 60],
  ['de', 45],
  ['co.uk', 35],
  ['info', 35],
  ['io', 30],
  ['cn', 25],
  ['xyz', 25],
  ['com.br', 20],
  ['co.jp', 15],
  ['top', 10],
];
/** What names end in. */
export const NAME_ENDS: readonly string[] = ENDS.map(([text]) => text);
const ONSETS = ['b', 'c', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'tr', 'st', 'cl', 'pr'];
const VOWELS = ['a', 'e', 'i', 'o', 'u', 'ai', 'ee', 'ou'];
const CODAS = ['', '', '', 'n', 'r', 's', 't', 'x', 'ck', 'ng'];
/** What stands before a registered name. */
const HOSTS = ['www', 'cdn', 'ads', 'api', 'img', 'track', 'static', 'm', 's1', 'a', 'stats', 'eu', 'edge'];

function label(random: Random): string {
  const syllables = 2 + (random.isIn(800) ? 1 : 0) + (random.isIn(250) ? 1 : 0);
  let text = '';
  for (let i = 0; i < syllables; i++) {
    text += random.pick(ONSETS) + random.pick(VOWELS) + (i === syllables - 1 ? random.pick(CODAS) : '');
  }
  if (random.isIn(70)) text += `-${random.pick(ONSETS)}${random.pick(VOWELS)}`;
  if (random.isIn(80)) text += random.below(100);
  return text;
}

function shortLabel(random: Random): string {
  return label(random).slice(0, 5).replace(/-$/, '');
}

function end(random: Random): string {
  let left = random.below(1000);
  for (const [text, share] of ENDS) {
    if (left < share) return text;
    left -= share;
  }
  return 'com';
}

/** A name that somebody registered. */
export function registeredName(random: Random): string {
  return `${label(random)}.${end(random)}`;
}

/** A name of 2 to 4 labels. */
export function hostName(random: Random): string {
  const registered = registeredName(random);
  if (random.isIn(600)) return registered;
  const host = random.isIn(600) ? random.pick(HOSTS) : shortLabel(random);
  return random.isIn(120) ? `${random.pick(HOSTS)}.${host}.${registered}` : `${host}.${registered}`;
}

/** Names, none of them twice. */
export function distinctNames(random: Random, count: number): string[] {
  const names = new Set<string>();
  while (names.size < count) names.add(hostName(random));
  return [...names];
}
