// What a rule snapshot looks like: the compiler writes it (compile/), workers read it in place (match/). A snapshot is an
// immutable range of the shared arena of rules: words, addressed from the arena's beginning where a field says `at`, from
// the block's beginning where it says `offset`.
//
//   snapshot ─► rule records (what to do)                      one for each rule, in the order of their evaluation
//            ─► main block: conditions of the rules            compiled anew with every change
//            ─► set blocks: conditions of rule sets            compiled once, shared by snapshots
//
// A block holds, for each group of conditions, a vector of bits: rule r may match as far as this group goes. A group that a
// rule says nothing about lets it through: that is the group's default vector. A look-up (a domain, an address, a port)
// answers a class: a set of bits beyond the default. All groups' vectors together leave the candidates, in order; what can't
// be looked up that way is the rest program of the rule (OP_*).
//
//   bits of a vector: [0, rules) rules · [rules, bits) group bits, which only rest programs ask for

import { atomic, defineRecords, i32 } from '../memory/records.ts';

/** Words of the arena: 1 GiB of address space, of which only what is written costs memory. */
export const RULES_ARENA_WORDS = 2 ** 28;
/** Snapshots that may live at one time: in force, pinned by connections that wait, kept for a rollback. */
export const SNAPSHOTS_MAX = 256;
/** Rules of a snapshot, and rules of a rule set after those that say the same kind of thing were put together. */
export const RULES_MAX = 32_768;
/** Rule sets of a snapshot. */
export const RULE_SETS_MAX = 1_024;
/** Judgements asked of addresses, of a snapshot: one bit each. */
export const EXTERNALS_MAX = 32;
/** Logical rules inside each other. */
export const NESTING_MAX = 8;

/** List key (LIST_RULE) of connections that no rule has decided. */
export const RULE_KEY_FINAL = 0;
/** What they are found by; no rule may be called so. */
export const RULE_NAME_FINAL = 'final';
/** No snapshot is in force: there are no rules. */
export const NO_SNAPSHOT = -1;

/** One row for each snapshot alive. The control thread writes; workers pin. */
export const snapshotType = defineRecords('Snapshot', {
  /** Grows by one with each snapshot; what slots and receipts name. */
  id: i32,
  /** Where it begins in the arena. */
  at: i32,
  /** Connections that were suspended while they matched it. */
  pins: atomic,
});

export type SnapshotTable = ReturnType<typeof snapshotType.attach>;

// ---- Snapshot: words from `at`.
export const SNAPSHOT_ID = 0;
export const SNAPSHOT_RULES = 1;
/** Rule records, RULE_WORDS each: where they begin. */
export const SNAPSHOT_RECORDS_AT = 2;
export const SNAPSHOT_BLOCK_AT = 3;
/** Metadata that any rule may ask for: NEED_* bits. */
export const SNAPSHOT_NEEDS = 4;
export const SNAPSHOT_SETS = 5;
/** From here on: where the block of each set begins. */
export const SNAPSHOT_SETS_AT = 6;

// ---- Rule record.
export const RULE_KEY = 0;
/** ACTION_*. */
export const RULE_ACTION = 1;
/** Of ACTION_REJECT: REJECT_*. */
export const RULE_METHOD = 2;
/** ON_TIMEOUT_*. */
export const RULE_ON_TIMEOUT = 3;
/** Of ACTION_ROUTE: index and generation; -1: the service's, or `final`. */
export const RULE_OUTBOUND = 4;
export const RULE_OUTBOUND_GENERATION = 5;
/** Milliseconds that a look-up, a sniff or a resolution of this rule may take. */
export const RULE_TIMEOUT_MS = 6;
/** OVERRIDE_*; four words of an address; or text (a name): where, and its bytes. */
export const RULE_OVERRIDE = 7;
export const RULE_OVERRIDE_ADDRESS = 8;
export const RULE_OVERRIDE_TEXT_AT = 12;
export const RULE_OVERRIDE_TEXT_BYTES = 13;
/** 0: as it is. */
export const RULE_OVERRIDE_PORT = 14;
/** Of ACTION_SNIFF: PROTOCOL_* bits (1 << protocol) that are looked for. */
export const RULE_SNIFFERS = 15;
export const RULE_WORDS = 16;

