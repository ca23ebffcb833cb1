// Rule sets and geo files: where their content comes from, which content is in force, and when it is asked for anew.
//
//   file      read at each (re)load, watched                    a broken one changes nothing but at a reload, which it refuses
//   address   fetched each interval, with validators            broken or out of reach: the last good content stays
//
//   candidate ──installed (compiled, published)──► in force ──► last-good copy
//       └── refused: counted, the content in force stays
//
// An address that was never fetched, and can't be within FIRST_FETCH_MS, refuses start and reload: a list of whom to reject
// that is silently empty is an open door. With a last-good copy a start asks nobody. Control thread.

import { guessFormat } from '../compile/formats/read.ts';
import type { Geo, RuleSet } from '../config/configuration.ts';
import type { Compiled, RuleSetSource } from '../layout/compiler-messages.ts';
import type { Log } from './log.ts';
import { createRuleSetCopies } from './rule-set-copies.ts';
import { describeContent, loadContent, stampOf, unavailable } from './rule-set-content.ts';
import type { RuleSetContent } from './rule-set-content.ts';
import { fetchRuleSet } from './rule-set-fetch.ts';
import type { Validators } from './rule-set-fetch.ts';
import { geoOrigins, isSame, nameOfUrl, originOf } from './rule-set-origin.ts';
import type { Origin } from './rule-set-origin.ts';
import { createFileWatch } from './rule-set-watch.ts';
import type { RuleSetStatus } from './rules-control.ts';

const FIRST_FETCH_MS = 10_000;
const FETCH_MS = 60_000;
/** After a failure, doubling up to the interval. */
const RETRY_MS = 60_000;

/** All contents of one installation. */
export interface RuleSetContents {
  readonly sets: readonly RuleSetContent[];
  readonly geo: readonly RuleSetContent[];
}

export interface RuleSets {
  /** What a configuration names, read or fetched where that was not done yet. @throws SluiceError rule_set_unavailable */
  prepare(sets: readonly RuleSet[], geo: Geo): Promise<PreparedRuleSets>;
  /** It is in force; what it names is watched and fetched from now on. */
  adopt(prepared: PreparedRuleSets): Promise<void>;
  /** In force. */
  readonly contents: RuleSetContents;
  /** Reads or fetches one now, and installs it if it is another. @throws what went wrong. undefined: no such set */
  refresh(tag: string): Promise<void> | undefined;
  status(compiled: Compiled | undefined): RuleSetStatus[];
  close(): void;
}

export interface PreparedRuleSets {
  readonly contents: RuleSetContents;
  readonly held: readonly Held[];
}

/** A rule set or a geo file that is in use. */
interface Held {
  readonly origin: Origin;
  content: RuleSetContent;
  validators: Validators;
  lastOkAtMs: number | undefined;
  lastTryAtMs: number | undefined;
  nextTryAtMs: number | undefined;
  failures: number;
  failuresInRow: number;
  lastError: string | undefined;
  /** Of a file: as it was when it was last looked at, whether or not that could be installed. */
  seenStamp: string;
  timer: NodeJS.Timeout | undefined;
  refreshing: Promise<void> | undefined;
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
  const copies = createRuleSetCopies(init.storePath);
  const watching = createFileWatch(() => void lookAtFiles());
  let held: readonly Held[] = [];
  let isClosed = false;

  async function contentOf(origin: Origin, path: string): Promise<RuleSetContent> {
    const { tag, format } = origin;
    const fileName = origin.path ?? nameOfUrl(origin.url);
    return describeContent(tag, path, fileName, (head) => format ?? guessFormat(fileName, head));
  }

  /** Of a set that nobody has held so far. */
  async function first(origin: Origin): Promise<Held> {
    const { tag, path, url } = origin;
    const fresh = (content: RuleSetContent, validators: Validators, lastOkAtMs: number): Held => ({
      origin,
      content,
      validators,
      lastOkAtMs,
      lastTryAtMs: lastOkAtMs,
      nextTryAtMs: undefined,
      failures: 0,
      failuresInRow: 0,
      lastError: undefined,
      seenStamp: content.stamp,
      timer: undefined,
      refreshing: undefined,
    });
    try {
      if (path !== undefined) return fresh(await contentOf(origin, path), NO_VALIDATORS, Date.now());
      const copy = await contentOf(origin, copies.pathOf(tag, url)).catch(() => undefined);
      if (copy !== undefined) {
        const notes = await copies.notesOf(tag, url);
        const isOfCopy = notes?.version === copy.version;
        return fresh(copy, isOfCopy ? notes : NO_VALIDATORS, notes?.fetchedAtMs ?? 0);
      }
      const newPath = await copies.newPathOf(tag, url);
      const fetched = await fetchRuleSet(url, NO_VALIDATORS, newPath, FIRST_FETCH_MS);
      if (fetched.kind === 'unchanged') throw new Error('it answered 304 to a first request');
      return fresh(await contentOf(origin, newPath), fetched, Date.now());
    } catch (cause) {
      throw unavailable(tag, path ?? nameOfUrl(url), (cause as Error).message, cause);
    }
  }

  async function prepareOne(origin: Origin): Promise<Held> {
    const before = held.find((one) => isSame(one.origin, origin));
    if (before === undefined) return first(origin);
    const { path } = origin;
    if (path === undefined) return before;
    try {
      const isSeen = (await stampOf(path)) === before.content.stamp;
      return isSeen ? before : { ...before, ...read(await contentOf(origin, path)), timer: undefined };
    } catch (cause) {
      throw unavailable(origin.tag, path, (cause as Error).message, cause);
    }
  }

