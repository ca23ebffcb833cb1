// Rules as checked: what the checker (check/) makes of rules as written, and of rule-set files; what the compiler (build/)
// turns into words and the interpreter (interpret.ts) reads. Plain values: they cross threads.
//
// Of lists, an empty one is no condition. What is text is normalised: names lower case in ASCII (IDNA) without the root's
// dot, networks masked.

/** First and last, both included. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Four words of an IPv6 address, IPv4 mapped, and bits on the scale of 128 (10.0.0.0/8: 104). */
export interface Network {
  readonly words: readonly [number, number, number, number];
  readonly bits: number;
}

/** `example.com`: itself and all below it; `.example.com` (`isBelow`): only what is below it. */
export interface DomainSuffix {
  readonly name: string;
  readonly isBelow: boolean;
}

/** A judgement asked of an address. */
export interface External {
  readonly url: string;
}

/** OR inside a group, AND between groups: see GROUP_* in layout/rules.ts. */
export interface Items {
  readonly kind: 'items';
  readonly invert: boolean;
  // Destination.
  readonly domain: readonly string[];
  readonly domainSuffix: readonly DomainSuffix[];
  readonly domainKeyword: readonly string[];
  readonly domainRegex: readonly string[];
  readonly ipCidr: readonly Network[];
  readonly ipIsPrivate: boolean;
  /** Countries, upper case. */
  readonly geoip: readonly string[];
  readonly asn: readonly number[];
  // Port of the destination.
  readonly port: readonly Range[];
  // Source.
  readonly sourceIpCidr: readonly Network[];
  readonly sourceIpIsPrivate: boolean;
  readonly sourceGeoip: readonly string[];
  // Port of the source.
  readonly sourcePort: readonly Range[];
  // A group each.
  readonly inbound: readonly string[];
  readonly service: readonly string[];
  readonly user: readonly string[];
  /** NETWORK_*. */
  readonly network: readonly number[];
  /** PROTOCOL_*. */
  readonly protocol: readonly number[];
  readonly ipVersion: readonly (4 | 6)[];
  /** Minutes since Monday 00:00, local time, [0, 10080). */
  readonly time: readonly Range[];
  /** DEVICE_*. */
  readonly device: readonly number[];
  readonly processName: readonly string[];
  readonly processPath: readonly string[];
  readonly userId: readonly Range[];
  readonly external: External | undefined;
  /** Tags. Merged with the first four groups: a rule of the sets and this one's groups are one rule, group by group OR. */
  readonly ruleSet: readonly string[];
}

export interface Logical {
  readonly kind: 'logical';
  readonly mode: 'and' | 'or';
  readonly invert: boolean;
  readonly rules: readonly Condition[];
}

export type Condition = Items | Logical;

export type Action =
  | {
      readonly kind: 'route';
      /** undefined: the service's, or `final`. */
      readonly outbound: string | undefined;
      /** An address or a name to go to instead; undefined: as it is. */
      readonly overrideAddress: { readonly words: Network['words'] } | { readonly name: string } | undefined;
      readonly overridePort: number | undefined;
    }
  /** REJECT_*. */
  | { readonly kind: 'reject'; readonly method: number }
  /** As written: gates and rates have no enforcement yet. */
  | { readonly kind: 'limit'; readonly gate: unknown; readonly rate: unknown }
  /** PROTOCOL_* numbers that are looked for. */
  | { readonly kind: 'sniff'; readonly protocols: readonly number[] }
  | { readonly kind: 'resolve' };

export interface Rule {
  /** Given, or made of the content: the same words have the same id wherever they stand. Unique among the rules. */
  readonly id: string;
  /** Of the file or of the API. */
  readonly owner: 'file' | 'api';
  /** Where it was written, for people: `rules[3]`. */
  readonly path: string;
  readonly condition: Condition;
  readonly action: Action;
  /** ON_TIMEOUT_*. */
  readonly onTimeout: number;
  /** What a look-up, a sniff or a resolution may take. */
  readonly timeoutMs: number;
}

/** What a rule-set file came to: any of its rules matches, or it does not. No actions; `ruleSet` of them is empty. */
export interface RuleSetRules {
  readonly rules: readonly Condition[];
}

/** No conditions at all. */
export const NO_ITEMS: Items = {
  kind: 'items',
  invert: false,
  domain: [],
  domainSuffix: [],
  domainKeyword: [],
  domainRegex: [],
  ipCidr: [],
  ipIsPrivate: false,
  geoip: [],
  asn: [],
  port: [],
  sourceIpCidr: [],
  sourceIpIsPrivate: false,
  sourceGeoip: [],
  sourcePort: [],
  inbound: [],
  service: [],
  user: [],
  network: [],
  protocol: [],
  ipVersion: [],
  time: [],
  device: [],
  processName: [],
  processPath: [],
  userId: [],
  external: undefined,
  ruleSet: [],
};
