// `sluice check`: what `sluice run` would say of the file, without touching the machine.

import { readFileSync } from 'node:fs';
import { checkConfiguration } from '../config/check.ts';
import { formatMistakes } from '../config/mistakes.ts';
import { CommandFailure } from './client.ts';
import { EXIT_OK, EXIT_REFUSED } from './exit-codes.ts';

export function checkCommand(fileName: string, options: { readonly json?: boolean }): number {
  let text: string;
  try {
    // `-` and /dev/stdin are the same to whoever pipes a file into us.
    text = readFileSync(fileName === '-' ? 0 : fileName, 'utf8');
  } catch (error) {
    throw new CommandFailure(EXIT_REFUSED, `${fileName} cannot be read: ${(error as Error).message}`);
  }
  const { configuration, mistakes, warnings } = checkConfiguration(text, fileName);
  if (options.json) {
    const answer = { ok: configuration !== undefined, mistakes, warnings };
    process.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`);
  } else {
    process.stderr.write(formatMistakes(mistakes, fileName));
    process.stderr.write(formatMistakes(warnings, fileName, 'warning: '));
    if (configuration !== undefined) process.stdout.write(`${fileName}: ok\n`);
  }
  return configuration === undefined ? EXIT_REFUSED : EXIT_OK;
}
