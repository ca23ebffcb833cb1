import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIST_RULE } from '../layout/lists.ts';
import { REJUDGE_ALL, REJUDGE_REJECT } from '../layout/messages.ts';
import { RULE_KEY_FINAL, SNAPSHOT_ID, SNAPSHOT_RULES } from '../layout/rules.ts';
import type { RejudgementResult } from './evictions.ts';
import { pollUntil } from './poll-until.ts';
import { NOBODY, setUpRules } from './rules.fixture.ts';
import type { PlayedRules, RulesSetUp } from './rules.fixture.ts';

let directory = '';
let played: PlayedRules | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-rules-'));
});
afterEach(async () => {
  await played?.close();
  played = undefined;
  rmSync(directory, { recursive: true });
});

const INBOUND = 'inbounds: [{ type: socks5, listen: "127.0.0.1:0" }]';
const FILE = `${INBOUND}\nrules: [{ id: f1, port: 1, action: reject }, { id: f2, port: 2, outbound: direct }]`;

function setUp(init: Omit<RulesSetUp, 'directory'> = {}): PlayedRules {
  played = setUpRules({ directory, ...init });
  return played;
}

function reject(id: string, port: number) {
  return { id, port, action: 'reject' };
}

const FEW = 5_000;

/** Looks until it is so. */
async function until(what: string, condition: () => boolean): Promise<void> {
  if (!(await pollUntil(condition, FEW))) throw new Error(`not within ${FEW} ms: ${what}`);
}

