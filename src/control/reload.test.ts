import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Configuration } from '../config/configuration.ts';
import type { Changes, Edge } from './edge.ts';
import { createReloader, readConfiguration } from './reload.ts';
import { setUpRules } from './rules.fixture.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-reload-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const GOOD = 'inbounds: [{ tag: s, type: socks5, listen: "127.0.0.1:0" }]\n';

async function setUp() {
  const fileName = join(directory, 'edge.yaml');
  writeFileSync(fileName, GOOD);
  const applied: Configuration[] = [];
  const waiting: (() => void)[] = [];
  let { configuration } = await readConfiguration(fileName);
  const edge = {
    version: 1,
    get configuration() {
      return configuration;
    },
    apply: (next: Configuration) =>
      new Promise<Changes>((resolve) => {
        if (isBroken) {
          isBroken = false;
          throw new TypeError('oops');
        }
        applied.push(next);
        waiting.push(() => {
          configuration = next;
          resolve({} as Changes);
        });
      }),
  } as unknown as Edge;
  let isBroken = false;
  const breakNext = () => {
    isBroken = true;
  };
  const order: string[] = [];
  let isStopping = false;
  const reloader = createReloader({
    fileName,
    edge,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    isStopping: () => isStopping,
    before: () => order.push('before'),
    after: () => order.push('after'),
  });
  const stop = () => {
    isStopping = true;
  };
  const release = async () => {
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    waiting.shift()?.();
  };
  return { fileName, applied, reloader, order, stop, release, breakNext };
}

describe('reload', () => {
  it('runs one at a time, and once more for all who asked meanwhile', async () => {
    const { applied, reloader, order, release } = await setUp();
    const first = reloader.reload('signal');
    const others = [reloader.reload('api'), reloader.reload('signal')];
    await release();
    expect((await first).error).toBeUndefined();
    await release();
    const [second, third] = await Promise.all(others);
    expect(second).toBe(third);
    expect(applied).toHaveLength(2);
    expect(order).toEqual(['before', 'after', 'before', 'after']);
  });

  it('changes nothing for a file with mistakes, and lists them all', async () => {
    const { fileName, applied, reloader } = await setUp();
    writeFileSync(fileName, 'bogus: 1\ninbounds: [{ tag: s, type: socks9, listen: "127.0.0.1:0" }]\n');
    const { error } = await reloader.reload('api');
    expect(error).toMatchObject({
      code: 'configuration_invalid',
      facts: { mistakes: [{ path: 'bogus' }, { path: 'inbounds[0].type' }] },
    });
    expect(applied).toEqual([]);
    expect(reloader.last()?.error).toBe(error);
    rmSync(fileName);
    expect((await reloader.reload('api')).error?.code).toBe('configuration_unreadable');
  });

  it('names what waits for a restart', async () => {
    const { fileName, reloader, release } = await setUp();
    writeFileSync(fileName, `${GOOD}workers: 7\nstore: ./other.db\n`);
    const reloading = reloader.reload('api');
    await release();
    expect((await reloading).restartNeeded).toEqual(['workers', 'store']);
  });

  it('goes on naming it until it was undone', async () => {
    const { fileName, reloader, release } = await setUp();
    const reload = async (text: string) => {
      writeFileSync(fileName, text);
      const reloading = reloader.reload('api');
      await release();
      return (await reloading).restartNeeded;
    };
    expect(await reload(`${GOOD}workers: 7\n`)).toEqual(['workers']);
    expect(await reload(`${GOOD}workers: 7\n`)).toEqual(['workers']);
    expect(await reload(`${GOOD}store: ./other.db\n`)).toEqual(['store']);
    expect(await reload(GOOD)).toEqual([]);
  });

  it('survives a mistake of ours as a failed reload, and the next one works', async () => {
    const { reloader, order, release, breakNext } = await setUp();
    breakNext();
    const { error } = await reloader.reload('signal');
    expect(error).toMatchObject({
      code: 'internal',
      source: 'control',
      message: expect.stringContaining('oops'),
    });
    expect(order).toEqual(['before', 'after']);
    const again = reloader.reload('signal');
    await release();
    expect((await again).error).toBeUndefined();
  });

  it('refuses while the daemon is about to end', async () => {
    const { reloader, stop, applied } = await setUp();
    stop();
    expect((await reloader.reload('signal')).error?.code).toBe('stopping');
    expect(applied).toEqual([]);
  });

  it('tells mistakes in the file of a rule set with their file, line and column, in its answer and in the log', async () => {
    const fileName = join(directory, 'edge.yaml');
    const listName = join(directory, 'ads.json');
    const text = `${GOOD}rule_sets: [{ tag: ads, path: ads.json }]\nrules: [{ rule_set: ads, action: reject }]\n`;
    writeFileSync(fileName, text);
    writeFileSync(listName, '{ "version": 1, "rules": [{ "port": 80 }] }\n');
    const played = setUpRules({ directory });
    const logged: { event?: string; mistakes?: unknown }[] = [];
    const record = (facts: object) => void logged.push(facts);
    try {
      await played.apply(text);
      const reloader = createReloader({
        fileName,
        edge: played.edge,
        log: { info: record, warn: record, error: record },
        isStopping: () => false,
        before: () => {},
        after: () => {},
      });
      writeFileSync(
        listName,
        '{ "version": 1, "rules": [\n  { "port": 80 },\n  { "port": "x", "domian": "a" }\n] }\n',
      );
      const { error } = await reloader.reload('api');
      const mistakes = [
        {
          path: 'rule_sets[0].rules[1].port',
          found: '"x"',
          expected: expect.stringContaining('65535'),
          message: expect.stringContaining(`${listName}:3:13: `),
        },
        {
          path: 'rule_sets[0].rules[1].domian',
          nearest: 'domain',
          message: expect.stringContaining(`${listName}:3:18: `),
        },
      ];
      expect(error).toMatchObject({ code: 'rules_invalid', facts: { mistakes } });
      expect(logged).toMatchObject([{ event: 'reload_failed', mistakes }]);
      await expect(played.rules.refresh('ads')).rejects.toMatchObject({ facts: { mistakes } });
    } finally {
      await played.close();
    }
  });
});
