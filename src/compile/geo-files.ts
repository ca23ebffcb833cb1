// Countries and autonomous systems: which networks they have, as the mmdb files say that the configuration names. A file is
// kept as it came; of what rules name, the networks are extracted once a version. Compiler thread.

import type { RuleComplaint, RuleSetSource } from '../layout/compiler-messages.ts';
import { networksOf } from './formats/mmdb.ts';
import type { MmdbKind } from './formats/mmdb.ts';
import type { Condition, Network, Rule } from './rule.ts';

export interface GeoFiles {
  has(version: string): boolean;
  /** Makes these the files in use, and extracts what the rules name. @returns what is wrong with the files */
  use(files: readonly RuleSetSource[], rules: readonly Rule[]): readonly RuleComplaint[];
  readonly country: (code: string) => readonly Network[];
  readonly system: (asn: number) => readonly Network[];
}

interface GeoFile {
  readonly version: string;
  readonly fileName: string;
  readonly bytes: Uint8Array;
  readonly networks: Map<string | number, readonly Network[]>;
}

export function createGeoFiles(): GeoFiles {
  const files = new Map<string, GeoFile>();
  const inUse: Partial<Record<MmdbKind, GeoFile>> = {};

  function take({ tag, version, source }: RuleSetSource): void {
    if (!files.has(version) && source !== undefined) {
      files.set(version, { version, ...source, networks: new Map() });
    }
    const file = files.get(version);
    if (file !== undefined) inUse[tag as MmdbKind] = file;
  }

  function extract(kind: MmdbKind, wanted: ReadonlySet<string | number>): readonly RuleComplaint[] {
    const file = inUse[kind];
    const missing = new Set([...wanted].filter((one) => file?.networks.has(one) === false));
    if (file === undefined || missing.size === 0) return [];
    const { networks, mistakes } = networksOf(file.fileName, file.bytes, kind, missing);
    if (mistakes.length > 0) {
      return mistakes.map((one) => ({ fileName: file.fileName, ...one, path: ['geo', kind, ...one.path] }));
    }
    for (const one of missing) file.networks.set(one, networks.get(one) ?? []);
    return [];
  }

  return {
    has: (version) => files.has(version),
    use(sources, rules) {
      delete inUse.country;
      delete inUse.asn;
      for (const source of sources) take(source);
      const kept = new Set(sources.map(({ version }) => version));
      for (const version of files.keys()) if (!kept.has(version)) files.delete(version);
      const countries = new Set<string>();
      const systems = new Set<number>();
      for (const { condition } of rules) collect(condition, countries, systems);
      return [...extract('country', countries), ...extract('asn', systems)];
    },
    country: (code) => inUse.country?.networks.get(code) ?? [],
    system: (asn) => inUse.asn?.networks.get(asn) ?? [],
  };
}

function collect(condition: Condition, countries: Set<string>, systems: Set<number>): void {
  if (condition.kind === 'logical') {
    for (const rule of condition.rules) collect(rule, countries, systems);
    return;
  }
  for (const code of [...condition.geoip, ...condition.sourceGeoip]) countries.add(code);
  for (const asn of condition.asn) systems.add(asn);
}
