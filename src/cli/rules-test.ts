// `sluice rules test`: what a rule set, or the rules of a configuration, make of a connection, without a daemon: the plain
// interpreter that explains in the daemon too. Nothing is fetched and nobody is asked: a rule set that lies behind an address
// is a mistake here, and what the line does not say of the connection is not known.

import { createBeyond } from '../compile/beyond.ts';
import { checkFileRules, checkRules } from '../compile/check/check-rules.ts';
import { explain } from '../compile/explain.ts';
import { networksOf } from '../compile/formats/mmdb.ts';
import { type Network, NO_ITEMS, type Rule, type RuleSetRules } from '../compile/rule.ts';
import { checkConfiguration } from '../config/check.ts';
import type { Configuration } from '../config/configuration.ts';
import { formatMistakes } from '../config/mistakes.ts';
import type { ExplanationAnswer } from '../api/rule-explain.ts';
import { CommandFailure } from './client.ts';
import { readInput } from './document.ts';
import { EXIT_NOTHING, EXIT_OK, EXIT_REFUSED } from './exit-codes.ts';
import { jsonText, type OutputOptions } from './refusal.ts';
import { type ConnectionOptions, connectionOf, formatExplanation } from './rule-connection.ts';
import { complaintsText, readRules, type RuleSetFormat } from './rules-convert.ts';

/** What the one rule set is called that is tested alone. */
const TAG = 'set';
/** Not in any list of snapshots. */
const NO_SNAPSHOT = -1;

export interface TestOptions extends ConnectionOptions, OutputOptions {
  readonly config?: string;
  readonly from?: RuleSetFormat;
}

interface Tested {
  readonly rules: readonly Rule[];
  readonly sets: ReadonlyMap<string, RuleSetRules>;
  readonly geo: Partial<Configuration['geo']>;
}

/** @param fileName of a rule set; undefined: the configuration of the options. @returns 0: a rule matches; 3: none does */
export async function testCommand(fileName: string | undefined, options: TestOptions): Promise<number> {
  const tested =
    fileName === undefined ? ofConfiguration(options.config ?? '') : ofRuleSet(fileName, options);
  if (tested === undefined) return EXIT_REFUSED;
  const { rules, sets, geo } = tested;
  const places = placesOf(geo);
  const beyond = createBeyond({ country: places, system: places });
  const explained = explain({ snapshotId: NO_SNAPSHOT, rules, sets, beyond }, connectionOf(options));
  if (!('action' in explained)) {
    process.stderr.write(complaintsText(explained, 'the connection'));
    return EXIT_REFUSED;
  }
  const matches = explained.rule !== null;
  if (options.json === true) {
    const { snapshot: _, ...answer } = explained;
    process.stdout.write(jsonText({ matches, ...answer }));
  } else if (fileName === undefined) {
    process.stdout.write(formatExplanation(explained as ExplanationAnswer));
  } else process.stdout.write(formatMatch(explained as ExplanationAnswer));
  return matches ? EXIT_OK : EXIT_NOTHING;
}

/** One rule that names the set: whether it holds is whether the set does. */
function ofRuleSet(fileName: string, { from }: TestOptions): Tested | undefined {
  const read = readRules(fileName, from);
  if (read === undefined) return undefined;
  const rule: Rule = {
    id: TAG,
    owner: 'file',
    path: fileName,
    condition: { ...NO_ITEMS, ruleSet: [TAG] },
    action: { kind: 'route', outbound: undefined, overrideAddress: undefined, overridePort: undefined },
    onTimeout: 0,
    timeoutMs: 0,
  };
  return { rules: [rule], sets: new Map([[TAG, read]]), geo: {} };
}

function formatMatch({ rule, needs, rules }: ExplanationAnswer): string {
  const matched = rules.flatMap(({ items }) => items).find(({ result }) => result === 'match')?.matched;
  if (rule !== null) return matched === undefined ? 'match\n' : `match: ${matched.replace(`${TAG}: `, '')}\n`;
  return needs.length > 0 ? `not known without ${needs.join(', ')}\n` : 'no match\n';
}

function ofConfiguration(fileName: string): Tested | undefined {
  const text = readInput(fileName).toString('utf8');
  const { configuration, mistakes } = checkConfiguration(text, fileName, checkFileRules);
  process.stderr.write(formatMistakes(mistakes, fileName));
  if (configuration === undefined) return undefined;
  const sets = readSets(configuration);
  if (sets === undefined) return undefined;
  const { geo, inbounds, outbounds, ruleSets } = configuration;
  const tags = (objects: readonly { readonly tag: string }[]) => new Set(objects.map(({ tag }) => tag));
  const { rules } = checkRules({
    apiRules: [],
    fileRules: configuration.rules,
    names: {
      inbounds: tags(inbounds),
      outbounds: tags(outbounds),
      ruleSets: tags(ruleSets),
      hasGeoip: geo.country !== undefined,
      hasAsn: geo.asn !== undefined,
    },
  });
  return { rules, sets, geo };
}

function readSets({ ruleSets }: Configuration): Map<string, RuleSetRules> | undefined {
  const sets = new Map<string, RuleSetRules>();
  let isWhole = true;
  for (const ruleSet of ruleSets) {
    if (!('path' in ruleSet)) {
      const message = `rule set "${ruleSet.tag}" lies behind an address: nothing is fetched for a test`;
      process.stderr.write(`sluice: ${message}\n`);
    }
    const read = 'path' in ruleSet ? readRules(ruleSet.path, ruleSet.format) : undefined;
    if (read === undefined) isWhole = false;
    else sets.set(ruleSet.tag, read);
  }
  return isWhole ? sets : undefined;
}

/** Each place is extracted once, when a rule asks for it. */
function placesOf(geo: Tested['geo']) {
  const known = new Map<string | number, readonly Network[]>();
  return (place: string | number): readonly Network[] => {
    const kind = typeof place === 'number' ? 'asn' : 'country';
    const fileName = geo[kind];
    if (fileName === undefined) return [];
    const before = known.get(place);
    if (before !== undefined) return before;
    const { networks, mistakes } = networksOf(fileName, readInput(fileName), kind, new Set([place]));
    if (mistakes.length > 0) {
      throw new CommandFailure(EXIT_REFUSED, complaintsText(mistakes, fileName).trimEnd());
    }
    known.set(place, networks.get(place) ?? []);
    return networks.get(place) ?? [];
  };
}
