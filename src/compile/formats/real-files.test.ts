// Files as users have them: where they come from is in test/rule-sets/README.md.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Items } from '../rule.ts';
import { guessFormat, readRuleSet } from './read.ts';

const ROOT = new URL('../../../test/rule-sets/', import.meta.url);

function setOf(name: string): Items[] {
  const bytes = readFileSync(new URL(name, ROOT));
  const format = guessFormat(name, bytes);
  const { rules, mistakes, warnings } = readRuleSet(name, format, bytes);
  expect([format, mistakes, warnings]).toEqual(['binary', [], []]);
  return rules.rules as Items[];
}

/** As the documentation of rule sets has it, item by item. */
function holds(rules: readonly Items[], name: string): boolean {
  return rules.some(
    ({ domain, domainSuffix, domainKeyword, domainRegex }) =>
      domain.includes(name) ||
      domainSuffix.some((one) => name.endsWith(`.${one.name}`) || (name === one.name && !one.isBelow)) ||
      domainKeyword.some((one) => name.includes(one)) ||
      domainRegex.some((one) => new RegExp(one).test(name)),
  );
}

describe('rule sets of the ecosystem', () => {
  it('of GitHub hold its names and no others', () => {
    const rules = setOf('geosite-github.srs');
    const members = [
      'github.com',
      'api.github.com',
      'raw.githubusercontent.com',
      'github-cloud.s3.amazonaws.com',
      'github-production-release-asset-2e65be.s3.amazonaws.com',
    ];
    const others = [
      'notgithub.com',
      'github.com.example',
      's3.amazonaws.com',
      'gitlab.com',
      'com',
      'www.github-cloud.s3.amazonaws.com',
    ];
    expect(members.filter((name) => !holds(rules, name))).toEqual([]);
    expect(others.filter((name) => holds(rules, name))).toEqual([]);
  });

  it('of private names tell a domain from what is below it', () => {
    const rules = setOf('geosite-private.srs');
    for (const name of [
      'printer.lan',
      'a.b.local',
      'my.router',
      'router.asus.com',
      '1.168.192.in-addr.arpa',
      'nas',
    ]) {
      expect([name, holds(rules, name)]).toEqual([name, true]);
    }
    for (const name of [
      'asus.com',
      'www.router.asus.com',
      'example.org',
      'xmy.router',
      '1.1.1.in-addr.arpa',
    ]) {
      expect([name, holds(rules, name)]).toEqual([name, false]);
    }
  });
});
