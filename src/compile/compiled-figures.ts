// What is told of rules and rule sets that have been compiled. Compiler thread.

import { createHash } from 'node:crypto';
import type { CompiledRule, CompileJob } from '../layout/compiler-messages.ts';
import { ruleVersion } from './check/identity.ts';
import { conditionsOf, setsOf } from './parts.ts';
import type { PlacedSet } from './placement.ts';
import type { Condition, Rule } from './rule.ts';

/** @param keys list keys, by rule */
export function describeRules(
  job: CompileJob,
  rules: readonly Rule[],
  keys: readonly number[],
): CompiledRule[] {
  const versions = new Map(job.ruleSets.map(({ tag, version }) => [tag, version]));
  const outbounds = new Map(job.outbounds.map((outbound) => [outbound.tag, outbound]));
  const geo = job.geo.map(({ version }) => version).join();
  return rules.map((rule, place) => {
    const { id, owner, path, action, condition } = rule;
    const outbound =
      action.kind === 'route' && action.outbound !== undefined ? outbounds.get(action.outbound) : undefined;
    const dependsOn = [
      ...[...setsOf(condition)].map((tag) => versions.get(tag) ?? ''),
      outbound === undefined ? '' : `${outbound.index}.${outbound.generation}`,
      isGeographic(condition) ? geo : '',
    ];
    const said = `${ruleVersion(rule)} ${dependsOn.join(' ')}`;
    const version = createHash('sha256').update(said).digest('base64').slice(0, 22);
    return { id, owner, path, key: keys[place] as number, version, action: action.kind };
  });
}

function isGeographic(condition: Condition): boolean {
  return [...conditionsOf(condition)].some(
    ({ geoip, sourceGeoip, asn }) => geoip.length + sourceGeoip.length + asn.length > 0,
  );
}

/** Entries, and rules that are more than a list of them. */
export function figuresOf(rules: readonly Condition[]): Pick<PlacedSet, 'domains' | 'networks' | 'rules'> {
  let domains = 0;
  let networks = 0;
  for (const rule of rules) {
    for (const items of conditionsOf(rule)) {
      domains += items.domain.length + items.domainSuffix.length;
      domains += items.domainKeyword.length + items.domainRegex.length;
      networks += items.ipCidr.length + items.sourceIpCidr.length;
    }
  }
  return { domains, networks, rules: rules.length };
}
