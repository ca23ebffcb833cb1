// Rule sets and files of places as written → checked: where they come from and what their bytes are. Nothing is read here.

import { extname, resolve } from 'node:path';
import { parseDuration } from '../policy/units.ts';
import type { Geo, RuleSet } from './configuration.ts';
import type { Path } from './mistakes.ts';
import { type Reading, read } from './reading.ts';
import { DEFAULTS, type WrittenConfiguration } from './schema.ts';
import type { Partly } from './shape.ts';

type Written = Partly<WrittenConfiguration>;
type WrittenRuleSet = Partly<NonNullable<WrittenConfiguration['rule_sets']>[number]>;

/** Whoever publishes a list does not want to be asked more often; nobody's list is older than a month. */
const INTERVAL_MS = { min: 60_000, max: 30 * 24 * 3_600_000 };
const URL_CHARACTERS_MAX = 2_048;

/** By ending; of `undefined` the content tells. */
const ENDINGS: ReadonlyMap<string, RuleSet['format']> = new Map([
  ['.json', 'source'],
  ['.srs', 'binary'],
  ['.txt', undefined],
  ['.list', undefined],
]);

export function readRuleSets(reading: Reading, written: Written['rule_sets']): RuleSet[] {
  return (written ?? []).flatMap(
    (ruleSet, index) => readRuleSet(reading, ruleSet, ['rule_sets', index]) ?? [],
  );
}

export function readGeo(reading: Reading, written: Written['geo']): Geo {
  const absolute = (path: string | undefined) =>
    path === undefined ? undefined : resolve(reading.baseDirectory, path);
  return { country: absolute(written?.country), asn: absolute(written?.asn) };
}

function readRuleSet(reading: Reading, written: WrittenRuleSet | undefined, path: Path): RuleSet | undefined {
  if (written === undefined) return undefined;
  const hasPath = 'path' in written;
  const hasUrl = 'url' in written;
  const intervalMs = read(
    reading,
    [...path, 'interval'],
    written.interval ?? DEFAULTS.ruleSetInterval,
    (text) => parseDuration(text, INTERVAL_MS),
  );
  if (hasPath === hasUrl) {
    const message = hasPath ? 'has both `path` and `url`; expected one of them' : 'lacks `path` or `url`';
    const found = hasPath ? 'both' : 'nothing';
    reading.mistakes.push({ path, found, expected: 'one of `path` and `url`', message });
    return undefined;
  }
  if (hasPath && 'interval' in written) {
    const message = '`interval` belongs to `url`; a file is watched';
    const found = 'interval';
    reading.mistakes.push({ path: [...path, 'interval'], atKey: true, found, expected: '`url`', message });
  }
  const place = hasPath ? written.path : readUrl(reading, written.url, [...path, 'url']);
  if (place === undefined) return undefined;
  const format = 'format' in written ? written.format : formatOf(reading, place, path, hasPath);
  if (written.tag === undefined || intervalMs === undefined) return undefined;
  const { tag } = written;
  if (!hasPath) return { tag, url: place, format, intervalMs };
  return { tag, path: resolve(reading.baseDirectory, place), format };
}

function formatOf(reading: Reading, place: string, path: Path, isPath: boolean): RuleSet['format'] {
  const ending = extname(isPath ? place : new URL(place).pathname).toLowerCase();
  if (!ENDINGS.has(ending)) {
    const message = `lacks "format"; its ending is none of ${[...ENDINGS.keys()].join(', ')}`;
    reading.mistakes.push({ path, found: 'nothing', expected: '`format`', message });
  }
  return ENDINGS.get(ending);
}

/** An address is never repeated: it may carry a password or a token. */
function readUrl(reading: Reading, text: string | undefined, path: Path): string | undefined {
  if (text === undefined) return undefined;
  const expected = 'an https address, or an http address of this machine';
  const wrong = urlMistake(text);
  if (wrong === undefined) return text;
  reading.mistakes.push({
    path,
    found: 'an address that is not shown',
    expected,
    message: `the address ${wrong}`,
  });
  return undefined;
}

function urlMistake(text: string): string | undefined {
  if (text.length > URL_CHARACTERS_MAX) return `is longer than ${URL_CHARACTERS_MAX} characters`;
  if (!/^https?:\/\/[^/]/i.test(text) || !URL.canParse(text)) return 'is no http(s) address';
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return 'has a user name or a password in it';
  if (url.protocol === 'https:' || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)) return undefined;
  return 'is plain http; whoever is on the way could write the rules';
}
