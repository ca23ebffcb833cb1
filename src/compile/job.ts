// One compilation, from a job to a snapshot in the arena, or to all that is wrong with it.
//
//   check rules ─► read rule sets that are new ─► any mistakes? ─► build their blocks ─► keys ─► snapshot ─► placed
//                    (all mistakes are told together)            └─ from here on only room can be missing ─┘
//
// What a job that fails has placed is taken back. Compiler thread; synchronous: the next job waits.

import { readFileSync } from 'node:fs';
import type {
  Compiled,
  CompileFailed,
  CompileJob,
  CompilerAnswer,
  RuleComplaint,
  RuleSetSource,
  SourcesMissing,
} from '../layout/compiler-messages.ts';
import type { RuleNames } from '../config/rule-checker.ts';
import { RULE_SETS_MAX, RULES_MAX } from '../layout/rules.ts';
import { RULE_KEYS_MAX } from '../layout/tables.ts';
import { type BuiltBlock, buildSet } from './build/block.ts';
import type { BuildContext } from './build/context.ts';
import { buildSnapshot } from './build/snapshot.ts';
import { checkRules } from './check/check-rules.ts';
import { readRuleSet } from './formats/read.ts';
import { describeRules, figuresOf } from './compiled-figures.ts';
import { expressionsBeyond } from './expressions-together.ts';
import type { GeoFiles, Places } from './geo-files.ts';
import type { PlacedSet, Placement } from './placement.ts';
import type { RuleKeys } from './rule-keys.ts';
import type { Rule, RuleSetRules } from './rule.ts';

/** What a compilation works on. */
export interface CompilerState {
  readonly arena: Int32Array;
  readonly placement: Placement;
  readonly keys: RuleKeys;
  readonly geo: GeoFiles;
  readonly nameKeys: Int32Array;
  /** Of snapshots that live. */
  readonly rulesOf: Map<number, SnapshotRules>;
  readonly tell: (answer: CompilerAnswer) => void;
}

/** What a snapshot says, for explanations. */
export interface SnapshotRules {
  readonly rules: readonly Rule[];
  readonly sets: ReadonlyMap<string, RuleSetRules>;
  /** Networks of countries and systems, as they were when it was compiled. */
  readonly places: Places;
}

type Outcome = Compiled | CompileFailed | SourcesMissing;

/** Whatever goes wrong costs this job and not the thread: what it had placed is taken back. */
export function compileJob(state: CompilerState, job: CompileJob): Outcome {
  try {
    return compile(state, job);
  } catch (error) {
    state.placement.release(job.snapshotId);
    state.placement.sweep(state.placement.newest);
    return { kind: 'compile_failed', job: job.job, mistakes: [notCompiled(error)], warnings: [] };
  }
}

function notCompiled(error: unknown): RuleComplaint {
  const message = `the rules cannot be compiled: ${(error as Error).message}`;
  return { path: ['rules'], found: 'rules', expected: 'what can be compiled', message };
}

function compile(state: CompilerState, job: CompileJob): Outcome {
  const { placement, geo } = state;
  const startedMs = performance.now();
  const startedCpuUs = threadCpuUs();
  // Also of a job that comes a second time: they are told once.
  state.keys.free(job.freedRules);
  const versions = missingVersions(state, job);
  if (versions.length > 0) return { kind: 'sources_missing', job: job.job, versions };
  tellProgress(state, job, 'rules', 0);
  const { rules, mistakes, warnings } = checkRules({ ...job, names: namesOf(job) });
  const failed = (complaints: readonly RuleComplaint[]): CompileFailed => ({
    kind: 'compile_failed',
    job: job.job,
    mistakes: complaints,
    warnings: allWarnings,
  });
  const read = readSets(state, job);
  const extracted = geo.extract(job.geo, rules);
  const allWarnings = [...warnings, ...read.warnings];
  const allMistakes = [...mistakes, ...read.mistakes, ...extracted.mistakes];
  if (allMistakes.length > 0) return failed(allMistakes);

  const context: BuildContext = { keys: state.nameKeys, ...extracted.places };
  const unkeyed = rules.flatMap(({ id }) => (state.keys.has(id) ? [] : id));
  const placed = place(state, job, rules, read.sets, context);
  if ('path' in placed) {
    state.keys.free(unkeyed);
    // Also what this job has placed.
    placement.sweep(placement.newest);
    return failed([placed]);
  }
  placement.sweep(new Set(job.ruleSets.map(({ version }) => version)));
  extracted.commit();
  rememberRules(state, job, rules, extracted.places);
  return {
    kind: 'compiled',
    job: job.job,
    snapshotId: job.snapshotId,
    ...placed,
    warnings: allWarnings,
    blocks: placement.blocksOf(job.snapshotId),
    wordsUsed: placement.wordsUsed,
    sets: job.ruleSets.map(({ tag, version }) => {
      const { words, domains, networks, rules: count } = placement.set(version) as PlacedSet;
      return { tag, version, words, domains, networks, rules: count };
    }),
    durationUs: Math.round((performance.now() - startedMs) * 1000),
    cpuUs: threadCpuUs() - startedCpuUs,
  };
}

