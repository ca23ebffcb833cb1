// Bytes of a rule set → its rules, whatever the format. Never throws: what is wrong is told, with the file and the place.

import type { RuleComplaint, RuleSetFormat } from '../../layout/compiler-messages.ts';
import type { Condition, RuleSetRules } from '../rule.ts';
import { readBinary } from './binary.ts';
import { allComplaints, type Complaints, complain, newComplaints } from './complaints.ts';
import { newReading, readRules, warnOfLeftOut } from './headless.ts';
import { firstEntry, readDomains, readNetworks } from './lists.ts';
import { isMmdb } from './mmdb-metadata.ts';
import { networkOf } from './names.ts';
import { readSource } from './source.ts';

/** Characters of a text; V8 has none longer than half a gibibyte. */
const TEXT_BYTES_MAX = 256 * 1024 * 1024;
/** Where the kind of a list is looked for. */
const GUESSED_BYTES = 64 * 1024;

const EMPTY_LIST =
  'holds no entry; a rule set that is meant to be empty is written as {"version": 1, "rules": []}';

export interface ReadRuleSet {
  readonly rules: RuleSetRules;
  readonly mistakes: RuleComplaint[];
  readonly warnings: RuleComplaint[];
}

/** Where there are mistakes, the rules are what else could be read: not to be put in force. */
export function readRuleSet(fileName: string, format: RuleSetFormat, bytes: Uint8Array): ReadRuleSet {
  const mistakes = newComplaints(fileName);
  const warnings = newComplaints(fileName);
  const rules = readAs(format, bytes, mistakes, warnings);
  if (rules.length === 0 && mistakes.told.length === 0) {
    const message = 'holds no rule that could match';
    const found = { path: [], found: 'no rules', expected: 'rules' };
    // Nobody writes one with nothing in it; somebody has emptied it, or is about to write it.
    if (format === 'domains' || format === 'networks') complain(mistakes, { ...found, message: EMPTY_LIST });
    else complain(warnings, { ...found, message });
  }
  return {
    rules: { rules },
    mistakes: allComplaints(mistakes, 'mistakes'),
    warnings: allComplaints(warnings, 'warnings'),
  };
}

function readAs(
  format: RuleSetFormat,
  bytes: Uint8Array,
  mistakes: Complaints,
  warnings: Complaints,
): Condition[] {
  if (format === 'binary') return readBinaryRules(bytes, mistakes, warnings);
  if (format === 'mmdb') {
    const message = 'is a database of networks, which `geoip` and `asn` look into; it holds no rules';
    complain(mistakes, { path: [], found: 'an mmdb file', expected: 'a rule set', message });
    return [];
  }
  if (bytes.length > TEXT_BYTES_MAX) {
    const expected = `at most ${TEXT_BYTES_MAX} bytes`;
    complain(mistakes, { path: [], found: `${bytes.length} bytes`, expected });
    return [];
  }
  const text = textOf(bytes);
  if (format === 'source') return readSource(text, mistakes, warnings);
  return format === 'domains' ? readDomains(text, mistakes) : readNetworks(text, mistakes);
}

function readBinaryRules(bytes: Uint8Array, mistakes: Complaints, warnings: Complaints): Condition[] {
  const read = readBinary(bytes);
  if ('mistake' in read) {
    const expected = 'a binary rule set of sing-box (.srs)';
    complain(mistakes, { path: [], found: 'other bytes', expected, message: read.mistake });
    return [];
  }
  const reading = newReading(mistakes, true);
  const rules = readRules(reading, read.rules, ['rules']);
  warnOfLeftOut(reading, warnings);
  return rules;
}

/** By content first: a name may promise anything. */
export function guessFormat(fileName: string, bytes: Uint8Array): RuleSetFormat {
  if (textOf(bytes.subarray(0, 3)) === 'SRS') return 'binary';
  if (isMmdb(bytes)) return 'mmdb';
  const extension = /\.([a-z]+)$/i.exec(fileName)?.[1]?.toLowerCase();
  if (extension === 'srs') return 'binary';
  if (extension === 'mmdb') return 'mmdb';
  const text = textOf(bytes.subarray(0, GUESSED_BYTES));
  if (extension === 'json' || /^[\ufeff\s]*\{/.test(text)) return 'source';
  const first = firstEntry(text);
  return first !== undefined && networkOf(first) !== undefined ? 'networks' : 'domains';
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
