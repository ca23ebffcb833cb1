// Countries and autonomous systems: which networks they have, as the mmdb files say that the configuration names. A file is
// kept as it came while the rules in force are made with it; of what rules name, the networks are extracted once a version,
// and kept as long as a snapshot lives that was made with them. Compiler thread.

import type { RuleComplaint, RuleSetSource } from '../layout/compiler-messages.ts';
import { networksOf } from './formats/mmdb.ts';
import type { MmdbKind } from './formats/mmdb.ts';
import type { Condition, Network, Rule } from './rule.ts';

export interface GeoFiles {
  has(version: string): boolean;
  /** Extracts from these files what the rules name. Nothing is kept until it is committed: the job may fail. */
  extract(files: readonly RuleSetSource[], rules: readonly Rule[]): Extracted;
}

/** What places are, for one snapshot. */
export interface Places {
  readonly country: (code: string) => readonly Network[];
  readonly system: (asn: number) => readonly Network[];
}

export interface Extracted {
  readonly places: Places;
  /** What is wrong with the files. */
  readonly mistakes: readonly RuleComplaint[];
  /** These files are those in use; others are forgotten. */
  readonly commit: () => void;
}

interface GeoFile {
  readonly version: string;
  readonly fileName: string;
  readonly bytes: Uint8Array;
  readonly networks: Map<string | number, readonly Network[]>;
}

export function createGeoFiles(): GeoFiles {
  let files: ReadonlyMap<string, GeoFile> = new Map();

  function extractFrom(
    file: GeoFile | undefined,
    kind: MmdbKind,
    wanted: ReadonlySet<string | number>,
  ): readonly RuleComplaint[] {
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
    extract(sources, rules) {
      const given = new Map<string, GeoFile>();
      const byKind: Partial<Record<MmdbKind, GeoFile>> = {};
      for (const { tag, version, source } of sources) {
        const fresh = source === undefined ? undefined : { version, ...source, networks: new Map() };
        const file = given.get(version) ?? files.get(version) ?? fresh;
        if (file === undefined) continue;
        given.set(version, file);
        byKind[tag as MmdbKind] = file;
      }
      const countries = new Set<string>();
      const systems = new Set<number>();
      for (const { condition } of rules) collect(condition, countries, systems);
      const mistakes = [
        ...extractFrom(byKind.country, 'country', countries),
        ...extractFrom(byKind.asn, 'asn', systems),
      ];
      return {
        places: placesOf(byKind.country?.networks, byKind.asn?.networks),
        mistakes,
        commit() {
          files = given;
        },
      };
    },
  };
}

/** Without the files' bytes: a snapshot that lives on is no reason to keep those. */
function placesOf(
  countries: GeoFile['networks'] | undefined,
  systems: GeoFile['networks'] | undefined,
): Places {
  return {
    country: (code) => countries?.get(code) ?? [],
    system: (asn) => systems?.get(asn) ?? [],
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
