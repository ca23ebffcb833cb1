// The pages that a reader of this repository meets, and what stands in them.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Page {
  /** From the root. */
  readonly name: string;
  readonly text: string;
}

/** Every page of the root, of docs/ and of bench/. */
export function pages(): Page[] {
  const names = [
    ...readdirSync(ROOT),
    ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`),
    ...readdirSync(join(ROOT, 'bench')).map((name) => `bench/${name}`),
  ];
  return names.filter((name) => name.endsWith('.md')).map(page);
}

export function page(name: string): Page {
  return { name, text: readFileSync(join(ROOT, name), 'utf8') };
}

/** The text of each fenced block of a language. */
export function blocks(text: string, language: string): string[] {
  const fences = text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'));
  return [...fences].map(([, block = '']) => block);
}
