// What the check of a configuration asks of the check of its rules, which is the compiler's (compile/check/) and is handed
// in by whoever may import both. So mistakes in rules are told together with all others, at their lines.

import type { Complaint } from './mistakes.ts';
import type { Names } from './references.ts';
import type { WrittenConfiguration, WrittenRule } from './schema.ts';
import type { Partly } from './shape.ts';

/** What rules may refer to. */
export interface RuleNames {
  readonly inbounds: ReadonlySet<string>;
  readonly outbounds: ReadonlySet<string>;
  readonly ruleSets: ReadonlySet<string>;
  /** Whether there is an mmdb file that knows countries, and autonomous systems. */
  readonly hasGeoip: boolean;
  readonly hasAsn: boolean;
  /** By tag of an inbound, where it is known: then a `protocol` that none of them can tell is warned of. */
  readonly inboundTypes?: ReadonlyMap<string, string>;
}

export interface JudgedRules {
  readonly mistakes: readonly Complaint[];
  /** How many more there are. */
  readonly untold: number;
  readonly warnings: readonly Complaint[];
}

/**
 * Paths begin with `rules` and the place in this list.
 * @param rules whose shape was checked already
 * @param complained places of rules that something was cut out of, so that what they lack may be that
 */
export type RuleChecker = (
  rules: readonly (Partly<WrittenRule> | undefined)[],
  names: RuleNames,
  complained: ReadonlySet<number>,
) => JudgedRules;

/** Places of rules among what is wrong with the shape. */
export function complainedRules(complaints: readonly Complaint[]): Set<number> {
  return new Set(complaints.filter(({ path }) => path[0] === 'rules').map(({ path }) => Number(path[1])));
}

export function ruleNames(names: Names, written: Partly<WrittenConfiguration>): RuleNames {
  const types = [...names.inbounds].map(([tag, path]): [string, string] => {
    const inbound = written.inbounds?.[Number(path[1])];
    return [tag, inbound?.type ?? ''];
  });
  return {
    inbounds: new Set(names.inbounds.keys()),
    outbounds: new Set(names.outbounds.keys()),
    ruleSets: new Set(names.ruleSets.keys()),
    hasGeoip: written.geo?.country !== undefined,
    hasAsn: written.geo?.asn !== undefined,
    inboundTypes: new Map(types),
  };
}
