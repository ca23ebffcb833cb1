// Rule sets in sing-box's source format: JSON with a version, 1 to 4, and headless rules. Versions differ in items about
// telephones and in how binary files are packed: all are read alike.
// @source sing-box, source-format.md

import { nearest } from '../../config/nearest.ts';
import { quoted, shown } from '../../config/mistakes.ts';
import type { RuleComplaint } from '../../layout/compiler-messages.ts';
import type { Condition } from '../rule.ts';
import { type Complaints, complain } from './complaints.ts';
import { newReading, readRules, warnOfLeftOut } from './headless.ts';
import { type JsonText, readJsonText } from './json-text.ts';

const VERSION_MAX = 4;
const KEYS = ['version', 'rules'];

export function readSource(text: string, mistakes: Complaints, warnings: Complaints): Condition[] {
  const json = readJsonText(text.startsWith('\ufeff') ? ` ${text.slice(1)}` : text);
  for (const { found, message, line, column } of json.mistakes) {
    complain(mistakes, { path: [], found, expected: 'JSON', message, line, column });
  }
  if (json.mistakes.length > 0) return [];
  const rules = readVersioned(json.value, mistakes, warnings);
  locateAll(json, mistakes);
  locateAll(json, warnings);
  return rules;
}

function readVersioned(value: unknown, mistakes: Complaints, warnings: Complaints): Condition[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    complain(mistakes, {
      path: [],
      found: shown(value, []),
      expected: 'a mapping with `version` and `rules`',
    });
    return [];
  }
  const { version, rules } = value as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(value)) {
    if (KEYS.includes(key)) continue;
    const message = `unknown key ${quoted(key)}`;
    const expected = '`version` and `rules`';
    complain(mistakes, {
      path: [key],
      atKey: true,
      found: quoted(key),
      expected,
      nearest: nearest(key, KEYS),
      message,
    });
  }
  if (!Number.isInteger(version) || (version as number) < 1 || (version as number) > VERSION_MAX) {
    const expected = `a version from 1 to ${VERSION_MAX}`;
    complain(mistakes, { path: ['version'], found: shown(version, []), expected });
  }
  const reading = newReading(mistakes, false);
  if (rules === undefined) {
    complain(mistakes, { path: [], found: 'no `rules`', expected: '`rules`, which may be an empty list' });
  }
  const conditions = readRules(reading, rules ?? [], ['rules']);
  warnOfLeftOut(reading, warnings);
  return conditions;
}

function locateAll(json: JsonText, complaints: Complaints): void {
  if (complaints.told.length === 0) return;
  const places = json.locate(
    complaints.told.map(({ path, found, expected, atKey }) => ({
      path,
      found,
      expected,
      atKey: atKey ?? false,
    })),
  );
  for (const [index, place] of places.entries()) {
    complaints.told[index] = {
      ...(complaints.told[index] as RuleComplaint),
      line: place.line,
      column: place.column,
    };
  }
}
