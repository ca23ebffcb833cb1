// What the pages name is there: files, scripts, commands, metrics, log events, error codes.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blocks, page, pages, ROOT } from './pages.ts';

const FOLDERS = 'src|docs|test|bench|examples|schema|systemd|bin|\\.ci';

/** All sources as one text: for words that must occur somewhere. */
function sources(): string {
  return readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(ROOT, 'src', name), 'utf8'))
    .join('\n');
}

describe.each(pages())('$name', ({ name, text }) => {
  it('names only files that exist', () => {
    const named = [...text.matchAll(new RegExp(`(?<![\\w/.-])(?:${FOLDERS})/[\\w./-]*[\\w/]`, 'g'))]
      .map(([path]) => path)
      .filter((path) => !path.startsWith('bench/results'));
    const linked = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path = '']) =>
      join(dirname(name), path),
    );
    const missing = [...named, ...linked].filter((path) => !existsSync(join(ROOT, path)));
    expect(missing).toEqual([]);
  });

  it('names only scripts that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const named = [...text.matchAll(/npm (?:run )([\w:-]+)|npm (start|test)\b/g)].map(
      ([, run, own]) => run ?? own ?? '',
    );
    expect(named.filter((script) => scripts[script] === undefined)).toEqual([]);
  });
});

describe('operators', () => {
  const source = sources();
  const operatorPages = pages().filter(({ name }) => name === 'README.md' || name.startsWith('docs/'));
  const words = (pattern: RegExp) =>
    operatorPages.flatMap(({ text }) => [...text.matchAll(pattern)].map(([, word = '']) => word));

  it('find every metric that a page names', () => {
    const metrics = words(/\b(sluice_[a-z_]+)\b/g);
    expect(metrics.length).toBeGreaterThan(5);
    expect(metrics.filter((metric) => !source.includes(`'${metric}'`))).toEqual([]);
  });

  it('find every reason, log event and error code that a page names', () => {
    const reasons = words(/reason="(\w+)"/g);
    const events = words(/"event":"(\w+)"/g);
    const codes = [...page('docs/runbooks/reload-refused.md').text.matchAll(/^\| `(\w+)`/gm)].map(
      ([, code = '']) => code,
    );
    expect([reasons.length, events.length, codes.length].every((count) => count > 0)).toBe(true);
    const isReason = (name: string) =>
      ['reason', 'refusal'].some((kind) => source.includes(`${kind}('${name}'`));
    expect(reasons.filter((reason) => !isReason(reason))).toEqual([]);
    expect(events.filter((event) => !source.includes(`event: '${event}'`))).toEqual([]);
    expect(codes.filter((code) => !source.includes(`'${code}'`))).toEqual([]);
  });

  it('see in README.md the commands that the command line has', () => {
    const listed = [...page('README.md').text.matchAll(/^\| `sluice (\w+)`/gm)].map(([, command]) => command);
    const help = execFileSync(join(ROOT, 'bin/sluice'), ['--help'], { encoding: 'utf8' });
    const commands = [...help.slice(help.indexOf('Commands:')).matchAll(/^ {2}(\w+) /gm)]
      .map(([, command = '']) => command)
      .filter((command) => !['help'].includes(command) && !/^\d/.test(command));
    expect(listed.toSorted()).toEqual(commands.toSorted());
  });
});

it('.ci/run ends with the test command of README.md', () => {
  const commands = blocks(page('README.md').text, 'sh').map((block) => block.trim());
  expect(commands).toContain('bash test/run');
  const testLine = readFileSync(join(ROOT, '.ci/run'), 'utf8').trim().split('\n').at(-2);
  expect(testLine).toMatch(/ bash test\/run /);
});