/** What rules may refer to. */
function namesOf({ inbounds, outbounds, ruleSets, geo }: CompileJob): RuleNames {
  return {
    inbounds: new Set(inbounds),
    outbounds: new Set(outbounds.map(({ tag }) => tag)),
    ruleSets: new Set(ruleSets.map(({ tag }) => tag)),
    hasGeoip: geo.some(({ tag }) => tag === 'country'),
    hasAsn: geo.some(({ tag }) => tag === 'asn'),
  };
}

function missingVersions({ placement, geo }: CompilerState, { ruleSets, geo: files }: CompileJob): string[] {
  const isMissing = ({ source, version }: RuleSetSource) =>
    source === undefined && placement.set(version) === undefined && !geo.has(version);
  return [...ruleSets, ...files].filter(isMissing).map(({ version }) => version);
}

interface ReadSets {
  /** By version: those that are to be built. */
  readonly sets: ReadonlyMap<string, { readonly tag: string; readonly content: RuleSetRules }>;
  readonly mistakes: readonly RuleComplaint[];
  readonly warnings: readonly RuleComplaint[];
}

function readSets(state: CompilerState, job: CompileJob): ReadSets {
  const sets = new Map<string, { readonly tag: string; readonly content: RuleSetRules }>();
  const mistakes: RuleComplaint[] = [];
  const warnings: RuleComplaint[] = [];
  let done = 0;
  for (const [place, { tag, version, source }] of job.ruleSets.entries()) {
    if (state.placement.set(version) !== undefined || sets.has(version) || source === undefined) continue;
    tellProgress(state, job, tag, done);
    const read = readRuleSet(source.fileName, source.format, source.bytes);
    const named = (complaint: RuleComplaint): RuleComplaint => ({
      ...complaint,
      path: ['rule_sets', place, ...complaint.path],
      fileName: complaint.fileName ?? source.fileName,
    });
    for (const mistake of read.mistakes) mistakes.push(named(mistake));
    for (const warning of read.warnings) warnings.push(named(warning));
    sets.set(version, { tag, content: read.rules });
    done += source.bytes.length;
  }
  return { sets, mistakes, warnings };
}

/** A mistake of ours, or a bound that only the builder knows, costs this job and not the thread. */
function place(
  state: CompilerState,
  job: CompileJob,
  rules: readonly Rule[],
  sets: ReadSets['sets'],
  context: BuildContext,
): Placed | RuleComplaint {
  if (rules.length > RULES_MAX) {
    return { path: ['rules'], found: `${rules.length} rules`, expected: `at most ${RULES_MAX}` };
  }
  if (job.ruleSets.length > RULE_SETS_MAX) {
    const found = `${job.ruleSets.length} rule sets`;
    return { path: ['rule_sets'], found, expected: `at most ${RULE_SETS_MAX}` };
  }
  try {
    return (
      placeSets(state, job, sets, context) ??
      expressionsBeyond(rules, contentsOf(state, job)) ??
      placeSnapshot(state, job, rules, context)
    );
  } catch (error) {
    return notCompiled(error);
  }
}

