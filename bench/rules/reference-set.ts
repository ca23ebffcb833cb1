// The reference set: 1,000 rules of the kinds that people write, two rule sets, one of 100,000 names and one of 50,000 networks,
// as an operator would write them. Made of a seed; nothing here knows what Sluice makes of it.

import { distinctNames, registeredName } from './names.ts';
import { distinctNetworks } from './networks.ts';
import { createRandom, type Random } from './random.ts';

export const NAMES_SET = 'names';
export const NETWORKS_SET = 'networks';
export const OUTBOUNDS = ['direct', 'eu', 'us'] as const;
export const INBOUNDS = ['socks', 'web', 'tls', 'office'] as const;
const SERVICES = 50;
const USERS = 200;

export interface ReferenceSize {
  readonly rules: number;
  readonly names: number;
  readonly networks: number;
}

export const FULL_REFERENCE: ReferenceSize = { rules: 1000, names: 100_000, networks: 50_000 };

type Written = Readonly<Record<string, unknown>>;

export interface ReferenceSet {
  readonly rules: readonly Written[];
  /** Of NAMES_SET. Each stands for itself alone, or for what is below it too: every fifth alone. */
  readonly names: readonly string[];
  readonly networks: readonly string[];
  readonly services: readonly string[];
  readonly users: readonly string[];
  /** Names and networks that the rules themselves speak of. */
  readonly inlineNames: readonly string[];
  readonly inlineNetworks: readonly string[];
}

/** Whether the name at this place of a list stands for itself alone. */
function isAlone(place: number): boolean {
  return place % 5 === 0;
}

/** The file of NAMES_SET. */
export function namesText(names: readonly string[]): string {
  return `${names.map((name, place) => (isAlone(place) ? name : `+.${name}`)).join('\n')}\n`;
}

export function networksText(networks: readonly string[]): string {
  return `${networks.join('\n')}\n`;
}

/** @param generation other rules of the same kinds and numbers, of which no word need be the same */
export function referenceSet(size: ReferenceSize, seed: number, generation = 0): ReferenceSet {
  const lists = createRandom(seed);
  const names = distinctNames(lists, size.names);
  const networks = distinctNetworks(lists, size.networks);
  const maker = new RuleMaker(createRandom(seed + 7919 * (generation + 1)));
  const rules = Array.from({ length: size.rules }, (_, place) => maker.make(place, size.rules));
  const { services, users, inlineNames, inlineNetworks } = maker;
  return { rules, names, networks, services, users, inlineNames, inlineNetworks };
}

/** A kind of rule, and how many of a thousand are of it. */
const KINDS = [
  ['suffixes', 380],
  ['names', 150],
  ['servicePort', 110],
  ['networkPort', 120],
  ['sourceInbound', 90],
  ['user', 60],
  ['keyword', 40],
  ['regex', 10],
  ['logical', 36],
  ['set', 4],
] as const;
type Kind = (typeof KINDS)[number][0];

const PORTS = [80, 443, 22, 25, 53, 853, 993, 3306, 5432, 6379, 8080, 8443];
const KEYWORDS = ['track', 'telemetr', 'advert', 'analytic', 'banner', 'metric', 'pixel', 'beacon'];
const REGEXES = [
  String.raw`^ads?[0-9]*\.`,
  String.raw`^(track|stat)s?-[a-z]+\.`,
  String.raw`\.(doubleclick|adnxs)\.[a-z]+$`,
  String.raw`^[a-z]{2}-edge[0-9]{1,3}\.`,
  String.raw`(^|\.)cdn[0-9]+\.[a-z-]+\.(com|net)$`,
];

class RuleMaker {
  readonly services = Array.from({ length: SERVICES }, (_, number) => `customer-${number}`);
  readonly users = Array.from({ length: USERS }, (_, number) => `user-${number}`);
  readonly inlineNames: string[] = [];
  readonly inlineNetworks: string[] = [];
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  make(place: number, rules: number): Written {
    return { ...this.conditions(kindOf(place, rules)), ...this.action() };
  }

  private action(): Written {
    if (this.random.isIn(350)) return { action: 'reject' };
    return { outbound: this.random.pick(OUTBOUNDS) };
  }

  private conditions(kind: Kind): Written {
    const { random } = this;
    switch (kind) {
      case 'suffixes':
        return { domain_suffix: this.nameList(4) };
      case 'names':
        return { domain: this.nameList(5) };
      case 'servicePort':
        return { service: random.pick(this.services), port: this.ports(2), domain_suffix: this.nameList(2) };
      case 'networkPort':
        return { ip_cidr: this.networkList(3), port: this.ports(3) };
      case 'sourceInbound':
        return { source_ip_cidr: this.sources(2), inbound: random.pick(INBOUNDS), port: this.ports(2) };
      case 'user':
        return { user: random.pick(this.users), domain_suffix: this.nameList(2) };
      case 'keyword':
        return { domain_keyword: `${random.pick(KEYWORDS)}${random.below(100)}` };
      case 'regex':
        return { domain_regex: random.pick(REGEXES), port: this.ports(1) };
      case 'logical':
        return this.logical();
      case 'set':
        return this.setRule();
    }
  }

  private logical(): Written {
    const { random } = this;
    const names = { domain_suffix: this.nameList(2) };
    const networks = { ip_cidr: this.networkList(2) };
    if (random.isIn(200)) return { type: 'logical', mode: 'or', rules: [names, networks] };
    const second = random.isIn(500)
      ? { service: random.pick(this.services) }
      : { port: this.ports(2), invert: true };
    return { type: 'logical', mode: 'and', rules: [random.isIn(500) ? names : networks, second] };
  }

  private sets = 0;

  private setRule(): Written {
    const { random } = this;
    const kinds: readonly Written[] = [
      { rule_set: NAMES_SET, service: this.services.slice(0, 25) },
      { rule_set: NETWORKS_SET, port: [25, 6379] },
      { rule_set: [NAMES_SET, NETWORKS_SET], user: random.pick(this.users) },
      { rule_set: NAMES_SET, network: 'tcp' },
    ];
    return kinds[this.sets++ % kinds.length] as Written;
  }

  private nameList(most: number): string[] {
    const names = Array.from({ length: 1 + this.random.below(most) }, () => registeredName(this.random));
    this.inlineNames.push(...names);
    return names;
  }

  private networkList(most: number): string[] {
    const networks = distinctNetworks(this.random, 1 + this.random.below(most));
    this.inlineNetworks.push(...networks);
    return networks;
  }

  private ports(most: number): number[] {
    return Array.from({ length: 1 + this.random.below(most) }, () => this.random.pick(PORTS));
  }

  /** Of 10.0.0.0/8, in which there are 256 offices. */
  private sources(most: number): string[] {
    return Array.from({ length: 1 + this.random.below(most) }, () => `10.${this.random.below(256)}.0.0/16`);
  }
}

/** Kinds are spread evenly, so that every part of the list has all of them. */
function kindOf(place: number, rules: number): Kind {
  // 613 has no factor in common with 1,000: each share of a thousand places is met as often as it is large.
  let left = (Math.floor((place * 1000) / rules) * 613 + 250) % 1000;
  for (const [kind, share] of KINDS) {
    if (left < share) return kind;
    left -= share;
  }
  return 'suffixes';
}
