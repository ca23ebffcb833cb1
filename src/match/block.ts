// What a query comes to in one block: the classes that its look-ups answered, and from them, word by word, the rules that
// may match. A look-up happens once for a question, however many rules ask. One object a depth (a set is looked at while a
// rule is being decided), used again for every question; allocates nothing.
//
// What a group lets through is its default vector and, beyond it, the bits of the classes that were found: cursors, which
// move along with the words, since a class lists its words in their order.

import {
  BLOCK_ALWAYS,
  BLOCK_CLASSES,
  BLOCK_GROUP_WORDS,
  BLOCK_GROUPS,
  BLOCK_INDEXES,
  BLOCK_KEYWORDED,
  CLASS_DENSE,
  GROUP_DESTINATION,
  GROUP_DEVICE,
  GROUP_INBOUND,
  GROUP_IP_VERSION,
  GROUP_NETWORK,
  GROUP_PORT,
  GROUP_PROTOCOL,
  GROUP_SERVICE,
  GROUP_SOURCE,
  GROUP_SOURCE_PORT,
  GROUP_TIME,
  GROUP_USER,
  GROUPS_INDEXED,
  INDEX_DEVICE,
  INDEX_DOMAIN,
  INDEX_INBOUND,
  INDEX_IPV4,
  INDEX_IPV6,
  INDEX_IP_VERSION,
  INDEX_KEYWORDS,
  INDEX_NETWORK,
  INDEX_PORT,
  INDEX_PROTOCOL,
  INDEX_SERVICE,
  INDEX_SOURCE_IPV4,
  INDEX_SOURCE_IPV6,
  INDEX_SOURCE_PORT,
  INDEX_TIME,
  INDEX_USER,
} from '../layout/rules.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';
import { classOfName } from './domains.ts';
import { classOfAddress, classOfHash, classOfWord } from './intervals.ts';
import { KEYWORD_PREDICATES_MAX, scanKeywords } from './keywords.ts';
import { ADDRESSES_MAX, type Query } from './query.ts';

/** A name and some addresses in one group; the other groups have one each. */
const CURSORS_PER_GROUP = 1 + ADDRESSES_MAX;
/** Instead of a number of cursors: nobody has asked yet. */
const NOT_LOOKED_UP = -1;

export class BlockState {
  private readonly arena: Int32Array;
  private readonly bytes: Uint8Array;
  private readonly seed: number;
  /** Where the block begins. */
  at = 0;
  /** Groups that rules of the block have conditions in. */
  readonly active = new Int32Array(GROUPS_INDEXED);
  activeCount = 0;
  private readonly defaultAt = new Int32Array(GROUPS_INDEXED);
  // By group and cursor: the class's first pair, the pair it stands at, its end; or of a dense one the vector and -1.
  private readonly cursors = new Int32Array(GROUPS_INDEXED);
  private readonly starts = new Int32Array(GROUPS_INDEXED * CURSORS_PER_GROUP);
  private readonly stands = new Int32Array(GROUPS_INDEXED * CURSORS_PER_GROUP);
  private readonly ends = new Int32Array(GROUPS_INDEXED * CURSORS_PER_GROUP);
  // Cursors in whose classes rules are looked for: pair and end (-1: dense), and the vector of the rules looked for there.
  private readonly primaryStands = new Int32Array(GROUPS_INDEXED * CURSORS_PER_GROUP);
  private readonly primaryEnds = new Int32Array(GROUPS_INDEXED * CURSORS_PER_GROUP);
  private readonly primaryMasks = new Int32Array(GROUPS_INDEXED * CURSORS_PER_GROUP);
  private primaries = 0;
  private alwaysAt = 0;
  /** Of the word that `next` has stopped at. */
  always: number = 0;
  found: number = 0;
  private query!: Query;
  private readonly keywords = new Int32Array(KEYWORD_PREDICATES_MAX / 32);
  private areKeywordsScanned = false;
  private isAnyKeyword = false;

  constructor(arena: Int32Array, bytes: Uint8Array, seed: number) {
    this.arena = arena;
    this.bytes = bytes;
    this.seed = seed;
  }