function placeSets(
  state: CompilerState,
  job: CompileJob,
  sets: ReadSets['sets'],
  context: BuildContext,
): RuleComplaint | undefined {
  const { placement } = state;
  let done = 0;
  for (const { version, source } of job.ruleSets) {
    const set = sets.get(version);
    if (set === undefined || placement.set(version) !== undefined) continue;
    tellProgress(state, job, set.tag, done);
    const { words, needs, groups } = buildNamed(set.tag, source?.fileName, set.content, context);
    const figures = figuresOf(set.content.rules);
    if (!placement.placeSet({ version, needs, groups, ...figures, content: set.content }, words)) {
      return noRoom(state, ['rule_sets'], `rule set "${set.tag}"`, words.length);
    }
    done += source?.bytes.length ?? 0;
  }
  return undefined;
}

/** @throws RangeError that says which set is beyond a bound that only the builder knows */
function buildNamed(
  tag: string,
  fileName: string | undefined,
  content: RuleSetRules,
  context: BuildContext,
): BuiltBlock {
  try {
    return buildSet(content, context);
  } catch (error) {
    const from = fileName === undefined ? '' : ` (${fileName})`;
    throw new RangeError(`rule set "${tag}"${from}: ${(error as Error).message}`, { cause: error });
  }
}

type Placed = Pick<Compiled, 'at' | 'rules' | 'externals' | 'needs' | 'words'>;

function placeSnapshot(
  state: CompilerState,
  job: CompileJob,
  rules: readonly Rule[],
  context: BuildContext,
): Placed | RuleComplaint {
  const { placement, arena } = state;
  tellProgress(state, job, 'rules', bytesOf(job));
  const keys = state.keys.take(rules.map(({ id }) => id));
  if (keys === undefined) {
    const found = `${rules.length} rules beside ${state.keys.count} whose connections still live`;
    return { path: ['rules'], found, expected: `at most ${RULE_KEYS_MAX - 1} together` };
  }
  const sets = new Map(job.ruleSets.map(({ tag, version }) => [tag, placement.set(version) as PlacedSet]));
  const keyById = new Map(rules.map(({ id }, place) => [id, keys[place] as number]));
  const built = buildSnapshot({
    id: job.snapshotId,
    rules,
    keyOf: (id) => keyById.get(id) as number,
    outbounds: new Map(job.outbounds.map((outbound) => [outbound.tag, outbound])),
    sets,
    context,
  });
  // All sets of the job, also those that no rule names: their figures are told, and they are there for the next change.
  const versions = job.ruleSets.map(({ version }) => version);
  const at = placement.placeSnapshot(job.snapshotId, built.words, versions);
  if (at < 0) return noRoom(state, ['rules'], 'the rules', built.words);
  built.write(arena, at);
  const { externals, needs, words } = built;
  return { at, externals, needs, words, rules: describeRules(job, rules, keys) };
}

function rememberRules(state: CompilerState, job: CompileJob, rules: readonly Rule[], places: Places): void {
  const sets = contentsOf(state, job);
  state.rulesOf.set(job.snapshotId, { rules, sets, places });
}

/** By tag. */
function contentsOf({ placement }: CompilerState, { ruleSets }: CompileJob): Map<string, RuleSetRules> {
  return new Map(ruleSets.map(({ tag, version }) => [tag, (placement.set(version) as PlacedSet).content]));
}

function noRoom(
  { arena, placement }: CompilerState,
  path: readonly string[],
  what: string,
  words: number,
): RuleComplaint {
  const megabytes = (count: number) => `${Math.ceil((count * 4) / 2 ** 20)} MiB`;
  const found = `${what}: ${megabytes(words)}, where ${megabytes(placement.wordsUsed)} are in use`;
  const expected = `what fits into ${megabytes(arena.length)}`;
  return { path, found, expected, message: `no room for ${found}; expected ${expected}` };
}

function bytesOf({ ruleSets }: CompileJob): number {
  return ruleSets.reduce((sum, { source }) => sum + (source?.bytes.length ?? 0), 0);
}

function tellProgress(state: CompilerState, job: CompileJob, what: string, done: number): void {
  state.tell({ kind: 'compiling', job: job.job, what, done, all: bytesOf(job) });
}

/** Time that this thread had a core. @source proc(5), /proc/pid/task/tid/schedstat */
function threadCpuUs(): number {
  try {
    return Math.round(Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1000);
  } catch {
    return 0;
  }
}
