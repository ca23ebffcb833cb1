// What a request says of the connections it means, by name, as the control thread knows them. Shared by the list of
// connections and by evictions, so that whoever lists first evicts the same. Control thread.

import { Type } from 'typebox';
import type { Complaint } from '../config/mistakes.ts';
import { quoted } from '../config/mistakes.ts';
import { nearest } from '../config/nearest.ts';
import type { ConnectionFilter } from '../control/connection-lists.ts';
import type { Directory, Names } from '../control/directory.ts';
import { compileNetworks, networkMistake } from '../layout/network-set.ts';

/** Names that are compared with one that nobody has: enough for a hint, and never long for the thread. */
const COMPARED_MAX = 20_000;

const name = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 256, description }));

/** Properties of a filter, for a query or a body. */
export const filterProperties = {
  service: name('name of a service'),
  user: name('user name that admitted the connection'),
  source: name('address or prefix that clients come from: `192.0.2.7`, `2001:db8::/32`'),
  inbound: name('tag of an inbound'),
  outbound: name('tag of an outbound'),
  rule: name('tag of a rule'),
};

export type NamedFilter = { readonly [Key in keyof typeof filterProperties]?: string };

const KINDS = [
  ['service', 'services', 'the name of a service'],
  ['user', 'users', 'a user name'],
  ['inbound', 'inbounds', 'the tag of an inbound'],
  ['outbound', 'outbounds', 'the tag of an outbound'],
  ['rule', 'rules', 'the tag of a rule'],
] as const;

/** Looks the names up. What is wrong with them is added to `complaints`; the filter is without it. */
export function resolveFilter(
  directory: Directory,
  named: NamedFilter,
  complaints: Complaint[],
): ConnectionFilter {
  const filter: { -readonly [Key in keyof ConnectionFilter]: ConnectionFilter[Key] } = {};
  for (const [key, kind, expected] of KINDS) {
    const wanted = named[key];
    if (typeof wanted !== 'string') continue;
    const object = directory[kind].find(wanted);
    if (object !== undefined) filter[key] = object;
    else complaints.push(unknownName(key, wanted, directory[kind], expected));
  }
  if (typeof named.source === 'string') {
    const mistake = networkMistake(named.source);
    if (mistake === undefined) filter.source = compileNetworks([named.source]);
    else {
      const expected = 'an address or a prefix such as 192.0.2.0/24';
      complaints.push({ path: ['source'], found: quoted(named.source), expected, message: mistake });
    }
  }
  return filter;
}

function unknownName(key: string, wanted: string, names: Names, expected: string): Complaint {
  return { path: [key], found: quoted(wanted), expected, nearest: nearest(wanted, some(names.all())) };
}

function* some(names: Iterable<string>): Iterable<string> {
  let count = 0;
  for (const each of names) {
    if (++count > COMPARED_MAX) return;
    yield each;
  }
}
