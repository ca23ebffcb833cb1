// `sluice rules convert`: a rule set of any format that is read, in one that is written. Works without a daemon. What the
// other format has no words for is refused, since a set that quietly became another one would be worse than none.

import { writeFileSync } from 'node:fs';
import { guessFormat, readRuleSet } from '../compile/formats/read.ts';
import { convertRuleSet, type WrittenFormat } from '../compile/formats/write.ts';
import type { RuleSetRules } from '../compile/rule.ts';
import { messageOf, pathText } from '../config/mistakes.ts';
import { CommandFailure } from './client.ts';
import { readInput } from './document.ts';
import { EXIT_OK, EXIT_REFUSED } from './exit-codes.ts';

type RuleComplaint = ReturnType<typeof readRuleSet>['mistakes'][number];
export type RuleSetFormat = ReturnType<typeof guessFormat>;

export interface ConvertOptions {
  readonly from?: RuleSetFormat;
  readonly to: WrittenFormat;
  readonly output?: string;
}

export function convertCommand(fileName: string, options: ConvertOptions): number {
  const rules = readRules(fileName, options.from);
  if (rules === undefined) return EXIT_REFUSED;
  const { text, mistakes } = convertRuleSet(fileName, rules, options.to);
  if (mistakes.length > 0) {
    process.stderr.write(complaintsText(mistakes, fileName));
    return EXIT_REFUSED;
  }
  if (options.output === undefined) process.stdout.write(text);
  else {
    try {
      writeFileSync(options.output, text);
    } catch (error) {
      const message = `${options.output} cannot be written: ${(error as Error).message}`;
      throw new CommandFailure(EXIT_REFUSED, message);
    }
  }
  return EXIT_OK;
}

/** @returns undefined where it has mistakes, which are printed then */
export function readRules(fileName: string, from: RuleSetFormat | undefined): RuleSetRules | undefined {
  const bytes = readInput(fileName);
  const { rules, mistakes, warnings } = readRuleSet(fileName, from ?? guessFormat(fileName, bytes), bytes);
  process.stderr.write(complaintsText(warnings, fileName, 'warning: '));
  process.stderr.write(complaintsText(mistakes, fileName));
  return mistakes.length > 0 ? undefined : rules;
}

/** `ads.json:12:7 rules[3].domain[0]: found ...`, as a compiler does. */
export function complaintsText(complaints: readonly RuleComplaint[], fileName: string, label = ''): string {
  const lines = complaints.map((complaint) => {
    const { line, column } = complaint;
    const place = line === undefined ? '' : `:${line}:${column ?? 1}`;
    const path = complaint.path.length === 0 ? '' : `${pathText(complaint.path)}: `;
    return `${complaint.fileName ?? fileName}${place} ${label}${path}${messageOf(complaint)}\n`;
  });
  return lines.join('');
}
