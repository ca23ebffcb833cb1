// `sluice check`: what `sluice run` would say of the file, and of the files that it names, without touching the machine.

import { readFileSync } from 'node:fs';
import { checkFileRules } from '../compile/check/check-rules.ts';
import { networksOf } from '../compile/formats/mmdb.ts';
import { guessFormat, type ReadRuleSet, readRuleSet } from '../compile/formats/read.ts';
import { checkConfiguration } from '../config/check.ts';
import type { Configuration } from '../config/configuration.ts';
import { formatMistakes, type Mistake, messageOf, pathText, quoted } from '../config/mistakes.ts';
import { CommandFailure } from './client.ts';
import { EXIT_OK, EXIT_REFUSED } from './exit-codes.ts';

/** Of a file that the configuration names. */
interface FileMistake extends Mistake {
  readonly file: string;
}

type RuleComplaint = ReadRuleSet['mistakes'][number];

interface FilesRead {
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
  const files: FilesRead =
    configuration === undefined ? { mistakes: [], warnings: [] } : readFiles(configuration);
  const isOk = configuration !== undefined && files.mistakes.length === 0;
  if (options.json) {
    const answer = {
      ok: isOk,
      mistakes: [...mistakes, ...files.mistakes],
      warnings: [...warnings, ...files.warnings],
    };
    process.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`);
  } else {
    process.stderr.write(formatMistakes(mistakes, fileName));
    for (const mistake of files.mistakes) process.stderr.write(formatMistakes([mistake], mistake.file));
    process.stderr.write(formatMistakes(warnings, fileName, 'warning: '));
    for (const one of files.warnings) process.stderr.write(formatMistakes([one], one.file, 'warning: '));
    if (isOk) process.stdout.write(`${fileName}: ok\n`);
  }
  return isOk ? EXIT_OK : EXIT_REFUSED;
}

/** Rule sets and databases on this machine; nobody is asked over the network for a check. */
function readFiles({ ruleSets, geo }: Configuration): FilesRead {
  const read: FilesRead = { mistakes: [], warnings: [] };
  for (const ruleSet of ruleSets) {
    if (!('path' in ruleSet)) continue;
    const { tag, path, format } = ruleSet;
    const bytes = readInto(read, path, `rule set ${quoted(tag)}`);
    if (bytes === undefined) continue;
    const { mistakes, warnings } = readRuleSet(path, format ?? guessFormat(path, bytes), bytes);
    read.mistakes.push(...mistakes.map((complaint) => inFile(path, complaint)));
    read.warnings.push(...warnings.map((complaint) => inFile(path, complaint)));
  }
  for (const kind of ['country', 'asn'] as const) {
    const path = geo[kind];
    const bytes = path === undefined ? undefined : readInto(read, path, `\`geo.${kind}\``);
    if (path === undefined || bytes === undefined) continue;
    const { mistakes } = networksOf(path, bytes, kind, new Set());
    read.mistakes.push(...mistakes.map((complaint) => inFile(path, complaint)));
  }
  return read;
}

function readInto(read: FilesRead, path: string, what: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    const message = `${what} cannot be read: ${(error as Error).message}`;
    read.mistakes.push(inFile(path, { path: [], found: 'no file', expected: 'a file', message }));
    return undefined;
  }
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
