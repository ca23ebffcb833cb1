// Rule sets and geo files: which content is in force, and when it is asked for anew. Where it comes from: rule-set-source.ts.
//
//   file      read at each (re)load, watched                    a broken one changes nothing but at a start or reload,
//                                                               which it refuses
//   address   fetched each interval, with validators            broken or out of reach: the last good content stays
//
//   candidate ──installed (compiled, published)──► in force ──► last-good copy
//       └── refused: counted, the content in force stays
//
// An address that was never fetched, and can't be within ten seconds, refuses start and reload: a list of whom to reject
// that is silently empty is an open door. With a last-good copy a start asks nobody, unless it is damaged, or does not
// compile. Control thread.

import type { Geo, RuleSet } from '../config/configuration.ts';
import type { Compiled } from '../layout/compiler-messages.ts';
import type { Log } from './log.ts';
import { createRuleSetCopies } from './rule-set-copies.ts';
import { stampOf } from './rule-set-content.ts';
import type { RuleSetContent, RuleSetContents } from './rule-set-content.ts';
import { contentsOf, fail, newHeld, refusedOf, statusOf, succeed } from './rule-set-held.ts';
import type { Held } from './rule-set-held.ts';
import { geoOrigins, isSame, originOf } from './rule-set-origin.ts';
import type { Origin } from './rule-set-origin.ts';
import { createRuleSetReader } from './rule-set-source.ts';
import { createFileWatch, RESTLESS_MS } from './rule-set-watch.ts';
import type { RuleSetStatus } from './rules-control.ts';

/** After a failure, doubling up to the interval. */
const RETRY_MS = 60_000;

export interface RuleSets {
  /**
   * What a configuration names, read or fetched where that was not done yet, and compiled. A last-good copy that does not
   * compile gives way to what its server has now.
   * @throws SluiceError rule_set_unavailable, or what `compile` threw
   */
  prepare<T>(
    sets: readonly RuleSet[],
    geo: Geo,
    compile: (contents: RuleSetContents) => Promise<T>,
  ): Promise<{ readonly prepared: PreparedRuleSets; readonly compiled: T }>;
  /** It is in force; what it names is watched and fetched from now on. */
  adopt(prepared: PreparedRuleSets): Promise<void>;
  /** It is not going to be. */
  abandon(prepared: PreparedRuleSets): Promise<void>;
  /** In force. */
  readonly contents: RuleSetContents;
  /** Reads or fetches one now, and installs it if it is another. @throws what went wrong. undefined: no such set */
  refresh(tag: string): Promise<void> | undefined;
  status(compiled: Compiled | undefined): RuleSetStatus[];
  close(): void;
}

export interface PreparedRuleSets {
  readonly contents: RuleSetContents;
  readonly each: readonly PreparedRuleSet[];
}

interface PreparedRuleSet {
  readonly origin: Origin;
  /** Perhaps in use already. */
  readonly held: Held;
  /** Of one that is in use: it is another one than before. */
  readonly content: RuleSetContent | undefined;
  /** Nobody has held it so far, and it is a last good copy. */
  readonly isCopy: boolean;
}

export interface RuleSetsInit {
  readonly storePath: string;
  readonly log: Log;
  /**
   * Compiles and publishes these contents. Both are called when no other change is under way.
   * @param inForce hears that they are
   * @throws where it was refused: then nothing has changed
   */
  readonly install: (contents: () => RuleSetContents, inForce: () => void) => Promise<void>;
}

