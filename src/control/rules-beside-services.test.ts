import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setUpRules } from './rules.fixture.ts';
import type { PlayedRules, RulesSetUp } from './rules.fixture.ts';
import { createServiceChanges } from './service-changes.ts';
import { createMemoryStore } from './services.fixture.ts';

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

const OPEN = 'inbounds: [{ tag: s, type: socks5, listen: "127.0.0.1:0" }]';
const ALICE = { users: [{ username: 'alice', password: 'one' }] };

function setUp(init: Omit<RulesSetUp, 'directory'> = {}) {
  const rules = setUpRules({ directory, ...init });
  played = rules;
  const note = (facts: object) => void rules.logged.push(facts as Record<string, unknown>);
  const log = { info: note, warn: note, error: note };
  const services = createServiceChanges(rules.edge, createMemoryStore(), log);
  const serviceOf = () => rules.edge.configuration.inbounds.map(({ service }) => service);
  return { ...rules, services, serviceOf };
}

describe('the first users of the API', () => {
  it('close an open proxy, whatever has become of the files of rule sets', async () => {
    const file = join(directory, 'set.txt');
    writeFileSync(file, 'a.example\n');
    const { apply, services, serviceOf, asking, inForce } = setUp();
    await apply(`${OPEN}\nrule_sets: [{ tag: set, path: ${file}, format: domains }]
rules: [{ id: f, rule_set: set, action: reject }]`);
    const before = inForce();
    rmSync(file);
    await services.put('alice', ALICE, {});
    expect([serviceOf(), asking, inForce()]).toEqual([[undefined], ['s'], before]);
  });

  it('leave the rules that are in force, also after a rollback', async () => {
    const { apply, rules, services, serviceOf, inForce } = setUp();
    await apply(`${OPEN}\nrules: [{ id: good, port: 1, action: reject }]`);
    const good = inForce()?.id ?? -1;
    await apply(`${OPEN}\nrules: [{ id: wrong, port: 2, action: reject }]`);
    await rules.rollback(good, {}).finished;
    const before = inForce();
    await services.put('alice', ALICE, {});
    expect(serviceOf()).toEqual([undefined]);
    expect(rules.current().rules.map(({ id }) => id)).toEqual(['good']);
    expect(inForce()).toEqual(before);
  });

  it('are told of where the proxy does ask, and a reload that fails tells nothing', async () => {
    const { apply, services, asking, edge } = setUp({ stored: { revision: 1, rules: [] } });
    await apply(OPEN);
    await services.put('alice', ALICE, {});
    expect(asking).toEqual(['s']);
    const further = '{ tag: t, type: socks5, listen: "127.0.0.1:0" }';
    const taken = `{ tag: u, type: socks5, listen: "${edge.inbounds()[0]?.listen.replace('.1:', '.2:')}" }`;
    const wrong = '{ tag: u, type: socks5, listen: "192.0.2.1:1" }';
    await expect(
      apply(`inbounds: [{ tag: s, type: socks5, listen: "127.0.0.1:0" }, ${further}, ${wrong}]`),
    ).rejects.toMatchObject({ code: 'listen_failed' });
    expect(asking).toEqual(['s']);
    await apply(`inbounds: [{ tag: s, type: socks5, listen: "127.0.0.1:0" }, ${further}, ${taken}]`);
    expect(asking).toEqual(['s', 't', 'u']);
  });

  it('close it in the plan of those workers that answer, where another one does not', async () => {
    const { apply, services, serviceOf, asking, state } = setUp();
    await apply(OPEN);
    state.isPlanLate = true;
    await expect(services.put('alice', ALICE, {})).rejects.toMatchObject({ code: 'plan_not_applied' });
    expect([serviceOf(), asking]).toEqual([[undefined], ['s']]);
  });
});

describe('a change of rules that takes long to compile', () => {
  const RULES = [{ id: 'a', port: 9, action: 'reject' }];

  it('keeps no change of services waiting, nor does a dry run', async () => {
    const { apply, rules, services, compilers } = setUp();
    await apply(`${OPEN}\nrules: [{ id: f, port: 1, action: reject }]`);
    for (const dryRun of [false, true]) {
      compilers[0]?.hold();
      const before = compilers[0]?.requests.length ?? 0;
      const slow = rules.replace(dryRun ? [] : RULES, { dryRun });
      await expect.poll(() => compilers[0]?.requests.length).toBe(before + 1);
      await services.put(`alice-${dryRun}`, { users: [{ username: `a-${dryRun}`, password: 'one' }] }, {});
      for (let change = 1; change <= 20; change++)
        await services.patch(`alice-${dryRun}`, { rate: { up: `${change}mbit` } }, {});
      expect(rules.installation(slow.id)?.state).toBe('compiling');
      compilers[0]?.go();
      await slow.finished;
    }
    expect(rules.current().rules.map(({ id }) => id)).toEqual(['a', 'f']);
  });

  it('is compiled anew where a reload came between, and published with what that brought', async () => {
    const { apply, rules, compilers, inForce, kept } = setUp();
    await apply(`${OPEN}\nrules: [{ id: f, port: 1, action: reject }]`);
    compilers[0]?.hold();
    const slow = rules.replace(RULES, {});
    await expect.poll(() => compilers[0]?.requests.length).toBe(2);
    const reloaded = apply(`${OPEN}\nrules: [{ id: g, port: 2, action: reject }]`);
    compilers[0]?.go();
    const { rules: ofReload } = await reloaded;
    const changed = await slow.finished;
    expect(ofReload).toMatchObject({ added: ['g'], removed: ['f'] });
    expect(changed).toMatchObject({ added: ['a'], removed: [], revision: 1 });
    expect(rules.current().rules.map(({ id }) => id)).toEqual(['a', 'g']);
    expect(kept).toHaveLength(1);
    expect(changed.snapshot).toBe(inForce()?.id);
    await expect.poll(() => rules.statistics().snapshotsByState.released).toBe(3);
  });

  it('is refused where a reload has taken away meanwhile what it names', async () => {
    const { apply, rules, compilers, kept } = setUp();
    const outbounds = 'outbounds: [{ tag: direct, type: direct }, { tag: o, type: direct }]';
    await apply(`${OPEN}\n${outbounds}\nrules: [{ id: f, port: 1, action: reject }]`);
    compilers[0]?.hold();
    const slow = rules.replace([{ id: 'a', outbound: 'o' }], {});
    await expect.poll(() => compilers[0]?.requests.length).toBe(2);
    const reloaded = apply(OPEN);
    compilers[0]?.go();
    await reloaded;
    await expect(slow.finished).rejects.toMatchObject({ code: 'rules_invalid' });
    expect([kept, rules.current().rules]).toEqual([[], []]);
  });

  it('comes into force though reloads do not end', async () => {
    const { apply, rules } = setUp();
    const file = (port: number) => `${OPEN}\nrules: [{ id: f, port: ${port}, action: reject }]`;
    await apply(file(1));
    let isOver = false;
    const reloading = (async () => {
      for (let port = 2; !isOver; port++) await apply(file(port));
    })();
    await rules.replace(RULES, {}).finished;
    isOver = true;
    await reloading;
    expect(rules.current().rules.map(({ id }) => id)).toEqual(['a', 'f']);
  });
});
