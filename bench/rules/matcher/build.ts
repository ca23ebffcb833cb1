// The reference set through the compiler's own functions, as its thread calls them: texts → checked rules → blocks → an arena.
// Every step is timed, in wall time and in CPU time of this process, whose other threads do nothing but compile what it runs.

import { buildSet } from '../../../src/compile/build/block.ts';
import type { BuildContext } from '../../../src/compile/build/context.ts';
import { buildSnapshot, type PlacedSet } from '../../../src/compile/build/snapshot.ts';
import { checkRules } from '../../../src/compile/check/check-rules.ts';
import { readRuleSet } from '../../../src/compile/formats/read.ts';
import type { Rule, RuleSetRules } from '../../../src/compile/rule.ts';
import { deriveNameKeys } from '../../../src/layout/name-hash.ts';
import {
  INBOUNDS,
  NAMES_SET,
  NETWORKS_SET,
  namesText,
  networksText,
  OUTBOUNDS,
  type ReferenceSet,
} from '../reference-set.ts';

export const KEYS = deriveNameKeys(Int32Array.of(1, 2, 3, 4));
const CONTEXT: BuildContext = { keys: KEYS, country: () => [], system: () => [] };
const WORD_BYTES = 4;

export interface BuildTimes {
  /** Seconds of everything, and CPU of the process meanwhile. */
  readonly wallS: number;
  readonly cpuS: number;
  readonly checkS: number;
  readonly readS: number;
  readonly setsS: number;
  readonly snapshotS: number;
}

export interface BuiltReference {
  readonly rules: readonly Rule[];
  readonly sets: ReadonlyMap<string, RuleSetRules>;
  readonly arena: Int32Array;
  /** Where the snapshot begins. */
  readonly at: number;
  readonly times: BuildTimes;
  /** Of the set of names: bytes of its block for each name. */
  readonly bytesADomain: number;
  /** Bytes of everything. */
  readonly bytes: number;
}

export function buildReference(reference: ReferenceSet): BuiltReference {
  const texts = {
    [NAMES_SET]: Buffer.from(namesText(reference.names)),
    [NETWORKS_SET]: Buffer.from(networksText(reference.networks)),
  };
  const beganMs = performance.now();
  const cpuBefore = process.cpuUsage();
  const rules = check(reference);
  const checkedMs = performance.now();
  const sets = new Map<string, RuleSetRules>();
  for (const [tag, format] of [
    [NAMES_SET, 'domains'],
    [NETWORKS_SET, 'networks'],
  ] as const) {
    const { rules: content, mistakes } = readRuleSet(`${tag}.txt`, format, texts[tag]);
    if (mistakes.length > 0) throw new Error(`${tag}: ${JSON.stringify(mistakes[0])}`);
    sets.set(tag, content);
  }
  const readMs = performance.now();
  const blocks = [...sets].map(([tag, set]) => ({ tag, block: buildSet(set, CONTEXT) }));
  const placed = new Map<string, PlacedSet>();
  // Words 0 and on are nobody's, so that an offset taken for a place is noticed.
  let at = 16;
  for (const { tag, block } of blocks) {
    placed.set(tag, { at, needs: block.needs, groups: block.groups });
    at += block.words.length;
  }
  const setsMs = performance.now();
  const keyById = new Map(rules.map(({ id }, place) => [id, place + 1]));
  const snapshot = buildSnapshot({
    id: 1,
    rules,
    keyOf: (id) => keyById.get(id) as number,
    outbounds: new Map(OUTBOUNDS.map((tag, index) => [tag, { tag, index, generation: 1 }])),
    sets: placed,
    context: CONTEXT,
  });
  const arena = new Int32Array(new SharedArrayBuffer((at + snapshot.words) * WORD_BYTES));
  for (const { tag, block } of blocks) arena.set(block.words, placed.get(tag)?.at);
  snapshot.write(arena, at);
  const endedMs = performance.now();
  const { user, system } = process.cpuUsage(cpuBefore);
  const names = blocks[0]?.block;
  return {
    rules,
    sets,
    arena,
    at,
    times: {
      wallS: (endedMs - beganMs) / 1000,
      cpuS: (user + system) / 1e6,
      checkS: (checkedMs - beganMs) / 1000,
      readS: (readMs - checkedMs) / 1000,
      setsS: (setsMs - readMs) / 1000,
      snapshotS: (endedMs - setsMs) / 1000,
    },
    bytesADomain: ((names?.words.length ?? Number.NaN) * WORD_BYTES) / reference.names.length,
    bytes: arena.byteLength,
  };
}

function check(reference: ReferenceSet): Rule[] {
  const { rules, mistakes } = checkRules({
    apiRules: reference.rules,
    fileRules: [],
    names: {
      inbounds: new Set(INBOUNDS),
      outbounds: new Set(OUTBOUNDS),
      ruleSets: new Set([NAMES_SET, NETWORKS_SET]),
      hasGeoip: false,
      hasAsn: false,
    },
  });
  if (mistakes.length > 0) throw new Error(`the reference rules are refused: ${JSON.stringify(mistakes[0])}`);
  return rules;
}