export function createRuleSets(init: RuleSetsInit): RuleSets {
  const { log } = init;
  const copies = createRuleSetCopies(init.storePath);
  const reader = createRuleSetReader(copies, log);
  const watching = createFileWatch({
    changed: (path) => {
      for (const one of ofFile(path)) void refreshOne(one).catch(() => {});
    },
    restless: (path) => {
      for (const one of ofFile(path)) fail(one, `it has been changing for ${RESTLESS_MS / 1000} s`, log);
    },
  });
  let held: readonly Held[] = [];
  let isClosed = false;

  function ofFile(path: string): Held[] {
    return held.filter(({ origin }) => origin.path === path);
  }

  async function prepareOne(origin: Origin): Promise<PreparedRuleSet> {
    const before = held.find((one) => isSame(one.origin, origin));
    if (before === undefined) {
      const obtained = await reader.first(origin);
      const { isCopy } = obtained;
      return { origin, held: newHeld(origin, obtained), content: undefined, isCopy };
    }
    const { path } = origin;
    const isSeen =
      path === undefined || (await stampOf(path).catch(() => undefined)) === before.content.stamp;
    const content = isSeen ? undefined : (await reader.anew(origin)).content;
    return { origin, held: before, content, isCopy: false };
  }

  async function fetched({ origin }: PreparedRuleSet): Promise<PreparedRuleSet> {
    const held = newHeld(origin, await reader.anew(origin));
    return { origin, held, content: undefined, isCopy: false };
  }

  async function discard(each: readonly PreparedRuleSet[]): Promise<void> {
    for (const { held: one, content } of each) {
      if (content !== undefined) await copies.discard(content.path);
      else if (!held.includes(one)) await copies.discard(one.content.path);
    }
  }

  /** Of none anything is left where one is refused. */
  async function allOf(preparing: readonly Promise<PreparedRuleSet>[]): Promise<PreparedRuleSets> {
    const tried = await Promise.allSettled(preparing);
    const each = tried.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const refused = tried.find((one) => one.status === 'rejected');
    if (refused === undefined) return preparedOf(each);
    await discard(each);
    throw refused.reason;
  }

  function refreshOne(one: Held): Promise<void> {
    one.refreshing ??= refreshNow(one).finally(() => {
      one.refreshing = undefined;
      schedule(one);
    });
    return one.refreshing;
  }

  async function refreshNow(one: Held): Promise<void> {
    const { origin, content: before } = one;
    one.lastTryAtMs = Date.now();
    try {
      if (origin.path !== undefined) {
        await install(one, before, await reader.readFile(origin, origin.path));
      } else {
        const fetched = await reader.fetch(origin, one.validators);
        if (fetched !== undefined) await install(one, before, fetched.content, fetched.validators);
      }
      succeed(one, log);
    } catch (error) {
      fail(one, (error as Error).message, log);
      throw error;
    }
  }

  /** In force, and kept, when it resolves. @param before what was in force when `content` was asked for */
  async function install(
    one: Held,
    before: RuleSetContent,
    content: RuleSetContent,
    validators = one.validators,
  ): Promise<void> {
    if (content.version === one.content.version) {
      // The bytes are where they have been.
      one.content = { ...one.content, stamp: content.stamp };
      one.validators = validators;
      await copies.discard(content.path);
      return;
    }
    let isOutdated = false;
    const contents = () => {
      if (!held.includes(one)) throw new Error('the configuration no longer names it');
      // A reload has read it in between: what it found is newer.
      isOutdated = one.content.version !== before.version || one.content.stamp !== before.stamp;
      return contentsOf(held, (other) => (other === one && !isOutdated ? content : other.content));
    };
    const inForce = () => {
      if (isOutdated) return;
      one.content = content;
      one.validators = validators;
    };
    try {
      await init.install(contents, inForce);
      await keepCopy(one);
      await copies.discard(before.path);
    } finally {
      // It was refused, or is where all last good ones are. If that failed, it has to stay.
      if (one.content.path !== content.path) await copies.discard(content.path);
    }
  }

  /** What is in force can be had again, whatever becomes of where it came from. */
  async function keepCopy(one: Held): Promise<void> {
    const { origin, content, validators } = one;
    // Kept already, or a file of which there is no copy.
    if (content.path === content.keptPath || content.path === origin.path) return;
    try {
      await copies.keep(origin, content.path, {
        ...validators,
        version: content.version,
        fetchedAtMs: Date.now(),
      });
      if (one.content === content) one.content = { ...content, path: content.keptPath };
    } catch (error) {
      // It is in force all the same.
      const { tag } = origin;
      const facts = { event: 'rule_set_copy_failed', tag, err: error };
      log.error(facts, `no copy of rule set ${tag} could be kept`);
    }
  }

  function schedule(one: Held): void {
    clearTimeout(one.timer);
    const { intervalMs, path } = one.origin;
    if (path !== undefined || isClosed || !held.includes(one)) return;
    const retryMs = RETRY_MS * 2 ** Math.min(20, one.failuresInRow - 1);
    const sinceMs = Date.now() - (one.lastOkAtMs ?? 0);
    const delayMs = one.failuresInRow > 0 ? Math.min(intervalMs, retryMs) : Math.max(0, intervalMs - sinceMs);
    one.nextTryAtMs = Date.now() + delayMs;
    // A day fits; 2^31 milliseconds are less than a month.
    one.timer = setTimeout(
      () => void refreshOne(one).catch(() => {}),
      Math.min(delayMs, 2 ** 31 - 1),
    ).unref();
  }

  function take({ held: one, origin, content }: PreparedRuleSet): void {
    one.origin = origin;
    if (content !== undefined) one.content = content;
    if (origin.path === undefined) return;
    one.lastTryAtMs = Date.now();
    succeed(one, log);
  }

  return {
    async prepare(named, geo, compile) {
      const origins = [...named.map(originOf), ...geoOrigins(geo)];
      let prepared = await allOf(origins.map(prepareOne));
      try {
        return { prepared, compiled: await compile(prepared.contents) };
      } catch (error) {
        await discard(prepared.each);
        const sets = prepared.each.filter(({ origin }) => !origin.isGeo);
        const broken = new Set(refusedOf(sets, error).filter(({ isCopy }) => isCopy));
        if (broken.size === 0) throw error;
        prepared = await allOf(
          prepared.each.map((one) => (broken.has(one) ? fetched(one) : prepareOne(one.origin))),
        );
      }
      try {
        return { prepared, compiled: await compile(prepared.contents) };
      } catch (error) {
        await discard(prepared.each);
        throw error;
      }
    },
    async adopt(prepared) {
      const before = held;
      held = prepared.each.map((one) => one.held);
      for (const one of before) if (!held.includes(one)) clearTimeout(one.timer);
      for (const one of prepared.each) take(one);
      for (const one of held) schedule(one);
      const files = held.flatMap(({ origin: { path }, content }) =>
        path === undefined ? [] : [[path, content.stamp] as const],
      );
      watching.set(new Map(files));
      for (const one of held) await keepCopy(one);
      await copies.retain(held.map(({ origin }) => origin));
    },
    abandon: ({ each }) => discard(each),
    get contents() {
      return contentsOf(held);
    },
    refresh(tag) {
      const one = held.find(({ origin }) => origin.tag === tag && !origin.isGeo);
      return one === undefined ? undefined : refreshOne(one);
    },
    status: (compiled) => held.filter(({ origin }) => !origin.isGeo).map((one) => statusOf(one, compiled)),
    close() {
      isClosed = true;
      watching.close();
      for (const one of held) clearTimeout(one.timer);
    },
  };
}

function preparedOf(each: readonly PreparedRuleSet[]): PreparedRuleSets {
  const contents = new Map(each.map(({ held, content }) => [held, content ?? held.content]));
  return {
    each,
    contents: contentsOf([...contents.keys()], (one) => contents.get(one) as RuleSetContent),
  };
}
