// The scripts are run by the shells that they are for, on a `sluice` that only lists names. Shells that are not
// installed are passed over, and said to be.

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runProgram } from './program.ts';

const directory = mkdtempSync(join(tmpdir(), 'sluice-completion-'));
afterAll(() => rmSync(directory, { recursive: true }));

const environment = {
  ...process.env,
  PATH: `${directory}${delimiter}${process.env['PATH'] ?? ''}`,
  HOME: directory,
};

/** What stands for a daemon's services; one of them would like to be run. */
const STAND_IN = `#!/bin/sh
printf '%s\\n' "$*" >> "${directory}/asked"
printf '%s\\n' alice albert bob '$(touch ${directory}/owned)'
`;

beforeAll(() => {
  writeFileSync(join(directory, 'sluice'), STAND_IN);
  chmodSync(join(directory, 'sluice'), 0o755);
  writeFileSync(join(directory, 'edge.yaml'), '');
});

async function script(shell: string): Promise<string> {
  let text = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  try {
    expect(await runProgram(['completion', shell], { version: '1', run: async () => 0 })).toBe(0);
  } finally {
    write.mockRestore();
  }
  writeFileSync(join(directory, `complete.${shell}`), text);
  return text;
}

const isInstalled = (shell: string) => spawnSync(shell, ['-c', 'true']).status === 0;

function note(shell: string): boolean {
  const there = isInstalled(shell);
  if (!there) process.stdout.write(`completion of ${shell} is not tried: ${shell} is not installed\n`);
  return there;
}

/** What each shell offers for a command line whose last word is being typed. */
const OFFERS: Readonly<Record<string, (words: readonly string[]) => string[]>> = {
  bash(words) {
    const line = words.map((word) => `'${word}'`).join(' ');
    const text = `source complete.bash; COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return lines(
      execFileSync('bash', ['--norc', '-c', text], { cwd: directory, env: environment, encoding: 'utf8' }),
    );
  },
  fish(words) {
    const text = `source complete.fish; complete -C '${words.join(' ')}'`;
    const output = execFileSync('fish', ['--no-config', '-c', text], {
      cwd: directory,
      env: environment,
      encoding: 'utf8',
    });
    return lines(output).map((line) => line.split('\t')[0] as string);
  },
  zsh(words) {
    // The completion system needs a terminal; its builtins are stood in for.
    const line = words.map((word) => `'${word}'`).join(' ');
    const text = `compdef() { :; }; compadd() { shift; print -rl -- "$@"; }; _files() { print -rl -- *; }; _describe() { print -rl -- "\${(@)commands%%:*}"; }
source ./complete.zsh; words=(${line}); CURRENT=${words.length}; _sluice`;
    const output = execFileSync('zsh', ['-f', '-c', text], {
      cwd: directory,
      env: environment,
      encoding: 'utf8',
    });
    const last = words.at(-1) ?? '';
    return lines(output).filter((word) => word.startsWith(last));
  },
};

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

describe.each(['bash', 'zsh', 'fish'])('completion for %s', (shell) => {
  it('names every command and option', async () => {
    const text = await script(shell);
    for (const word of [
      'run',
      'check',
      'reload',
      'status',
      'ps',
      'evict',
      'services',
      'rules',
      'schema',
      'completion',
    ]) {
      expect(text).toContain(word);
    }
    expect(text).toContain(shell === 'fish' ? '-l dry-run' : '--dry-run');
  });

  it.skipIf(!note(shell))('offers what may stand at a place', async () => {
    await script(shell);
    const offered = OFFERS[shell] as (words: readonly string[]) => string[];
    expect(offered(['sluice', 'se'])).toEqual(['services']);
    expect(offered(['sluice', 'services', 'en'])).toEqual(['enable']);
    expect(offered(['sluice', 'evict', '--dr'])).toEqual(['--dry-run']);
    expect(offered(['sluice', 'services', 'set', '--if'])).toEqual(['--if-match']);
    expect(offered(['sluice', 'services', 'list', '--owner', '']).toSorted()).toEqual(['api', 'file']);
    expect(offered(['sluice', 'completion', 'z'])).toEqual(['zsh']);
    expect(offered(['sluice', 'run', '-c', 'edge'])).toEqual(['edge.yaml']);
    expect(offered(['sluice', 'services', 'put', 'edge'])).toEqual(['edge.yaml']);
    expect(offered(['sluice', 'evict', '--service', 'al']).toSorted()).toEqual(['albert', 'alice']);
    expect(offered(['sluice', 'services', 'show', 'b'])).toEqual(['bob']);
    expect(offered(['sluice', 'evict', '--rate', ''])).toEqual([]);
    expect(offered(['sluice', 'rules', 'sn'])).toEqual(['snapshots']);
    expect(offered(['sluice', 'rules', 'put', '--reconcile', '']).toSorted()).toEqual([
      'all',
      'none',
      'reject',
    ]);
    expect(offered(['sluice', 'rules', 'convert', 'edge'])).toEqual(['edge.yaml']);
    expect(offered(['sluice', 'rules', 'show', 'b'])).toEqual(['bob']);
    expect(offered(['sluice', 'ps', '--rule', 'al']).toSorted()).toEqual(['albert', 'alice']);
  });

  it.skipIf(!isInstalled(shell))('asks the daemon that the line names, and runs no name', async () => {
    await script(shell);
    const offered = OFFERS[shell] as (words: readonly string[]) => string[];
    rmSync(join(directory, 'asked'), { force: true });
    offered(['sluice', 'evict', '-c', 'edge.yaml', '--service', '']);
    offered(['sluice', 'evict', '-c', 'edge.yaml', '--rule', '']);
    expect(readFileSync(join(directory, 'asked'), 'utf8').trim().split('\n')).toEqual([
      'services list --names -c edge.yaml',
      'rules list --names -c edge.yaml',
    ]);
    expect(existsSync(join(directory, 'owned'))).toBe(false);
  });
});
