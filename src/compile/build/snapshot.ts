// Puts a snapshot together: its rules' block and records, in one range of the arena, and where the blocks of its rule sets
// lie. Compiler thread.

import {
  ACTION_LIMIT,
  ACTION_REJECT,
  ACTION_RESOLVE,
  ACTION_ROUTE,
  ACTION_SNIFF,
  EXTERNALS_MAX,
  OVERRIDE_ADDRESS,
  OVERRIDE_NAME,
  OVERRIDE_NONE,
  RULE_ACTION,
  RULE_KEY,
  RULE_METHOD,
  RULE_ON_TIMEOUT,
  RULE_OUTBOUND,
  RULE_OUTBOUND_GENERATION,
  RULE_OVERRIDE,
  RULE_OVERRIDE_ADDRESS,
  RULE_OVERRIDE_PORT,
  RULE_OVERRIDE_TEXT_AT,
  RULE_OVERRIDE_TEXT_BYTES,
  RULE_SNIFFERS,
  RULE_TIMEOUT_MS,
  RULE_WORDS,
  SNAPSHOT_BLOCK_AT,
  SNAPSHOT_ID,
  SNAPSHOT_NEEDS,
  SNAPSHOT_RECORDS_AT,
  SNAPSHOT_RULES,
  SNAPSHOT_SETS,
  SNAPSHOT_SETS_AT,
} from '../../layout/rules.ts';
import type { BoundObject } from '../../layout/compiler-messages.ts';
import type { Rule } from '../rule.ts';
import { buildRules } from './block.ts';
import type { BuildContext } from './context.ts';

/** A rule set that has been placed. */
export interface PlacedSet {
  /** Where its block begins in the arena. */
  readonly at: number;
  /** NEED_* bits. */
  readonly needs: number;
  /** Merged groups that any of its rules has conditions in, as bits. */
  readonly groups: number;
}

export interface SnapshotInit {
  readonly id: number;
  readonly rules: readonly Rule[];
  /** List key of a rule. */
  readonly keyOf: (ruleId: string) => number;
  readonly outbounds: ReadonlyMap<string, BoundObject>;
  /** Those that the rules name, and may be others. */
  readonly sets: ReadonlyMap<string, PlacedSet>;
  readonly context: BuildContext;
}

export interface BuiltSnapshot {
  /** Words of the range that it wants. */
  readonly words: number;
  /** NEED_* bits. */
  readonly needs: number;
  readonly externals: readonly { readonly url: string; readonly timeoutMs: number }[];
  /** Writes it into its range of the arena. */
  readonly write: (arena: Int32Array, at: number) => void;
}

const ACTIONS = {
  route: ACTION_ROUTE,
  reject: ACTION_REJECT,
  limit: ACTION_LIMIT,
  sniff: ACTION_SNIFF,
  resolve: ACTION_RESOLVE,
} as const;

/** @throws RangeError for more judgements than a snapshot has bits for */
export function buildSnapshot(init: SnapshotInit): BuiltSnapshot {
  const tags: string[] = [];
  const externals: string[] = [];
  const numberOf = (texts: string[], text: string): number => {
    const found = texts.indexOf(text);
    return found >= 0 ? found : texts.push(text) - 1;
  };
  const block = buildRules(
    init.rules.map(({ condition }) => condition),
    init.context,
    {
      setOf: (tag) => numberOf(tags, tag),
      groupsOf: (tag) => placedSet(init, tag).groups,
      externalOf: (url) => numberOf(externals, url),
    },
  );
  if (externals.length > EXTERNALS_MAX) {
    throw new RangeError(`rules ask ${externals.length} addresses; ${EXTERNALS_MAX} are the most`);
  }
  const sets = tags.map((tag) => placedSet(init, tag));
  const needs = sets.reduce((all, set) => all | set.needs, block.needs);
  const texts = init.rules.map(overrideText);
  const textWords = texts.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0);
  const headerWords = SNAPSHOT_SETS_AT + sets.length;
  const recordWords = init.rules.length * RULE_WORDS;
  return {
    words: headerWords + recordWords + textWords + block.words.length,
    needs,
    externals: externals.map((url) => ({ url, timeoutMs: timeoutOf(init.rules, url) })),
    write(arena, at) {
      const recordsAt = at + headerWords;
      const blockAt = recordsAt + recordWords + textWords;
      arena[at + SNAPSHOT_ID] = init.id;
      arena[at + SNAPSHOT_RULES] = init.rules.length;
      arena[at + SNAPSHOT_RECORDS_AT] = recordsAt;
      arena[at + SNAPSHOT_BLOCK_AT] = blockAt;
      arena[at + SNAPSHOT_NEEDS] = needs;
      arena[at + SNAPSHOT_SETS] = sets.length;
      for (const [index, set] of sets.entries()) arena[at + SNAPSHOT_SETS_AT + index] = set.at;
      let textAt = recordsAt + recordWords;
      for (const [index, rule] of init.rules.entries()) {
        writeRecord(arena, recordsAt + index * RULE_WORDS, rule, init);
        const text = texts[index] as Uint8Array;
        arena[recordsAt + index * RULE_WORDS + RULE_OVERRIDE_TEXT_AT] = textAt;
        arena[recordsAt + index * RULE_WORDS + RULE_OVERRIDE_TEXT_BYTES] = text.length;
        textAt += writeText(arena, textAt, text);
      }
      arena.set(block.words, blockAt);
    },
  };
}