export const ACTION_ROUTE = 1;
export const ACTION_REJECT = 2;
/** Not final: matching goes on behind it. */
export const ACTION_LIMIT = 3;
export const ACTION_SNIFF = 4;
export const ACTION_RESOLVE = 5;

/** In the client's protocol where it has words for it, else a reset. */
export const REJECT_REPLY = 0;
export const REJECT_RESET = 1;
export const REJECT_FIN = 2;
/** Nothing is said: the client hears no more until its handshake deadline. */
export const REJECT_DROP = 3;

export const ON_TIMEOUT_SKIP = 0;
export const ON_TIMEOUT_REJECT = 1;
export const ON_TIMEOUT_ALLOW = 2;

export const OVERRIDE_NONE = 0;
export const OVERRIDE_ADDRESS = 1;
export const OVERRIDE_NAME = 2;

// ---- What a connection speaks, as sniffed or as its inbound knows.
export const PROTOCOL_UNKNOWN = 0;
export const PROTOCOL_TLS = 1;
export const PROTOCOL_HTTP = 2;
export const PROTOCOL_QUIC = 3;
export const PROTOCOL_SSH = 4;
export const PROTOCOL_DNS = 5;
export const PROTOCOL_NAMES = ['unknown', 'tls', 'http', 'quic', 'ssh', 'dns'] as const;

export const NETWORK_TCP = 0;
export const NETWORK_UDP = 1;

export const DEVICE_UNKNOWN = 0;
export const DEVICE_KNOWN = 1;
/** By number; the first two have names of their own. */
export const DEVICE_NAMES = ['unknown', 'known', 'new', 'on_grace', 'denied'] as const;

// ---- Metadata that is not at hand: whoever evaluates comes back with it, or without it at the deadline.
/** Program and user of a local client. */
export const NEED_PROCESS = 1;
/** A judgement; which one is said beside it. */
export const NEED_EXTERNAL = 2;

// ---- Block: words from its beginning.
export const BLOCK_WORDS = 0;
export const BLOCK_RULES = 1;
/** Words of a vector. */
export const BLOCK_VECTOR_WORDS = 2;
/** Offset of the offsets of classes, by number. */
export const BLOCK_CLASSES = 3;
/** Offset of the offsets of rest programs, by rule; in it 0: the candidate matches without further questions. */
export const BLOCK_PROGRAMS = 4;
/** NEED_* bits. */
export const BLOCK_NEEDS = 5;
/** By group of GROUP_MERGED: offset of the vector of rules that have conditions in it. Of rule sets; else 0. */
export const BLOCK_HAS = 6;
/**
 * Offset of the groups that rules have conditions in: [count, (group, offset of its default vector, offset of the vector of
 * the rules that are looked for in it, or 0) × count]. Every rule that has conditions has one group in which it is looked
 * for, the one that lets the fewest through; such groups come first.
 */
export const BLOCK_GROUPS = 10;
/** Offset of the vector of rules without conditions in any indexed group: always candidates. */
export const BLOCK_ALWAYS = 11;
/** Offset of the vector of rules that want a keyword in the name: candidates where it has any. 0: there are none. */
export const BLOCK_KEYWORDED = 12;
/** 1: one rule, of destinations that are looked up, and nothing else: whatever class is found, it matches. */
export const BLOCK_IS_PLAIN = 13;
/** By index (INDEX_*): its offset; 0: none. */
export const BLOCK_INDEXES = 16;
export const BLOCK_HEADER_WORDS = 36;

