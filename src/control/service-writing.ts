// Services as clients of the API write them: what a merge patch makes of one, and passwords that stay as they are because
// nobody repeats them. Everything here works on plain values before they are checked. Control thread and pure.

import { quoted, type RequestMistake } from '../config/mistakes.ts';
import { nearest } from '../config/nearest.ts';
import { SluiceError } from './errors.ts';
import type { ServiceEntry } from './services.ts';

export type WrittenMapping = Readonly<Record<string, unknown>>;

const IDENTITY_KEYS: readonly string[] = ['name', 'users', 'server_names'];
const POLICY_KEYS: readonly string[] = [
  'enabled',
  'gate',
  'rate',
  'devices',
  'sources',
  'outbound',
  'target',
];

/** A service has three. */
const DEPTH_MAX = 16;
/** Nobody mends more in one go. */
const MISTAKES_MAX = 1_000;

export function isMapping(value: unknown): value is WrittenMapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @source RFC 7396, section 2. Recursive: `patchMistakes` has bounded the depth. */
export function mergedPatch(target: unknown, patch: unknown): unknown {
  if (!isMapping(patch)) return patch;
  const merged: Record<string, unknown> = isMapping(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = mergedPatch(merged[key], value);
  }
  return merged;
}

/** A patch is for policy: whoever changes identity says who everybody is. */
export function patchMistakes(patch: WrittenMapping): RequestMistake[] {
  const expected = `one of ${POLICY_KEYS.join(', ')}`;
  const foreign = Object.keys(patch).filter((key) => !POLICY_KEYS.includes(key) || isTooDeep(patch[key]));
  return foreign.slice(0, MISTAKES_MAX).flatMap((key): RequestMistake[] => {
    if (POLICY_KEYS.includes(key)) {
      const shallow = `at most ${DEPTH_MAX} mappings within each other`;
      return [
        {
          path: key,
          found: 'more',
          expected: shallow,
          message: `found more than ${DEPTH_MAX} mappings within each other`,
        },
      ];
    }
    if (IDENTITY_KEYS.includes(key)) {
      const message = `${quoted(key)} says who belongs to the service; PUT the whole service to change it`;
      return [{ path: key, found: quoted(key), expected, message }];
    }
    const near = nearest(key, POLICY_KEYS);
    const hint = near === undefined ? '' : `; did you mean ${quoted(near)}?`;
    const message = `unknown key ${quoted(key)}${hint}`;
    const mistake = { path: key, found: `unknown key ${quoted(key)}`, expected, message };
    return [near === undefined ? mistake : { ...mistake, nearest: near }];
  });
}

function isTooDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; depth <= DEPTH_MAX; depth++) {
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
    if (level.length === 0) return false;
  }
  return true;
}

/** Gives users without a password the one that the service knows of them. Whatever looks odd is left for the checks. */
export function withPasswords(body: unknown, entry: ServiceEntry | undefined): unknown {
  if (!isMapping(body) || !Array.isArray(body['users']) || entry === undefined) return body;
  const known = new Map(entry.definition.users.map(({ username, password }) => [username, password]));
  const users = (body['users'] as unknown[]).map((user) => {
    if (!isMapping(user) || 'password' in user || typeof user['username'] !== 'string') return user;
    const password = known.get(user['username']);
    return password === undefined ? user : { ...user, password };
  });
  return { ...body, users };
}

/** @returns what is wrong, if it is none */
export function requireMapping(body: unknown): RequestMistake[] {
  if (isMapping(body)) return [];
  const expected = 'a mapping with the keys of a service';
  const found = body === undefined || body === null ? 'nothing' : 'something else';
  return [{ path: '', found, expected, message: `found ${found}, expected ${expected}` }];
}

/** @throws SluiceError request_invalid, if there are any */
export function refuse(mistakes: readonly RequestMistake[]): void {
  const [first] = mistakes;
  if (first === undefined) return;
  const where = first.path === '' ? '' : `${first.path}: `;
  const more = mistakes.length === 1 ? '' : ` (and ${mistakes.length - 1} more)`;
  const told = mistakes.slice(0, MISTAKES_MAX);
  throw new SluiceError('request_invalid', `${where}${first.message}${more}`, { mistakes: told });
}

/** The list of a request about many. @throws SluiceError request_invalid */
export function requireList(body: unknown): readonly unknown[] {
  const mistakes: RequestMistake[] = [];
  const expected = 'a mapping with the list `services`, and nothing else';
  if (!isMapping(body)) {
    const found = body === undefined || body === null ? 'nothing' : 'something else';
    mistakes.push({ path: '', found, expected, message: `found ${found}, expected ${expected}` });
  }
  const { services, ...others } = isMapping(body) ? body : {};
  for (const key of Object.keys(others).slice(0, MISTAKES_MAX)) {
    const found = `unknown key ${quoted(key)}`;
    mistakes.push({ path: key, found, expected, message: `${found}; expected ${expected}` });
  }
  if (mistakes.length === 0 && !Array.isArray(services)) {
    const found = services === undefined ? 'nothing' : 'something else';
    const message = `found ${found}, expected a list of services`;
    mistakes.push({ path: 'services', found, expected: 'a list of services', message });
  }
  refuse(mistakes);
  return services as readonly unknown[];
}
