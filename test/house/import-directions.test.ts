// The linter's import directions, tried with wrong imports: a rule that is misspelt would be silent for ever. What is
// allowed is read from ARCHITECTURE.md's table of folders, so that page, linter and tree cannot drift apart.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OXLINT = join(ROOT, 'node_modules/.bin/oxlint');

/** Folder → folders that it may import, as ARCHITECTURE.md says. `cli` may import types of api besides. */
function documentedFolders(): Map<string, readonly string[]> {
  const rows = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8').matchAll(
    /^\| `src\/(\w+)\/` *\|[^|]*\|([^|]*)\|$/gm,
  );
  return new Map(
    [...rows].map(([, folder = '', imports = '']) => {
      const words = imports.replace(/\(.*?\)|types of \w+/g, '').match(/\w+/g);
      return [folder, words ?? []];
    }),
  );
}

const folders = documentedFolders();
const tree = mkdtempSync(join(tmpdir(), 'sluice-imports-'));
cpSync(join(ROOT, '.oxlintrc.json'), join(tree, '.oxlintrc.json'));
afterAll(() => rmSync(tree, { recursive: true }));

/** Writes `text` as a file of its own, lints it with the project's rules, and answers which rules it broke. */
function brokenRules(files: Readonly<Record<string, string>>): Map<string, string[]> {
  rmSync(join(tree, 'src'), { recursive: true, force: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, name)), { recursive: true });
    writeFileSync(join(tree, name), text);
  }
  const broken = new Map<string, string[]>(Object.keys(files).map((name) => [name, []]));
  for (const { filename, code } of lint()) broken.get(filename)?.push(code);
  return broken;
}

function lint(): { filename: string; code: string }[] {
  const parameters = ['--format', 'json', '.'];
  try {
    return parse(execFileSync(OXLINT, parameters, { cwd: tree, encoding: 'utf8' }));
  } catch (error) {
    // It ends with 1 where it has found something.
    return parse((error as { stdout: string }).stdout);
  }
}

function parse(output: string): { filename: string; code: string }[] {
  return (JSON.parse(output) as { diagnostics: { filename: string; code: string }[] }).diagnostics;
}

const RESTRICTED = 'eslint(no-restricted-imports)';

describe('import directions', () => {
  it('are documented for every folder of src', () => {
    const present = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
    expect([...folders.keys()].toSorted()).toEqual(present.toSorted());
  });

  it('are enforced for every pair of folders, also from deeper down', () => {
    const files: Record<string, string> = {};
    const wrong: string[] = [];
    for (const [from, allowed] of folders) {
      for (const to of folders.keys()) {
        if (to === from) continue;
        const shallow = `src/${from}/to-${to}.ts`;
        const deep = `src/${from}/below/to-${to}.ts`;
        files[shallow] = `import { probe } from '../${to}/probe.ts';\nexport const same = probe;\n`;
        files[deep] = `import { probe } from '../../${to}/probe.ts';\nexport const same = probe;\n`;
        if (!allowed.includes(to)) wrong.push(shallow, deep);
      }
    }
    const refused = [...brokenRules(files)].filter(([, rules]) => rules.includes(RESTRICTED));
    expect(refused.map(([name]) => name).toSorted()).toEqual(wrong.toSorted());
  });

  it('let the command line take types of api, and nothing else of it', () => {
    const broken = brokenRules({
      'src/cli/type.ts': "import type { Status } from '../api/status.ts';\nexport type Same = Status;\n",
      'src/cli/value.ts': "import { status } from '../api/status.ts';\nexport const same = status;\n",
    });
    expect(broken.get('src/cli/type.ts')).toEqual([]);
    expect(broken.get('src/cli/value.ts')).toEqual([RESTRICTED]);
  });

  it('keep the FFI library in src/sys/libc', () => {
    const text = "import koffi from 'koffi';\nexport const same = koffi;\n";
    const broken = brokenRules({
      'src/sys/libc/library.ts': text,
      'src/sys/simulated/library.ts': text,
      'src/path/library.ts': text,
      'src/daemon.ts': text,
    });
    expect(broken.get('src/sys/libc/library.ts')).toEqual([]);
    for (const name of ['src/sys/simulated/library.ts', 'src/path/library.ts', 'src/daemon.ts']) {
      expect(broken.get(name), name).toEqual([RESTRICTED]);
    }
  });

  it('keep configuration and control out of the worker and the keeper, and the path out of the daemon', () => {
    const broken = brokenRules({
      'src/worker.ts': "import { probe } from './config/probe.ts';\nexport const same = probe;\n",
      'src/keeper.ts': "import { probe } from './control/probe.ts';\nexport const same = probe;\n",
      'src/daemon.ts': "import { probe } from './path/probe.ts';\nexport const same = probe;\n",
      'src/layout/root.ts': "import { probe } from '../daemon.ts';\nexport const same = probe;\n",
    });
    for (const [name, rules] of broken) expect(rules, name).toEqual([RESTRICTED]);
  });

  it('refuse cycles', () => {
    const broken = brokenRules({
      'src/path/a.ts': "import { b } from './b.ts';\nexport const a = (): unknown => b;\n",
      'src/path/b.ts': "import { a } from './a.ts';\nexport const b = (): unknown => a;\n",
    });
    expect([...broken.values()].flat()).toContain('import(no-cycle)');
  });
});