describe('rules in force', () => {
  it('cost nothing where there are none: no snapshot, and no thread', async () => {
    const { apply, inForce, compilers, rules } = setUp();
    const { rules: changed } = await apply(INBOUND);
    expect(inForce()).toBeUndefined();
    expect(compilers).toEqual([]);
    expect(changed).toMatchObject({ snapshot: null, rules: 0, compile: null });
    expect(rules.current()).toMatchObject({ snapshot: null, rules: [], revision: 0 });
    expect((await rules.replace([], {}).finished).snapshot).toBeNull();
    expect(compilers).toEqual([]);
  });

  it('are those of the API, then those of the file', async () => {
    const { apply, inForce, tables, rules, named } = setUp({
      stored: { revision: 3, rules: [reject('a1', 9)] },
    });
    await apply(FILE);
    const { at = -1, id } = inForce() ?? {};
    expect(tables.rules[at + SNAPSHOT_ID]).toBe(id);
    expect(tables.rules[at + SNAPSHOT_RULES]).toBe(3);
    const current = rules.current();
    expect(current).toMatchObject({ revision: 3, snapshot: id });
    expect(current.rules.map(({ id: one, owner }) => [one, owner])).toEqual([
      ['a1', 'api'],
      ['f1', 'file'],
      ['f2', 'file'],
    ]);
    expect(current.rules[0]?.written).toEqual(reject('a1', 9));
    expect(named.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'rule final',
      'rule a1',
      'rule f1',
      'rule f2',
    ]);
    const reference = rules.names.find('f1');
    expect(reference).toBeDefined();
    expect(rules.names.nameOf(reference?.index ?? -1, 0)).toBe('f1');
    expect(rules.names.find('final')).toEqual({ index: RULE_KEY_FINAL, generation: 0 });
  });

  it('stay as they are where a change has a mistake, or the store does not take it', async () => {
    const { apply, inForce, rules, state, kept, tables } = setUp();
    await apply(FILE);
    const before = inForce();
    const used = rules.statistics().arenaWordsUsed;
    await expect(rules.replace([{ id: 'a1', prt: 3 }], {}).finished).rejects.toMatchObject({
      code: 'rules_invalid',
      facts: { mistakes: [{ path: 'rules[0].prt' }] },
    });
    await expect(rules.replace([reject('f1', 3)], {}).finished).rejects.toMatchObject({
      code: 'rule_owned_by_file',
    });
    await expect(rules.patch([{ id: 'nobody', rule: null }], {}).finished).rejects.toMatchObject({
      code: 'rule_unknown',
    });
    await expect(rules.replace([reject('a1', 3)], { ifRevision: 7 }).finished).rejects.toMatchObject({
      code: 'rules_revision_conflict',
    });
    state.isStoreFailing = true;
    await expect(rules.replace([reject('a1', 3)], {}).finished).rejects.toThrow('disk is full');
    expect(inForce()).toEqual(before);
    expect(kept).toEqual([]);
    expect(rules.current().revision).toBe(0);
    await until('what was compiled in vain is gone', () => rules.statistics().arenaWordsUsed === used);
    expect(rules.snapshots().filter(({ state: one }) => one === 'failed')).toHaveLength(1);
    expect(tables.machine.snapshot(0)).toBe((before?.row ?? -1) + 1);
  });

  it('refuse a reload that takes an outbound away which a rule of the API names', async () => {
    const { apply, inForce, edge } = setUp();
    await apply(`${INBOUND}\noutbounds: [{ tag: direct, type: direct }, { tag: o, type: direct }]`);
    await played?.rules.replace([{ id: 'a', outbound: 'o' }], {}).finished;
    const before = inForce();
    await expect(apply(INBOUND)).rejects.toMatchObject({
      code: 'rules_invalid',
      facts: {
        mistakes: [
          { path: 'rules[0].outbound', message: expect.stringMatching(/^of the API: outbound "o"/) },
        ],
      },
    });
    expect(inForce()).toEqual(before);
    expect(edge.objects.outbounds.find('o')).toBeDefined();
  });

  it('of the API are patched in place, put before others, taken out, and stored', async () => {
    const { apply, rules, kept } = setUp();
    await apply(FILE);
    await rules.replace([reject('a', 10), reject('b', 11)], {}).finished;
    const changed = await rules.patch(
      [
        { id: 'c', rule: { port: 12, action: 'reject' }, before: 'b' },
        { id: 'a', rule: { port: 13, action: 'reject' } },
        { id: 'b', rule: null },
        { id: 'd', rule: { port: 14, action: 'reject' } },
      ],
      {},
    ).finished;
    expect(rules.current().rules.map(({ id }) => id)).toEqual(['a', 'c', 'd', 'f1', 'f2']);
    expect(changed).toMatchObject({ added: ['c', 'd'], changed: ['a'], removed: ['b'], revision: 2 });
    expect(kept.at(-1)).toEqual({
      revision: 2,
      rules: [
        { port: 13, action: 'reject', id: 'a' },
        { port: 12, action: 'reject', id: 'c' },
        { port: 14, action: 'reject', id: 'd' },
      ],
    });
  });

  it('are not compiled anew where a reload changes nothing of them', async () => {
    const { apply, inForce, compilers } = setUp();
    await apply(FILE);
    const before = inForce();
    const { rules: changed } = await apply(`${FILE}\ntimeouts: { idle: 20m }`);
    expect(inForce()).toEqual(before);
    expect(changed).toMatchObject({ snapshot: before?.id, compile: null, changed: [] });
    expect(compilers[0]?.requests.filter(({ kind }) => kind === 'compile')).toHaveLength(1);
  });

  it('are bound to outbounds by index: a rule whose outbound is another one counts as changed', async () => {
    const { apply, jobs, rules } = setUp();
    const with_ = (type: string) =>
      `${INBOUND}\noutbounds: [{ tag: direct, type: direct }, { tag: o, ${type} }]\n` +
      'rules: [{ id: r, port: 1, outbound: o }, { id: s, port: 2, action: reject }]';
    await apply(with_('type: direct'));
    const { rules: changed } = await apply(with_('type: socks5, server: "127.0.0.1:1080"'));
    expect(changed).toMatchObject({ changed: ['r'], added: [], removed: [] });
    const keyOf = (id: string) => rules.names.find(id)?.index;
    expect(jobs.at(-1)?.keys).toEqual([keyOf('r'), keyOf('s'), RULE_KEY_FINAL]);
  });

  it('go back to what they were, under a new number, without the file’s next reload', async () => {
    const { apply, rules, kept } = setUp();
    await apply(FILE);
    const first = await rules.replace([reject('a', 10)], {}).finished;
    await rules.replace([reject('b', 10)], {}).finished;
    await apply(INBOUND);
    const back = await rules.rollback(first.snapshot ?? -1, {}).finished;
    expect(back).toMatchObject({ rollbackOf: first.snapshot, added: ['a', 'f1', 'f2'], removed: ['b'] });
    expect(back.snapshot).toBeGreaterThan(first.snapshot ?? 0);
    expect(rules.current().rules.map(({ id }) => id)).toEqual(['a', 'f1', 'f2']);
    expect(kept.at(-1)?.rules).toEqual([reject('a', 10)]);
    await apply(INBOUND);
    expect(rules.current().rules.map(({ id }) => id)).toEqual(['a']);
    await expect(rules.rollback(4711, {}).finished).rejects.toMatchObject({ code: 'snapshot_unknown' });
  });

  it('are shown in parts', async () => {
    const { apply, rules } = setUp();
    await apply(FILE);
    await rules.replace([reject('a', 10), reject('b', 11)], {}).finished;
    const part = (query: Parameters<typeof rules.current>[0]) => {
      const { rules: shown, next } = rules.current(query);
      return [shown.map(({ id, position, written }) => [id, position, written['port']]), next];
    };
    expect(part({ limit: 2 })).toEqual([
      [
        ['a', 0, 10],
        ['b', 1, 11],
      ],
      2,
    ]);
    expect(part({ from: 3, limit: 2 })).toEqual([[['f2', 3, 2]], null]);
    expect(part({ owner: 'file', limit: 1 })).toEqual([[['f1', 2, 1]], 3]);
    expect(part({ id: 'b', limit: 1 })).toEqual([[['b', 1, 11]], null]);
  });

  it('can be gone back to, however many changes have failed or were only tried since', async () => {
    const { apply, rules } = setUp();
    await apply(FILE);
    const first = await rules.replace([reject('a', 10)], {}).finished;
    await rules.replace([reject('b', 10)], {}).finished;
    for (let change = 1; change <= 40; change++) {
      await expect(rules.replace([{ nonsense: true }], {}).finished).rejects.toThrow();
      await rules.replace([reject('c', change)], { dryRun: true }).finished;
    }
    expect(rules.snapshots()).toHaveLength(64);
    const back = await rules.rollback(first.snapshot ?? -1, {}).finished;
    expect(back).toMatchObject({ added: ['a'], removed: ['b'] });
  });

  it('tell how an installation went, also to whoever asks later', async () => {
    const { apply, rules } = setUp();
    await apply(FILE);
    const good = rules.replace([reject('a', 10)], {});
    const bad = rules.replace([{ nonsense: true }], {});
    expect(rules.installation(bad.id)?.state).toBe('queued');
    await good.finished;
    await expect(bad.finished).rejects.toThrow();
    expect(rules.installation(good.id)).toMatchObject({
      state: 'done',
      cause: 'api',
      result: { added: ['a'] },
    });
    expect(rules.installation(bad.id)).toMatchObject({ state: 'failed', error: { code: 'rules_invalid' } });
    expect(rules.progress().map(({ id }) => id)).toEqual([bad.id, good.id, 1]);
  });
});

