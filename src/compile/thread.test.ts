import { expect, test } from 'vitest';
import type { CompileJob, CompilerAnswer, RuleSetSource } from '../layout/compiler-messages.ts';
import { writeMmdb } from './formats/mmdb-writer.fixture.ts';
import { createCompiler } from './thread.ts';

function compiler(arenaBytes = 2 ** 22) {
  let last: CompilerAnswer | undefined;
  const arena = new SharedArrayBuffer(arenaBytes);
  const { take } = createCompiler(
    { arena, hashKey: Int32Array.of(1, 2, 3, 4), nice: 0, kept: [], keys: [] },
    (answer) => {
      if (answer.kind !== 'compiling') last = answer;
    },
    () => {},
  );
  return {
    compile(snapshotId: number, job: Partial<CompileJob>) {
      const nothing = { apiRules: [], fileRules: [], ruleSets: [], geo: [], outbounds: [], inbounds: [] };
      take({ kind: 'compile', job: snapshotId, snapshotId, freedRules: [], ...nothing, ...job });
      return last;
    },
    actionOf(snapshotId: number) {
      take({ kind: 'explain', job: 99, snapshotId, connection: { target: '8.8.8.8', port: 443 } });
      return last?.kind === 'explained' ? last.explanation.rule : last;
    },
  };
}

function country(version: string, code: string): RuleSetSource[] {
  const bytes = writeMmdb({
    ipVersion: 6,
    recordBits: 24,
    databaseType: 'GeoLite2-Country',
    entries: [['8.8.0.0/16', { country: { iso_code: code } }]],
  });
  return [{ tag: 'country', version, source: { fileName: 'c.mmdb', format: 'mmdb', bytes } }];
}

const US = { id: 'us', geoip: 'us', action: 'reject' };

test('an explanation knows countries as its snapshot does, whatever has come since', () => {
  const { compile, actionOf } = compiler();
  expect(compile(1, { fileRules: [US], geo: country('v1', 'US') })).toMatchObject({ kind: 'compiled' });
  expect(actionOf(1)).toBe('us');
  // Refused: it changes nothing.
  expect(compile(2, { fileRules: [{ domain: '*.x', action: 'reject' }] })).toMatchObject({
    kind: 'compile_failed',
  });
  expect(actionOf(1)).toBe('us');
  const unchanged = [{ tag: 'country', version: 'v1' }];
  expect(compile(3, { fileRules: [US], geo: unchanged })).toMatchObject({ kind: 'compiled' });
  expect(compile(4, { fileRules: [US], geo: country('v2', 'DE') })).toMatchObject({ kind: 'compiled' });
  expect([actionOf(1), actionOf(3), actionOf(4)]).toEqual(['us', 'us', null]);
  // Forgotten with the change that was made without it.
  expect(compile(5, { fileRules: [US], geo: unchanged })).toMatchObject({ kind: 'sources_missing' });
});

test('what nobody has foreseen fails its job, and the next one succeeds', () => {
  const { compile, actionOf } = compiler();
  const broken = {
    get domain(): never {
      throw new RangeError('of all things');
    },
  };
  expect(compile(1, { fileRules: [broken] })).toMatchObject({
    kind: 'compile_failed',
    mistakes: [{ message: 'the rules cannot be compiled: of all things' }],
  });
  expect(compile(2, { fileRules: [{ id: 'all', action: 'reject' }] })).toMatchObject({ kind: 'compiled' });
  expect(actionOf(2)).toBe('all');
});

test('expressions of rule sets count together where rules name them', () => {
  const { compile } = compiler(2 ** 26);
  const set = (place: number): RuleSetSource => ({
    tag: `s${place}`,
    version: `v${place}`,
    source: {
      fileName: `s${place}.json`,
      format: 'source',
      bytes: Buffer.from(
        JSON.stringify({
          version: 3,
          rules: [{ domain_regex: [`[a-z].{${60 + place}}[b-d].{200}[0-9]`] }],
        }),
      ),
    },
  });
  const sets = Array.from({ length: 10 }, (_, place) => place);
  const rule = { rule_set: sets.map((place) => `s${place}`), action: 'reject' };
  const one = { fileRules: [{ rule_set: 's9', action: 'reject' }], ruleSets: sets.map(set) };
  expect(compile(1, one)).toMatchObject({ kind: 'compiled' });
  const answer = compile(2, { ...one, fileRules: [rule] });
  expect(answer).toMatchObject({
    kind: 'compile_failed',
    mistakes: [{ message: expect.stringContaining('of the rules and of the rule sets up to this one') }],
  });
  const [mistake] = answer?.kind === 'compile_failed' ? answer.mistakes : [];
  expect(mistake?.path[0]).toBe('rule_sets');
  expect(mistake?.path[1]).toBeGreaterThan(1);
});