  /**
   * Looks up what rules are looked for in; the other groups when a candidate has to be judged by them.
   * @param satisfied merged groups that an outer rule satisfies, as bits
   */
  begin(at: number, query: Query, satisfied: number): void {
    const { arena, active, defaultAt, cursors } = this;
    this.at = at;
    this.areKeywordsScanned = false;
    this.primaries = 0;
    this.query = query;
    this.alwaysAt = at + (arena[at + BLOCK_ALWAYS] as number);
    const groups = at + (arena[at + BLOCK_GROUPS] as number);
    const activeCount = arena[groups] as number;
    for (let i = 0, entry = groups + 1; i < activeCount; i++, entry += BLOCK_GROUP_WORDS) {
      const group = arena[entry] as number;
      active[i] = group;
      defaultAt[group] = at + (arena[entry + 1] as number);
      cursors[group] = NOT_LOOKED_UP;
      const primary = arena[entry + 2] as number;
      if (primary !== 0) this.search(group, at + primary, (satisfied >>> group) & 1);
    }
    this.activeCount = activeCount;
    const keyworded = arena[at + BLOCK_KEYWORDED] as number;
    if (keyworded === 0) return;
    if (((satisfied >>> GROUP_DESTINATION) & 1) === 1 || this.hasKeywords()) this.searchAll(at + keyworded);
  }

  /** Notes where rules of a group are looked for. A group that is satisfied has them all. */
  private search(group: number, mask: number, isSatisfied: number): void {
    if (isSatisfied === 1) {
      this.searchAll(mask);
      return;
    }
    this.lookUp(group);
    const first = group * CURSORS_PER_GROUP;
    const last = first + (this.cursors[group] as number);
    for (let cursor = first; cursor < last; cursor++) {
      this.primaryStands[this.primaries] = this.starts[cursor] as number;
      this.primaryEnds[this.primaries] = this.ends[cursor] as number;
      this.primaryMasks[this.primaries++] = mask;
    }
  }

  /** All of these rules are looked at. */
  private searchAll(mask: number): void {
    this.primaryStands[this.primaries] = mask;
    this.primaryEnds[this.primaries] = -1;
    this.primaryMasks[this.primaries++] = mask;
  }

  /**
   * The next word, from `k` on and before `words`, in which there may be candidates: `always`, whom no group refuses, and
   * `found`, who were found in one. @returns `words`: none
   */
  next(k: number, words: number): number {
    const { arena, alwaysAt } = this;
    for (let from = k; from < words; ) {
      const word = this.nearest(from, words);
      // Those whom no group refuses may stand before.
      for (; from < word; from++) {
        if (arena[alwaysAt + from] === 0) continue;
        this.always = arena[alwaysAt + from] as number;
        this.found = 0;
        return from;
      }
      if (word === words) break;
      this.always = arena[alwaysAt + word] as number;
      this.found = this.foundIn(word);
      if ((this.always | this.found) !== 0) return word;
      from = word + 1;
    }
    return words;
  }

  /** The first word, from `from` on, in which a cursor has found a rule; `words`: none has. */
  private nearest(from: number, words: number): number {
    const { arena, primaries, primaryStands, primaryEnds, primaryMasks } = this;
    let word = words;
    for (let i = 0; i < primaries; i++) {
      const end = primaryEnds[i] as number;
      const mask = primaryMasks[i] as number;
      let stand = primaryStands[i] as number;
      if (end < 0) {
        let k = from;
        while (k < word && ((arena[stand + k] as number) & (arena[mask + k] as number)) === 0) k++;
        word = k;
        continue;
      }
      for (; stand < end; stand += 2) {
        const k = arena[stand] as number;
        if (k >= from && ((arena[stand + 1] as number) & (arena[mask + k] as number)) !== 0) break;
      }
      primaryStands[i] = stand;
      if (stand < end && (arena[stand] as number) < word) word = arena[stand] as number;
    }
    return word;
  }

  /** Rules of a word that cursors, which stand there or beyond, have found. */
  private foundIn(word: number): number {
    const { arena, primaries, primaryStands, primaryEnds, primaryMasks } = this;
    let found = 0;
    for (let i = 0; i < primaries; i++) {
      const end = primaryEnds[i] as number;
      const stand = primaryStands[i] as number;
      const mask = arena[(primaryMasks[i] as number) + word] as number;
      if (end < 0) found |= (arena[stand + word] as number) & mask;
      else if (stand < end && arena[stand] === word) found |= (arena[stand + 1] as number) & mask;
    }
    return found;
  }