// Groups: OR inside, AND between.
// The first four are put together with those of a rule set that the rule names (sing-box: "merged").
export const GROUP_DESTINATION = 0;
export const GROUP_PORT = 1;
export const GROUP_SOURCE = 2;
export const GROUP_SOURCE_PORT = 3;
export const GROUPS_MERGED = 4;
export const GROUP_INBOUND = 4;
export const GROUP_SERVICE = 5;
export const GROUP_USER = 6;
export const GROUP_NETWORK = 7;
export const GROUP_PROTOCOL = 8;
export const GROUP_IP_VERSION = 9;
export const GROUP_TIME = 10;
export const GROUP_DEVICE = 11;
/** Groups up to here are vectors; those behind are asked for by rest programs only, since they may have to be looked up. */
export const GROUPS_INDEXED = 12;
export const GROUP_PROCESS_NAME = 12;
export const GROUP_PROCESS_PATH = 13;
export const GROUP_USER_ID = 14;
export const GROUPS_COUNT = 15;

// Indexes: what is looked up, and answers a class.
/** Domain table (layout/rules-domains.ts). Of GROUP_DESTINATION, as the next two. */
export const INDEX_DOMAIN = 0;
/** Intervals of one word: IPv4. */
export const INDEX_IPV4 = 1;
/** Intervals of four words: IPv6. */
export const INDEX_IPV6 = 2;
export const INDEX_PORT = 3;
export const INDEX_SOURCE_IPV4 = 4;
export const INDEX_SOURCE_IPV6 = 5;
export const INDEX_SOURCE_PORT = 6;
/** Keyed hashes of names, two words each. */
export const INDEX_INBOUND = 7;
export const INDEX_SERVICE = 8;
export const INDEX_USER = 9;
/** Class + 1 by value; 0: none. */
export const INDEX_NETWORK = 10;
export const INDEX_PROTOCOL = 11;
/** By 0: IPv4, 1: IPv6. */
export const INDEX_IP_VERSION = 12;
/** Intervals of one word: minutes since Monday 00:00, local time. */
export const INDEX_TIME = 13;
export const INDEX_DEVICE = 14;
/** Keyed hashes. */
export const INDEX_PROCESS_NAME = 15;
export const INDEX_PROCESS_PATH = 16;
/** Intervals of one word. */
export const INDEX_USER_ID = 17;
/** Automaton (match/keywords.ts), whose answers are predicate bits. */
export const INDEX_KEYWORDS = 18;
/** [count, offset of each machine] (match/regex.ts). */
export const INDEX_REGEXES = 19;

/** Words of an entry of BLOCK_GROUPS. */
export const BLOCK_GROUP_WORDS = 3;

// Classes. A class is [n, (word, bits) × n], its words ascending; or [CLASS_DENSE, vector].
export const CLASS_DENSE = -1;

// Intervals of one word: [n, 1: with an index, (65,537 words: by the upper 16 bits, the bound to begin at), bound × n,
// class + 1 × n]; of four words: [n, 0, bound of four words × n, class + 1 × n]. Bounds ascend as unsigned numbers and are
// kept with their upper bit turned, so that they compare as signed ones. A value belongs to the last bound that is not above
// it; the first bound is 0.

// Hashes: [mask, (hash word 0, hash word 1, class + 1) × (mask + 1)], open addressing from word 0 & mask; class + 1 of 0: free.

// Rest programs: prefix notation. A node is [op | words of the whole node << 8, arguments].
export const OP_TRUE = 1;
export const OP_FALSE = 2;
/** Children follow until the node's end. */
export const OP_AND = 3;
export const OP_OR = 4;
/** One child. */
export const OP_NOT = 5;
/** [group, bit]: whether the group's vector has it. */
export const OP_BIT = 6;
/** [predicate]: whether the name holds a keyword of it. */
export const OP_KEYWORD = 7;
/** [machine]. */
export const OP_REGEX = 8;
/** [external]: a judgement. */
export const OP_EXTERNAL = 9;
/**
 * [number of sets, sets, GROUPS_MERGED offsets of nodes relative to this one, 0: no condition]: whether a rule of the sets
 * matches together with these conditions of the outer rule.
 */
export const OP_MERGED = 10;
/** [group, one child]: in a rule set, true where the outer rule satisfies the group. */
export const OP_GROUP = 11;