describe('a snapshot', () => {
  it('is retired by the next, drained when nobody pins it, and released', async () => {
    const { apply, rules, tables, inForce } = setUp();
    await apply(FILE);
    const { row = -1, id = -1 } = inForce() ?? {};
    const stateOf = () => rules.snapshots().find((one) => one.id === id)?.state;
    expect(stateOf()).toBe('in_force');
    tables.snapshots.addPins(row, 1);
    await rules.replace([reject('a', 10)], {}).finished;
    await rules.replace([reject('a', 11)], {}).finished;
    await until('the one between is released', () => rules.statistics().snapshotsByState.released === 1);
    expect(stateOf()).toBe('retired');
    expect(rules.snapshots().find((one) => one.id === id)).toMatchObject({ pins: 1, drainedAtMs: undefined });
    expect(tables.snapshots.id(row)).toBe(id);
    tables.snapshots.addPins(row, -1);
    await until('it is released', () => stateOf() === 'released');
  });

  it('stays while a worker may be reading it', async () => {
    const { apply, rules, tables, inForce } = setUp();
    await apply(FILE);
    const { id = -1 } = inForce() ?? {};
    const stateOf = () => rules.snapshots().find((one) => one.id === id)?.state;
    tables.workers.setOffline(0, 0);
    await rules.replace([reject('a', 10)], {}).finished;
    await rules.explain({ target: '127.0.0.1', port: 1 });
    expect(stateOf()).toBe('retired');
    tables.workers.addTurns(0, 1);
    await until('it is released', () => stateOf() === 'released');
  });

  it('leaves nothing behind: words, keys and rows are flat over 200 changes', async () => {
    const { apply, rules, tables, compilers } = setUp();
    writeFileSync(join(directory, 'set.txt'), 'a.example\nb.example\n');
    await apply(`${FILE}\nrule_sets: [{ tag: set, path: set.txt, format: domains }]`);
    const change = (round: number) =>
      rules.replace([{ port: round, rule_set: 'set', action: 'reject' }, reject('stays', round)], {})
        .finished;
    const settled = () => rules.statistics().snapshotsByState.retired === 0;
    await change(1);
    await until('the first is drained', settled);
    const { words = 0 } = rules.snapshots()[0] ?? {};
    const blockWords = (one: number) => 2 ** Math.ceil(Math.log2(Math.max(8, one)));
    const setWords = rules.current().ruleSets[0]?.words ?? 0;
    const arenaWordsUsed = blockWords(words) + blockWords(setWords);
    for (let round = 2; round <= 200; round++) await change(round);
    await until('all are drained', settled);
    const isFlat = () => rules.statistics().arenaWordsUsed === arenaWordsUsed;
    await until('all words are free', isFlat);
    expect(rules.statistics()).toMatchObject({ pins: 0, swaps: 201 });
    const rows = Array.from({ length: 256 }, (_, row) => tables.snapshots.id(row)).filter((id) => id > 0);
    expect(rows).toHaveLength(1);
    // `stays`, f1, f2, and the rule without an id as it was last, or twice if the one before is not told yet.
    expect([...rules.names.all()].length).toBeLessThanOrEqual(6);
    const compiled = compilers[0]?.requests.filter(({ kind }) => kind === 'compile') ?? [];
    const sent = compiled.flatMap((job) => (job.kind === 'compile' ? job.ruleSets : []));
    expect(sent.filter(({ source }) => source !== undefined)).toHaveLength(1);
  });

  it('keeps the name and key of a rule that has gone while it has connections', async () => {
    const { apply, rules, tables, jobs } = setUp();
    await apply(INBOUND);
    await rules.replace([reject('a', 10)], {}).finished;
    const key = rules.names.find('a')?.index ?? -1;
    const [heads] = tables.lists;
    heads?.addCount(LIST_RULE, key, 1);
    for (const port of [1, 2, 3]) await rules.replace([reject('b', port)], { reconcile: 'none' }).finished;
    expect(rules.names.nameOf(key, 0)).toBe('a');
    expect(jobs).toEqual(jobs.slice(0, 1));
    await rules.replace([reject('b', 4)], {}).finished;
    expect(jobs.at(-1)?.keys).toContain(key);
    // Also where it comes back.
    await rules.replace([reject('b', 4), reject('a', 11)], {}).finished;
    expect(jobs.at(-1)?.keys).toContain(key);
    await rules.replace([reject('b', 6)], {}).finished;
    heads?.addCount(LIST_RULE, key, -1);
    await rules.replace([reject('b', 5)], {}).finished;
    expect(rules.names.nameOf(key, 0)).toBeUndefined();
  });

  it('leaves nobody behind with a rule that has gone, while an older one that holds it is pinned', async () => {
    const { apply, rules, tables, jobs, inForce } = setUp();
    await apply(INBOUND);
    await rules.replace([reject('a', 10)], {}).finished;
    const key = rules.names.find('a')?.index ?? -1;
    tables.lists[0]?.addCount(LIST_RULE, key, 1);
    tables.snapshots.addPins(inForce()?.row ?? -1, 1);
    await rules.replace([reject('b', 1)], { reconcile: 'none' }).finished;
    await rules.replace([reject('b', 2)], {}).finished;
    expect(jobs.at(-1)?.keys).toContain(key);
  });

  it('that does not fit is a mistake that says so, and changes nothing', async () => {
    const { apply, rules, inForce } = setUp({ ruleWords: 4_096 });
    await apply(FILE);
    const before = inForce();
    const many = Array.from({ length: 2_000 }, (_, place) => ({
      domain: `name-${place}.example`,
      action: 'reject',
    }));
    await expect(rules.replace(many, {}).finished).rejects.toMatchObject({
      code: 'rules_invalid',
      message: expect.stringContaining('no room'),
    });
    expect(inForce()).toEqual(before);
    await rules.replace([reject('a', 1)], {}).finished;
    expect(inForce()?.id).toBeGreaterThan(before?.id ?? 0);
  });
});

