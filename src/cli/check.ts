// `sluice check`: what `sluice run` would say of the file, and of the rule sets beside it, without touching the machine.

import { readFileSync } from 'node:fs';
import { checkFileRules } from '../compile/check/check-rules.ts';
import { guessFormat, readRuleSet } from '../compile/formats/read.ts';
import { checkConfiguration } from '../config/check.ts';
import type { RuleSet } from '../config/configuration.ts';
import { formatMistakes, type Mistake, messageOf, pathText, quoted } from '../config/mistakes.ts';
import type { RuleComplaint } from '../layout/compiler-messages.ts';
import { CommandFailure } from './client.ts';
import { EXIT_OK, EXIT_REFUSED } from './exit-codes.ts';

/** Of a file that the configuration names. */
interface FileMistake extends Mistake {
  readonly file: string;
}

interface RuleSetsRead {
  readonly mistakes: FileMistake[];
  readonly warnings: FileMistake[];
}

export function checkCommand(fileName: string, options: { readonly json?: boolean }): number {
  let text: string;
  try {
    // `-` and /dev/stdin are the same to whoever pipes a file into us.
    text = readFileSync(fileName === '-' ? 0 : fileName, 'utf8');
  } catch (error) {
    throw new CommandFailure(EXIT_REFUSED, `${fileName} cannot be read: ${(error as Error).message}`);
  }
  const { configuration, mistakes, warnings } = checkConfiguration(text, fileName, checkFileRules);
  const sets = readRuleSets(configuration?.ruleSets ?? []);
  const isOk = configuration !== undefined && sets.mistakes.length === 0;
  if (options.json) {
    const answer = {
      ok: isOk,
      mistakes: [...mistakes, ...sets.mistakes],
      warnings: [...warnings, ...sets.warnings],
    };
    process.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`);
  } else {
    process.stderr.write(formatMistakes(mistakes, fileName));
    for (const mistake of sets.mistakes) process.stderr.write(formatMistakes([mistake], mistake.file));
    process.stderr.write(formatMistakes(warnings, fileName, 'warning: '));
    for (const one of sets.warnings) process.stderr.write(formatMistakes([one], one.file, 'warning: '));
    if (isOk) process.stdout.write(`${fileName}: ok\n`);
  }
  return isOk ? EXIT_OK : EXIT_REFUSED;
}

/** Those on this machine; nobody is asked over the network for a check. */
function readRuleSets(ruleSets: readonly RuleSet[]): RuleSetsRead {
  const read: RuleSetsRead = { mistakes: [], warnings: [] };
  for (const ruleSet of ruleSets) {
    if (!('path' in ruleSet)) continue;
    const { tag, path, format } = ruleSet;
    try {
      const bytes = readFileSync(path);
      const { mistakes, warnings } = readRuleSet(path, format ?? guessFormat(path, bytes), bytes);
      read.mistakes.push(...mistakes.map((complaint) => inFile(path, complaint)));
      read.warnings.push(...warnings.map((complaint) => inFile(path, complaint)));
    } catch (error) {
      const message = `rule set ${quoted(tag)} cannot be read: ${(error as Error).message}`;
      read.mistakes.push(inFile(path, { path: [], found: 'no file', expected: 'a rule set', message }));
    }
  }
  return read;
}

function inFile(path: string, complaint: RuleComplaint): FileMistake {
  const { found, expected, nearest, fileName = path, line = 1, column = 1 } = complaint;
  return {
    file: fileName,
    path: pathText(complaint.path),
    line,
    column,
    found,
    expected,
    ...(nearest === undefined ? {} : { nearest }),
    message: messageOf(complaint),
  };
}
