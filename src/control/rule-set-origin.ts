// Where a rule set or a geo file comes from, as configured. Pure. Control thread.

import type { Geo, RuleSet } from '../config/configuration.ts';
import type { RuleSetFormat } from '../layout/compiler-messages.ts';

export interface Origin {
  readonly tag: string;
  readonly isGeo: boolean;
  /** What answers and mistakes name: the file, or the address without what may be secret in it. */
  readonly from: string;
  /** undefined: found out from the content. */
  readonly format: RuleSetFormat | undefined;
  /** Of a file; else `url` and `intervalMs`. */
  readonly path: string | undefined;
  readonly url: string;
  readonly intervalMs: number;
}

export function originOf(set: RuleSet): Origin {
  const { tag, format } = set;
  return 'url' in set
    ? {
        tag,
        format,
        isGeo: false,
        from: nameOfUrl(set.url),
        path: undefined,
        url: set.url,
        intervalMs: set.intervalMs,
      }
    : { tag, format, isGeo: false, from: set.path, path: set.path, url: '', intervalMs: 0 };
}

export function geoOrigins(geo: Geo): Origin[] {
  return (['country', 'asn'] as const).flatMap((tag) => {
    const path = geo[tag];
    return path === undefined
      ? []
      : { tag, isGeo: true, format: 'mmdb' as const, from: path, path, url: '', intervalMs: 0 };
  });
}

/** Nothing about it has to be read anew. */
export function isSame(one: Origin, other: Origin): boolean {
  return (
    one.tag === other.tag &&
    one.isGeo === other.isGeo &&
    one.format === other.format &&
    one.path === other.path &&
    one.url === other.url
  );
}

/** Whatever is behind a `?` may be a token. */
function nameOfUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