describe('connections that a change concerns', () => {
  it('are those of rules from the first difference on', async () => {
    const { apply, rules, jobs } = setUp();
    await apply(INBOUND);
    await rules.replace([reject('a', 1), reject('b', 2), reject('c', 3)], {}).finished;
    const key = (id: string) => rules.names.find(id)?.index ?? -1;
    const [a, b, c] = [key('a'), key('b'), key('c')];
    await rules.replace([reject('a', 1), reject('b', 9), reject('c', 3)], {}).finished;
    expect(jobs.at(-1)).toMatchObject({ keys: [b, c, RULE_KEY_FINAL], mode: REJUDGE_REJECT, dryRun: false });
    await rules.patch([{ id: 'b', rule: null }], { reconcile: 'all', ratePerSecond: 5 }).finished;
    expect(jobs.at(-1)).toMatchObject({ keys: [b], mode: REJUDGE_ALL, ratePerSecond: 5 });
    await rules.replace([reject('c', 3), reject('a', 1)], {}).finished;
    expect(new Set(jobs.at(-1)?.keys)).toEqual(new Set([a, c, RULE_KEY_FINAL]));
    const before = jobs.length;
    await rules.replace([reject('d', 3)], { reconcile: 'none' }).finished;
    expect(jobs).toHaveLength(before);
  });

  it('are counted by a dry run, which changes nothing', async () => {
    const { apply, rules, jobs, inForce, kept } = setUp({
      rejudge: () => ({
        over: Promise.resolve({ ...NOBODY, matched: 7, byService: { web: 7 }, sample: ['0-1-2'] }),
        cancel: () => {},
      }),
    });
    await apply(FILE);
    const before = inForce();
    const counted = await rules.replace([reject('a', 1)], { dryRun: true }).finished;
    expect(counted).toMatchObject({
      isDryRun: true,
      added: ['a'],
      rejudged: { matched: 7, ended: 0, byService: { web: 7 }, sample: ['0-1-2'] },
    });
    expect(jobs.at(-1)).toMatchObject({ dryRun: true });
    expect(jobs.at(-1)?.snapshotRow).not.toBe(before?.row);
    expect(inForce()).toEqual(before);
    expect(kept).toEqual([]);
    expect(rules.names.find('a')).toBeDefined();
    await until('it is released', () => rules.statistics().snapshotsByState.released === 1);
    await rules.replace([reject('b', 1)], {}).finished;
    expect(rules.names.find('a')).toBeUndefined();
  });

  it('are taken over by the next change; a snapshot that they are judged by stays', async () => {
    const walks: { end: (result: RejudgementResult) => void }[] = [];
    const { apply, rules, jobs } = setUp({
      rejudge() {
        let end: (result: RejudgementResult) => void = () => {};
        const over = new Promise<RejudgementResult>((resolve) => {
          end = resolve;
        });
        walks.push({ end });
        return { over, cancel: () => {} };
      },
    });
    await apply(INBOUND);
    const first = rules.replace([reject('a', 1)], { reconcile: 'all' });
    await until('the first walks', () => walks.length === 1);
    const second = rules.replace([reject('a', 1), reject('b', 2)], {});
    await until('the second walks', () => walks.length === 2);
    expect(jobs.at(-1)).toMatchObject({ mode: REJUDGE_ALL, keys: [RULE_KEY_FINAL] });
    walks[1]?.end({ ...NOBODY, ended: 2 });
    expect(await second.finished).toMatchObject({ rejudged: { ended: 2, isSuperseded: false } });
    expect(rules.statistics().snapshotsByState).toMatchObject({ retired: 1, in_force: 1 });
    walks[0]?.end({ ...NOBODY, ended: 1, isCancelled: true });
    expect(await first.finished).toMatchObject({ rejudged: { ended: 1, isSuperseded: true } });
    await until('it is released', () => rules.statistics().snapshotsByState.released === 1);
  });
});

