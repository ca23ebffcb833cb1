// What a rule lists, made ready to be asked whether it holds something: a thousand names or networks are looked up one by
// one in what another thousand were filed by, not compared each with each. All questions of one search are counted, so that
// it comes to an end whatever was written; when they are spent every answer is no.

import { maskWord } from '../../layout/network-set.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';
import type { DomainSuffix, Network, Range } from '../rule.ts';

/** One search. What was filed once serves every later question of the same list. */
export interface Comparing {
  stepsLeft: number;
  readonly filed: Map<readonly unknown[], unknown>;
  /** As covers.ts has it. */
  readonly groups: Map<unknown, number>;
}

export function newComparing(steps: number): Comparing {
  return { stepsLeft: steps, filed: new Map(), groups: new Map() };
}

/** Takes steps. @returns whether there were fewer */
export function isSpent(comparing: Comparing, steps: number): boolean {
  comparing.stepsLeft -= steps;
  return comparing.stepsLeft < 0;
}

/** @returns undefined where the steps are spent */
function filed<Item, Files>(
  list: readonly Item[],
  comparing: Comparing,
  file: (list: readonly Item[]) => Files,
): Files | undefined {
  const before = comparing.filed.get(list);
  if (before !== undefined) return isSpent(comparing, 1) ? undefined : (before as Files);
  if (isSpent(comparing, 1 + list.length)) return undefined;
  const files = file(list);
  comparing.filed.set(list, files);
  return files;
}

export function isAmong<Value extends string | number>(
  one: Value,
  all: readonly Value[],
  comparing: Comparing,
): boolean {
  return all.length > 0 && filed(all, comparing, (list) => new Set(list))?.has(one) === true;
}

/** Whether one of `all` goes from before the beginning of `inner` to behind its end. */
export function isInside(inner: Range, all: readonly Range[], comparing: Comparing): boolean {
  const files = filed(all, comparing, fileRanges);
  if (files === undefined) return false;
  let low = 0;
  let high = files.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((files[middle] as Range).from <= inner.from) low = middle + 1;
    else high = middle;
  }
  return low > 0 && (files[low - 1] as Range).to >= inner.to;
}

/** By where they begin; each with the end that is the farthest up to here. */
function fileRanges(all: readonly Range[]): Range[] {
  let farthest = -1;
  return all
    .toSorted((a, b) => a.from - b.from)
    .map(({ from, to }) => {
      farthest = Math.max(farthest, to);
      return { from, to: farthest };
    });
}

interface Suffixes {
  readonly all: Set<string>;
  /** Those that hold for the name itself as well. */
  readonly selves: Set<string>;
}

/** Whether each name that `narrow` stands for ends in one of `all`. A name by itself is as one that holds for itself. */
export function suffixHolds(
  narrow: DomainSuffix,
  all: readonly DomainSuffix[],
  comparing: Comparing,
): boolean {
  const files = all.length === 0 ? undefined : filed(all, comparing, fileSuffixes);
  if (files === undefined) return false;
  const { name, isBelow } = narrow;
  if (files.selves.has(name) || (isBelow && files.all.has(name))) return true;
  for (let at = name.indexOf('.') + 1; at > 0; at = name.indexOf('.', at) + 1) {
    if (isSpent(comparing, 1)) return false;
    if (files.all.has(name.slice(at))) return true;
  }
  return false;
}

function fileSuffixes(all: readonly DomainSuffix[]): Suffixes {
  const files: Suffixes = { all: new Set(), selves: new Set() };
  for (const { name, isBelow } of all) {
    files.all.add(name);
    if (!isBelow) files.selves.add(name);
  }
  return files;
}

interface Networks {
  readonly keys: Set<string | number>;
  /** Lengths that there are. */
  readonly bits: readonly number[];
}

/** Whether one of `all` holds all addresses of `narrow`. */
export function networkHolds(narrow: Network, all: readonly Network[], comparing: Comparing): boolean {
  const files = all.length === 0 ? undefined : filed(all, comparing, fileNetworks);
  if (files === undefined) return false;
  const isMapped = isIpv4(narrow.words);
  for (const bits of files.bits) {
    // What was written as IPv6 never holds IPv4 addresses.
    if (bits > narrow.bits || (isMapped && bits < 96)) continue;
    if (isSpent(comparing, 1)) return false;
    if (files.keys.has(keyOf(narrow, bits))) return true;
  }
  return false;
}

function fileNetworks(all: readonly Network[]): Networks {
  const keys = new Set<string | number>();
  const lengths = new Set<number>();
  for (const network of all) {
    keys.add(keyOf(network, network.bits));
    lengths.add(network.bits);
  }
  return { keys, bits: [...lengths] };
}

/** Of the network of that many bits around it. */
function keyOf({ words }: Network, bits: number): string | number {
  if (bits >= 96 && isIpv4(words)) return ((words[3] & maskWord(bits - 96)) >>> 0) * 256 + bits;
  return `${bits} ${words.map((word, place) => word & maskWord(bits - place * 32)).join('.')}`;
}

function isIpv4(words: Network['words']): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD;
}
