// README.md's "Try it", as a reader does it: the example edge is started as `npm start` does, and every line of the section is
// typed. The ports are those of the example, so nothing else may listen on them.

import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { blocks, page, ROOT } from './pages.ts';

const LINE_TIMEOUT_MS = 20_000;

const run = promisify(execFile);
const section =
  page('README.md')
    .text.split('\n## ')
    .find((part) => part.startsWith('Try it')) ?? '';
const lines = blocks(section, 'sh').flatMap((block) => block.trim().split('\n'));

let edge: ChildProcess;
let printed = '';

beforeAll(async () => {
  edge = spawn('bash', [join(ROOT, 'examples/start.sh')], { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [edge.stdout, edge.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  }
  await new Promise<void>((ready, failed) => {
    edge.stdout?.on('data', () => {
      if (printed.includes('Ctrl-C')) ready();
    });
    edge.on('exit', () => failed(new Error(`the example did not start:\n${printed}`)));
  });
});

afterAll(async () => {
  if (edge.exitCode !== null) return;
  edge.kill('SIGTERM');
  await once(edge, 'exit');
});

it('prints the lines that README.md has', () => {
  expect(printed.match(/^ {2}(curl|\.\/bin).*$/gm)?.map((line) => line.trim())).toEqual(lines);
});

it.each(lines)('%s', async (line) => {
  const { stdout } = await run('bash', ['-c', line], { cwd: ROOT, timeout: LINE_TIMEOUT_MS });
  if (line.startsWith('./bin/sluice status')) expect(stdout).toMatch(/^configuration .*edge\.yaml/m);
  else if (line.startsWith('./bin/sluice ps')) expect(stdout).toMatch(/^ID +SERVICE/m);
  else if (line.startsWith('./bin/sluice services')) expect(stdout).toMatch(/^alice +file/m);
  else if (line.includes('rules explain')) expect(stdout).toContain('rule trackers: reject\n');
  else if (line.startsWith('./bin/sluice rules')) expect(stdout).toMatch(/^ +0 +trackers +file +reject /m);
  else if (line.startsWith('./bin/sluice reload')) expect(stdout).toContain('nothing has changed');
  else if (line.includes('--output')) expect(stdout).toBe('');
  else expect(stdout).toBe('hello from the origin: GET /\n');
});
