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