  /** Of a plain block (BLOCK_IS_PLAIN), which need not be begun: whether its rule matches. */
  isDestination(at: number, query: Query): boolean {
    const { arena } = this;
    this.at = at;
    const names = this.indexAt(INDEX_DOMAIN);
    if (names !== 0 && classOfName(arena, this.bytes, names, this.seed, query) >= 0) return true;
    for (let i = 0; i < query.addressesCount; i++) {
      const isWord = isIpv4(query.addresses, i * 4);
      const index = this.indexAt(isWord ? INDEX_IPV4 : INDEX_IPV6);
      if (index === 0) continue;
      const found = isWord
        ? classOfWord(arena, index, query.addresses[i * 4 + 3] as number)
        : classOfAddress(arena, index, query.addresses, i * 4);
      if (found >= 0) return true;
    }
    return false;
  }

  private lookUp(group: number): void {
    const query = this.query;
    this.cursors[group] = 0;
    switch (group) {
      case GROUP_DESTINATION:
        this.lookUpDestination(query);
        return;
      case GROUP_PORT:
        this.byWord(group, INDEX_PORT, query.port);
        return;
      case GROUP_SOURCE:
        this.byAddress(group, INDEX_SOURCE_IPV4, INDEX_SOURCE_IPV6, query.source, 0);
        return;
      case GROUP_SOURCE_PORT:
        this.byWord(group, INDEX_SOURCE_PORT, query.sourcePort);
        return;
      case GROUP_INBOUND:
        this.byHash(group, INDEX_INBOUND, query.inbound);
        return;
      case GROUP_SERVICE:
        this.byHash(group, INDEX_SERVICE, query.service);
        return;
      case GROUP_USER:
        this.byHash(group, INDEX_USER, query.user);
        return;
      case GROUP_NETWORK:
        this.byValue(group, INDEX_NETWORK, query.network);
        return;
      case GROUP_PROTOCOL:
        this.byValue(group, INDEX_PROTOCOL, query.protocol);
        return;
      case GROUP_IP_VERSION:
        for (let i = 0; i < query.addressesCount; i++) {
          this.byValue(group, INDEX_IP_VERSION, isIpv4(query.addresses, i * 4) ? 0 : 1);
        }
        return;
      case GROUP_TIME:
        this.byWord(group, INDEX_TIME, query.minuteOfWeek);
        return;
      case GROUP_DEVICE:
        this.byValue(group, INDEX_DEVICE, query.device);
    }
  }

  private lookUpDestination(query: Query): void {
    const at = this.indexAt(INDEX_DOMAIN);
    if (at !== 0) this.add(GROUP_DESTINATION, classOfName(this.arena, this.bytes, at, this.seed, query));
    for (let i = 0; i < query.addressesCount; i++) {
      this.byAddress(GROUP_DESTINATION, INDEX_IPV4, INDEX_IPV6, query.addresses, i * 4);
    }
  }

  private byWord(group: number, index: number, value: number): void {
    const at = this.indexAt(index);
    if (at !== 0) this.add(group, classOfWord(this.arena, at, value));
  }

  private byAddress(group: number, ipv4: number, ipv6: number, words: Int32Array, from: number): void {
    if (isIpv4(words, from)) {
      this.byWord(group, ipv4, words[from + 3] as number);
      return;
    }
    const at = this.indexAt(ipv6);
    if (at === 0 || isNone(words, from, group)) return;
    this.add(group, classOfAddress(this.arena, at, words, from));
  }

  private byHash(group: number, index: number, hash: Int32Array): void {
    const at = this.indexAt(index);
    if (at !== 0) this.add(group, classOfHash(this.arena, at, hash[0] as number, hash[1] as number));
  }

  private byValue(group: number, index: number, value: number): void {
    const at = this.indexAt(index);
    if (at !== 0) this.add(group, (this.arena[at + value] as number) - 1);
  }

  /** @returns 0: the block has no such index */
  indexAt(index: number): number {
    const offset = this.arena[this.at + BLOCK_INDEXES + index] as number;
    return offset === 0 ? 0 : this.at + offset;
  }