describe('a compiler that dies', () => {
  it('fails the jobs that it had; its successor leaves what is read where it is', async () => {
    const { apply, rules, compilers, inForce, tables } = setUp();
    await apply(FILE);
    const before = inForce();
    const words = tables.rules.slice(before?.at, (before?.at ?? 0) + 64);
    compilers[0]?.hold();
    const lost = rules.replace([reject('a', 1)], {});
    await until('it has the job', () => (compilers[0]?.requests.length ?? 0) > 1);
    compilers[0]?.die();
    await expect(lost.finished).rejects.toMatchObject({ code: 'compiler_failed', retryable: true });
    expect(inForce()).toEqual(before);
    const key = rules.names.find('f1')?.index;
    const explained = await rules.explain({ target: '10.0.0.1', port: 1 });
    expect(explained).toMatchObject({ rule: 'f1', action: 'reject' });
    expect(compilers[1]?.start.kept).toEqual([
      { snapshotId: before?.id, blocks: [{ at: before?.at, words: expect.any(Number) }] },
    ]);
    expect(tables.rules.slice(before?.at, (before?.at ?? 0) + 64)).toEqual(words);
    expect(inForce()?.at).not.toBe(before?.at);
    expect(rules.names.find('f1')?.index).toBe(key);
    await until('the old one is released', () => rules.statistics().snapshotsByState.released === 1);
    expect(rules.statistics()).toMatchObject({ compilerDeaths: 1 });
  });

  it('takes what it was told to release with it', async () => {
    const { apply, rules, compilers, tables, inForce } = setUp();
    await apply(FILE);
    const { row = -1, id = -1 } = inForce() ?? {};
    tables.snapshots.addPins(row, 1);
    await rules.replace([reject('a', 1)], {}).finished;
    compilers[0]?.hold();
    tables.snapshots.addPins(row, -1);
    const stateOf = () => rules.snapshots().find((one) => one.id === id)?.state;
    await until('nobody reads it', () => stateOf() === 'drained');
    compilers[0]?.die();
    expect(stateOf()).toBe('released');
    await rules.replace([reject('a', 2)], {}).finished;
    expect(compilers[1]?.start.kept.map(({ snapshotId }) => snapshotId)).toEqual([id + 1]);
    await until('the other is released', () => rules.statistics().snapshotsByState.released === 2);
    const blockWords = 2 ** Math.ceil(Math.log2(rules.snapshots()[0]?.words ?? 0));
    expect(rules.statistics().arenaWordsUsed).toBe(blockWords);
  });
});
