// A rule set or a geo file that is in use: its content in force, and how fresh that is. Control thread.

import type { Compiled } from '../layout/compiler-messages.ts';
import { SluiceError } from './errors.ts';
import type { Log } from './log.ts';
import type { RuleSetContent, RuleSetContents } from './rule-set-content.ts';
import type { Validators } from './rule-set-fetch.ts';
import type { Origin } from './rule-set-origin.ts';
import type { Obtained } from './rule-set-source.ts';
import type { RuleSetStatus } from './rules-control.ts';

export interface Held {
  /** Another interval may come. */
  origin: Origin;
  content: RuleSetContent;
  validators: Validators;
  lastOkAtMs: number | undefined;
  lastTryAtMs: number | undefined;
  nextTryAtMs: number | undefined;
  failures: number;
  failuresInRow: number;
  lastError: string | undefined;
  timer: NodeJS.Timeout | undefined;
  refreshing: Promise<void> | undefined;
}

export function newHeld(origin: Origin, { content, validators, atMs }: Obtained): Held {
  return {
    origin,
    content,
    validators,
    lastOkAtMs: atMs,
    lastTryAtMs: atMs,
    nextTryAtMs: undefined,
    failures: 0,
    failuresInRow: 0,
    lastError: undefined,
    timer: undefined,
    refreshing: undefined,
  };
}

/** What is in force is what there is. */
export function succeed(one: Held, log: Log): void {
  const { tag } = one.origin;
  if (one.failuresInRow > 0) log.info({ event: 'rule_set_recovered', tag }, `rule set ${tag} is well again`);
  one.failuresInRow = 0;
  one.lastError = undefined;
  one.lastOkAtMs = Date.now();
}

/** There is, or may be, something newer than what is in force, and it cannot be had or used. */
export function fail(one: Held, message: string, log: Log): void {
  const { tag } = one.origin;
  one.failures++;
  one.failuresInRow++;
  one.lastError = message;
  const facts = { event: 'rule_set_failed', tag, failures: one.failures, error: message };
  log.error(facts, `rule set ${tag} stays as it was: ${message}`);
}

export function contentsOf(
  held: readonly Held[],
  contentOf: (one: Held) => RuleSetContent = ({ content }) => content,
): RuleSetContents {
  return {
    sets: held.filter(({ origin }) => !origin.isGeo).map(contentOf),
    geo: held.filter(({ origin }) => origin.isGeo).map(contentOf),
  };
}

export function statusOf(one: Held, compiled: Compiled | undefined): RuleSetStatus {
  const { origin, content } = one;
  const figures = compiled?.sets.find(({ version }) => version === content.version);
  return {
    tag: origin.tag,
    from: origin.from,
    kind: origin.path === undefined ? 'remote' : 'file',
    format: content.format,
    state: one.failuresInRow > 0 ? 'stale' : one.refreshing === undefined ? 'ok' : 'loading',
    version: content.version,
    etag: one.validators.etag,
    lastOkAtMs: one.lastOkAtMs,
    lastTryAtMs: one.lastTryAtMs,
    failures: one.failures,
    lastError: one.lastError,
    nextTryAtMs: one.nextTryAtMs,
    bytes: content.bytes,
    domains: figures?.domains ?? 0,
    networks: figures?.networks ?? 0,
    rules: figures?.rules ?? 0,
    words: figures?.words ?? 0,
  };
}

/** Those that are why a compilation was refused. @param sets as they were compiled */
export function refusedOf<T>(sets: readonly T[], refusal: unknown): T[] {
  if (!(refusal instanceof SluiceError) || refusal.code !== 'rules_invalid') return [];
  const { mistakes } = refusal.facts as SluiceError<'rules_invalid'>['facts'];
  const places = mistakes.map(({ path }) => Number(/^rule_sets\[(\d+)\]/.exec(path)?.[1] ?? -1));
  return sets.filter((_, place) => places.includes(place));
}