  /** Where a class begins. */
  classAt(found: number): number {
    const classes = this.at + (this.arena[this.at + BLOCK_CLASSES] as number);
    return this.at + (this.arena[classes + found] as number);
  }

  private add(group: number, found: number): void {
    if (found < 0) return;
    const at = this.classAt(found);
    const pairs = this.arena[at] as number;
    const cursor = group * CURSORS_PER_GROUP + (this.cursors[group] as number);
    this.cursors[group] = (this.cursors[group] as number) + 1;
    this.starts[cursor] = at + 1;
    this.stands[cursor] = at + 1;
    this.ends[cursor] = pairs === CLASS_DENSE ? -1 : at + 1 + pairs * 2;
  }

  /** What the group lets through, of the rules of word `k`. Words are asked for in ascending order. */
  word(group: number, k: number): number {
    const arena = this.arena;
    if (this.cursors[group] === NOT_LOOKED_UP) this.lookUp(group);
    let bits = arena[(this.defaultAt[group] as number) + k] as number;
    const first = group * CURSORS_PER_GROUP;
    const last = first + (this.cursors[group] as number);
    for (let cursor = first; cursor < last; cursor++) {
      const end = this.ends[cursor] as number;
      let stand = this.stands[cursor] as number;
      if (end < 0) {
        bits |= arena[stand + k] as number;
        continue;
      }
      while (stand < end && (arena[stand] as number) < k) stand += 2;
      this.stands[cursor] = stand;
      if (stand < end && arena[stand] === k) bits |= arena[stand + 1] as number;
    }
    return bits;
  }

  /** Whether a class that was found for the group has the bit. */
  has(group: number, bit: number): boolean {
    if (this.cursors[group] === NOT_LOOKED_UP) this.lookUp(group);
    const first = group * CURSORS_PER_GROUP;
    const last = first + (this.cursors[group] as number);
    for (let cursor = first; cursor < last; cursor++) {
      const end = this.ends[cursor] as number;
      const start = this.starts[cursor] as number;
      if (hasBit(this.arena, start, end, bit)) return true;
    }
    return false;
  }

  /** Whether the class has the bit. For groups without cursors. */
  classHas(found: number, bit: number): boolean {
    if (found < 0) return false;
    const at = this.classAt(found);
    const pairs = this.arena[at] as number;
    return hasBit(this.arena, at + 1, pairs === CLASS_DENSE ? -1 : at + 1 + pairs * 2, bit);
  }

  /** Whether the name holds any keyword. */
  private hasKeywords(): boolean {
    const { query } = this;
    if (!this.areKeywordsScanned) {
      this.areKeywordsScanned = true;
      const at = this.indexAt(INDEX_KEYWORDS);
      this.isAnyKeyword = scanKeywords(this.arena, at, query.name, query.nameBytes, this.keywords);
    }
    return this.isAnyKeyword;
  }

  /** Whether the name holds a keyword of this predicate. */
  hasKeyword(predicate: number): boolean {
    this.hasKeywords();
    return (((this.keywords[predicate >>> 5] as number) >>> (predicate & 31)) & 1) === 1;
  }
}

/** Of pairs in [start, end), or of a vector where `end` is -1. The bits that are asked for stand at the end. */
function hasBit(arena: Int32Array, start: number, end: number, bit: number): boolean {
  const word = bit >>> 5;
  if (end < 0) return (((arena[start + word] as number) >>> (bit & 31)) & 1) === 1;
  for (let pair = end - 2; pair >= start; pair -= 2) {
    const found = arena[pair] as number;
    if (found === word) return (((arena[pair + 1] as number) >>> (bit & 31)) & 1) === 1;
    if (found < word) return false;
  }
  return false;
}

function isIpv4(words: Int32Array, from: number): boolean {
  return words[from] === 0 && words[from + 1] === 0 && words[from + 2] === MAPPED_WORD;
}

/** A client on a Unix socket has no address. Of targets, `::` is one. */
function isNone(words: Int32Array, from: number, group: number): boolean {
  return (
    group === GROUP_SOURCE &&
    ((words[from] as number) |
      (words[from + 1] as number) |
      (words[from + 2] as number) |
      (words[from + 3] as number)) ===
      0
  );
}
