// A moment of every benchmark, with every subject that is installed, so that they cannot rot. Figures of so short a run
// mean nothing, and the other tests are on the same two cores: only that each figure exists is asserted.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CHECKOUT } from './checkout.ts';
import { EVERY_WORK } from './every-work.ts';

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-bench-test-'));
  // Child processes run compiled files; a stale build would test yesterday's benchmark. Whether types are right is the
  // type check's business.
  const compiler = join(CHECKOUT, 'node_modules/typescript/bin/tsc');
  const built = spawnSync(process.execPath, [compiler, '-b', 'bench'], { cwd: CHECKOUT, encoding: 'utf8' });
  if (!existsSync(join(CHECKOUT, 'dist/bench/main.js'))) throw new Error(`not built: ${built.stdout}`);
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Result {
  works: {
    remarks: string[];
    metrics: { metric: string; subjects: Record<string, { median: number | null }> }[];
  }[];
}

test.each(EVERY_WORK)('$name runs with every subject that is installed', { timeout: 90_000 }, (work) => {
  const parameters = ['dist/bench/main.js', '--tiny', '--only', work.name, '--results', folder];
  const printed = execFileSync(process.execPath, [...parameters, '--name', work.name], {
    cwd: CHECKOUT,
    encoding: 'utf8',
    timeout: 80_000,
  });
  const skipped = printed.split('\n').filter((line) => line.startsWith('! '));
  for (const line of skipped) process.stdout.write(`${work.name}: ${line}\n`);
  const absent = skipped.map((line) => line.split(' ')[1]);

  const file = readdirSync(folder).find((name) => name.endsWith(`Z-${work.name}.json`)) ?? '';
  const { works } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Result;
  expect(works).toHaveLength(1);
  expect(works[0]?.remarks).toEqual([]);
  for (const [index, { metric, subjects }] of (works[0]?.metrics ?? []).entries()) {
    const about = work.metrics[index]?.only ?? work.subjects;
    const expected = about.filter((subject) => !absent.includes(subject));
    expect(Object.keys(subjects).toSorted(), metric).toEqual(expected.toSorted());
    for (const [subject, cell] of Object.entries(subjects)) {
      expect(cell.median, `${subject}: ${metric}`).toEqual(expect.any(Number));
    }
  }
});
