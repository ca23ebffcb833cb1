// Where things are: compiled benchmarks run from a folder inside the checkout, whatever its name.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('the benchmark runs inside a checkout of Sluice');
    folder = parent;
  }
  return folder;
}

/** The checkout's root. */
export const CHECKOUT = findRoot();

/** The compiled file beside this one, as an argument for node. */
export function compiled(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