function placedSet(init: SnapshotInit, tag: string): PlacedSet {
  const set = init.sets.get(tag);
  if (set === undefined) throw new RangeError(`nothing has compiled the rule set ${tag}`);
  return set;
}

/** An address is asked once for all rules that name it: the most patient of them says for how long. */
function timeoutOf(rules: readonly Rule[], url: string): number {
  let timeoutMs = 0;
  for (const rule of rules) {
    if (JSON.stringify(rule.condition).includes(JSON.stringify(url))) {
      timeoutMs = Math.max(timeoutMs, rule.timeoutMs);
    }
  }
  return timeoutMs;
}

function overrideText({ action }: Rule): Uint8Array {
  const address = action.kind === 'route' ? action.overrideAddress : undefined;
  return address !== undefined && 'name' in address ? Buffer.from(address.name, 'latin1') : new Uint8Array(0);
}

function writeText(arena: Int32Array, at: number, text: Uint8Array): number {
  const words = Math.ceil(text.length / 4);
  arena.fill(0, at, at + words);
  for (const [index, byte] of text.entries()) {
    arena[at + (index >> 2)] = (arena[at + (index >> 2)] as number) | (byte << ((index & 3) * 8));
  }
  return words;
}

function writeRecord(arena: Int32Array, at: number, rule: Rule, init: SnapshotInit): void {
  const { action } = rule;
  arena.fill(0, at, at + RULE_WORDS);
  arena[at + RULE_KEY] = init.keyOf(rule.id);
  arena[at + RULE_ACTION] = ACTIONS[action.kind];
  arena[at + RULE_ON_TIMEOUT] = rule.onTimeout;
  arena[at + RULE_TIMEOUT_MS] = rule.timeoutMs;
  arena[at + RULE_OUTBOUND] = -1;
  if (action.kind === 'reject') arena[at + RULE_METHOD] = action.method;
  if (action.kind === 'sniff') {
    arena[at + RULE_SNIFFERS] = action.protocols.reduce((bits, protocol) => bits | (1 << protocol), 0);
  }
  if (action.kind !== 'route') return;
  const outbound = action.outbound === undefined ? undefined : init.outbounds.get(action.outbound);
  if (action.outbound !== undefined && outbound === undefined) {
    throw new RangeError(`there is no outbound ${action.outbound}`);
  }
  arena[at + RULE_OUTBOUND] = outbound?.index ?? -1;
  arena[at + RULE_OUTBOUND_GENERATION] = outbound?.generation ?? 0;
  const address = action.overrideAddress;
  arena[at + RULE_OVERRIDE] =
    address === undefined ? OVERRIDE_NONE : 'name' in address ? OVERRIDE_NAME : OVERRIDE_ADDRESS;
  if (address !== undefined && 'words' in address) arena.set(address.words, at + RULE_OVERRIDE_ADDRESS);
  arena[at + RULE_OVERRIDE_PORT] = action.overridePort ?? 0;
}