  async function lookAtFiles(): Promise<void> {
    for (const one of held) {
      const { path } = one.origin;
      if (path === undefined || one.refreshing !== undefined) continue;
      const stamp = await stampOf(path).catch(() => 'missing');
      if (stamp !== one.seenStamp && held.includes(one)) await refreshOne(one).catch(() => {});
    }
  }

  function refreshOne(one: Held): Promise<void> {
    one.refreshing ??= refreshNow(one).finally(() => {
      one.refreshing = undefined;
      schedule(one);
    });
    return one.refreshing;
  }

  async function refreshNow(one: Held): Promise<void> {
    const { origin } = one;
    const { tag } = origin;
    one.lastTryAtMs = Date.now();
    try {
      if (origin.path === undefined) await refreshRemote(one);
      else await refreshFile(one, origin.path);
      if (one.failuresInRow > 0)
        init.log.info({ event: 'rule_set_recovered', tag }, `rule set ${tag} is well again`);
      one.failuresInRow = 0;
      one.lastError = undefined;
      one.lastOkAtMs = Date.now();
    } catch (error) {
      one.failures++;
      one.failuresInRow++;
      one.lastError = (error as Error).message;
      const facts = { event: 'rule_set_failed', tag, failures: one.failures, error: one.lastError };
      init.log.error(facts, `rule set ${tag} stays as it was: ${one.lastError}`);
      throw error;
    }
  }

  async function refreshFile(one: Held, path: string): Promise<void> {
    one.seenStamp = await stampOf(path).catch(() => 'missing');
    const content = await contentOf(one.origin, path);
    one.seenStamp = content.stamp;
    await install(one, content);
  }

  async function refreshRemote(one: Held): Promise<void> {
    const { tag, url } = one.origin;
    const newPath = await copies.newPathOf(tag, url);
    const fetched = await fetchRuleSet(url, one.validators, newPath, FETCH_MS);
    if (fetched.kind === 'unchanged') return;
    const content = await contentOf(one.origin, newPath);
    await install(one, content);
    one.validators = fetched;
    await keepCopy(one);
  }

  async function install(one: Held, content: RuleSetContent): Promise<void> {
    const inForce = () => {
      one.content = content;
    };
    if (content.version === one.content.version) {
      inForce();
      return;
    }
    const contents = () => {
      if (!held.includes(one)) throw new Error('the configuration no longer names it');
      return contentsOf(held.map((other) => (other === one ? { ...other, content } : other)));
    };
    await init.install(contents, inForce);
  }

  /** What was fetched is in force: a start may rely on it. */
  async function keepCopy(one: Held): Promise<void> {
    const { tag, url } = one.origin;
    if (one.content.path === copies.pathOf(tag, url)) return;
    try {
      const fetchedAtMs = Date.now();
      await copies.keep(tag, url, { ...one.validators, version: one.content.version, fetchedAtMs });
      one.content = { ...one.content, path: copies.pathOf(tag, url) };
    } catch (error) {
      // It is in force all the same.
      init.log.error(
        { event: 'rule_set_copy_failed', tag, err: error },
        `no copy of rule set ${tag} could be kept`,
      );
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

  return {
    async prepare(sets, geo) {
      const origins = [...sets.map(originOf), ...geoOrigins(geo)];
      const prepared = await Promise.all(origins.map(prepareOne));
      return { held: prepared, contents: contentsOf(prepared) };
    },
    async adopt(prepared) {
      const before = held;
      held = prepared.held;
      for (const one of before) {
        if (held.includes(one)) continue;
        clearTimeout(one.timer);
        const { tag, url, path } = one.origin;
        const isHeld = held.some(({ origin }) => isSame(origin, one.origin));
        if (path === undefined && !isHeld) void copies.forget(tag, url).catch(() => {});
      }
      watching.set(held.flatMap(({ origin: { path } }) => path ?? []));
      for (const one of held) {
        if (before.includes(one)) continue;
        if (one.origin.path === undefined) await keepCopy(one);
        schedule(one);
      }
    },
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

/** Those of `contents` that the compiler wants. */
export function loadContents(
  { sets, geo }: RuleSetContents,
  versions: ReadonlySet<string>,
): Promise<RuleSetSource[]> {
  const wanted = new Map([...sets, ...geo].map((content) => [content.version, content]));
  return Promise.all([...wanted.values()].filter(({ version }) => versions.has(version)).map(loadContent));
}

const NO_VALIDATORS: Validators = { etag: undefined, lastModified: undefined };

function read(
  content: RuleSetContent,
): Pick<Held, 'content' | 'seenStamp' | 'lastOkAtMs' | 'lastTryAtMs' | 'lastError' | 'failuresInRow'> {
  const atMs = Date.now();
  return {
    content,
    seenStamp: content.stamp,
    lastOkAtMs: atMs,
    lastTryAtMs: atMs,
    lastError: undefined,
    failuresInRow: 0,
  };
}

function contentsOf(held: readonly Held[]): RuleSetContents {
  return {
    sets: held.filter(({ origin }) => !origin.isGeo).map(({ content }) => content),
    geo: held.filter(({ origin }) => origin.isGeo).map(({ content }) => content),
  };
}

function statusOf(one: Held, compiled: Compiled | undefined): RuleSetStatus {
  const { origin, content } = one;
  const figures = compiled?.sets.find(({ version }) => version === content.version);
  return {
    tag: origin.tag,
    from: origin.path ?? nameOfUrl(origin.url),
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
