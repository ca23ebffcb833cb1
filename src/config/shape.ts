// Whether a configuration has the keys and types that the schema knows. What Ajv finds is told in an operator's words,
// and only once: of a value that may be one thing or another, only the branch that was meant is judged.
//
// What was found wrong is then cut out of the value, so that the checks that follow see right types everywhere, keep
// the indexes of the lists, and say nothing twice.

import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { type Complaint, MISTAKES_MAX, type Path, shown } from './mistakes.ts';
import { nearest } from './nearest.ts';
import {
  configurationSchema,
  NAME_TITLE,
  rulesSchema,
  servicesSchema,
  VARIANT_KEYS,
  type WrittenConfiguration,
} from './schema.ts';
import { withoutOtherBranches } from './shape-branches.ts';

/** Every key may be missing, every element may have been cut out; what is there has the right type. */
export type Partly<Written> = Written extends readonly (infer Item)[]
  ? readonly (Partly<Item> | undefined)[]
  : Written extends object
    ? { readonly [Key in keyof Written]?: Partly<Written[Key]> | undefined }
    : Written;

/** Services as the API is sent them. */
export type WrittenServices = Pick<Required<WrittenConfiguration>, 'services'>;

export interface Shape<Written = WrittenConfiguration> {
  readonly written: Partly<Written>;
  /** At most MISTAKES_MAX, and how many more there are. */
  readonly complaints: readonly Complaint[];
  readonly untold: number;
}

/** Compiled when it is first needed: it takes longer than most checks. */
function validator(schema: object): () => ValidateFunction {
  let validate: ValidateFunction | undefined;
  return () => {
    // `verbose` puts schema and value into each error; `allErrors` is safe because the document is bounded before.
    validate ??= new Ajv({ allErrors: true, verbose: true, discriminator: true, strict: false }).compile(
      schema,
    );
    return validate;
  };
}

const configurationValidator = validator(configurationSchema);
const servicesValidator = validator(servicesSchema);
const rulesValidator = validator(rulesSchema);

/** @param value the plain value of a document; it is changed: see above */
export function checkShape(value: unknown): Shape {
  return checkBy<WrittenConfiguration>(configurationValidator(), value);
}

/** Rules as the API is sent them. */
export type WrittenRules = Pick<Required<WrittenConfiguration>, 'rules'>;

/** As `checkShape`, for rules alone: `{ rules: [...] }`. */
export function checkRulesShape(value: unknown): Shape<WrittenRules> {
  return checkBy<WrittenRules>(rulesValidator(), value);
}

/** As `checkShape`, for services alone. */
export function checkServicesShape(value: unknown): Shape<WrittenServices> {
  return checkBy<WrittenServices>(servicesValidator(), value);
}

/** Lists that may be very long, each with who checks it alone. */
const LISTS = [
  ['services', servicesValidator],
  ['rules', rulesValidator],
] as const;
/** For each element that is wrong the validator copies the errors of all before it, so that it sees a few at a time. */
const PART_LENGTH = 256;

interface Found {
  readonly complaints: Complaint[];
  untold: number;
}

function checkBy<Written>(validate: ValidateFunction, value: unknown): Shape<Written> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const root = (isObject ? value : {}) as Record<string, unknown>;
  const found: Found = { complaints: [], untold: 0 };
  const long = LISTS.flatMap(([key, validatorOf]) => {
    const list = root[key];
    return Array.isArray(list) && list.length > PART_LENGTH ? { key, validatorOf, list } : [];
  });
  for (const { key, list } of long) root[key] = list.slice(0, PART_LENGTH);
  checkPart(validate, value, 0, found);
  for (const { key, validatorOf, list } of long) {
    const checked = root[key] as unknown[];
    for (let from = PART_LENGTH; from < list.length; from += PART_LENGTH) {
      const part: unknown[] = list.slice(from, from + PART_LENGTH);
      checkPart(validatorOf(), { [key]: part }, from, found);
      for (const one of part) checked.push(one);
    }
  }
  return { written: root as Partly<Written>, ...found };
}

/** @param from how many elements stand before those of the list that it is */
function checkPart(validate: ValidateFunction, value: unknown, from: number, found: Found): void {
  if (validate(value)) return;
  const errors = withoutOtherBranches(validate.errors ?? []);
  // What is told is put into words, and compared with all that may have been meant; the rest is only cut out.
  const told = errors.slice(0, MISTAKES_MAX - found.complaints.length);
  const mistyped = mistypedKeys(told);
  for (const error of told) {
    if (error.keyword === 'required' && mistyped.has(keyId(error, error.params.missingProperty))) continue;
    const complaint = complaintOf(error, movedBy(from, pathOf(value, error.instancePath)));
    if (complaint !== undefined) found.complaints.push(complaint);
  }
  found.untold += errors.length - told.length;
  for (const error of errors) cut(value, error);
}

/** Keys that an unknown key of the same object is probably meant to be: not to be told as missing as well. */
function mistypedKeys(errors: readonly ErrorObject[]): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const error of errors) {
    if (error.keyword !== 'additionalProperties') continue;
    const near = nearest(String(error.params.additionalProperty), knownKeys(error));
    if (near !== undefined) keys.add(keyId(error, near));
  }
  return keys;
}

function keyId(error: ErrorObject, key: unknown): string {
  return `${error.instancePath}/${String(key)}`;
}

function knownKeys(error: ErrorObject): string[] {
  return Object.keys((error.parentSchema as { properties: Record<string, unknown> }).properties);
}

function complaintOf(error: ErrorObject, path: Path): Complaint | undefined {
  const expected = expectedBy(error);
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownKey(error, path);
    case 'required':
      // A missing `type` is told once, as what it is: a choice that was not made.
      return isChoice(error) ? undefined : missingKey(error, path);
    case 'discriminator':
      return unknownType(error, path);
    case 'enum': {
      const values = (error.schema as unknown[]).map(String);
      const near = typeof error.data === 'string' ? nearest(error.data, values) : undefined;
      return { path, found: shown(error.data, path), expected, nearest: near };
    }
    case 'pattern':
      // Units and the like have parsers that say more; they run on every string that is left.
      return titleOf(error) === NAME_TITLE ? { path, found: shown(error.data, path), expected } : undefined;
    case 'minLength':
      return { path, found: 'an empty string', expected };
    case 'maxLength': {
      const found = `${String(error.data).length} characters`;
      return { path, found, expected: `at most ${String(error.schema)}` };
    }
    case 'minItems':
      return { path, found: 'an empty list', expected: 'at least one' };
    case 'type':
      return wrongType(error, path, expected);
    default:
      return { path, found: shown(error.data, path), expected };
  }
}

function isChoice(error: ErrorObject): boolean {
  return 'discriminator' in (error.parentSchema ?? {});
}

function wrongType(error: ErrorObject, path: Path, expected: string): Complaint {
  const found = shown(error.data, path);
  if (error.data === null) {
    return { path, found, expected, message: `has no value; expected ${expected}, or leave the key out` };
  }
  const isPlain = typeof error.data === 'number' || typeof error.data === 'boolean';
  if (!isPlain || error.schema !== 'string') return { path, found, expected };
  // A name or password that looks like a number needs quotes; a duration without a unit needs the unit.
  const hint = /such as/.test(expected) ? '' : ' (put it in quotes)';
  return { path, found, expected, message: `found ${found}, expected ${expected}${hint}` };
}

function unknownKey(error: ErrorObject, parent: Path): Complaint {
  const key = String(error.params.additionalProperty);
  const keys = knownKeys(error);
  const path = [...parent, key];
  const found = `unknown key ${JSON.stringify(key.slice(0, 64))}`;
  const near = nearest(key, keys);
  const others = VARIANT_KEYS[String(parent[0])]?.filter((variant) => variant.keys.includes(key)) ?? [];
  if (parent.length === 2 && others.length > 0 && near === undefined) {
    const types = others.map((variant) => variant.type).join(' and ');
    const message = `${found}: it belongs to type ${types}`;
    return { path, atKey: true, found, expected: `one of ${keys.join(', ')}`, message };
  }
  return { path, atKey: true, found, expected: `one of ${keys.join(', ')}`, nearest: near, message: found };
}

function missingKey(error: ErrorObject, path: Path): Complaint {
  const key = String(error.params.missingProperty);
  const properties = (error.parentSchema as { properties?: Record<string, { title?: string }> }).properties;
  const expected = properties?.[key]?.title ?? 'a value';
  return { path, found: 'nothing', expected, message: `lacks "${key}" (${expected})` };
}

function unknownType(error: ErrorObject, parent: Path): Complaint {
  const types = (VARIANT_KEYS[String(parent[0])] ?? []).map((variant) => variant.type);
  const expected = `one of ${types.join(', ')}`;
  const type: unknown = error.params.tagValue;
  if (type === undefined) {
    return { path: parent, found: 'nothing', expected, message: `lacks "type" (${expected})` };
  }
  const path = [...parent, 'type'];
  const near = typeof type === 'string' ? nearest(type, types) : undefined;
  return { path, found: shown(type, path), expected, nearest: near };
}

const JSON_TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  integer: 'a whole number',
  null: 'nothing',
  number: 'a number',
  object: 'a mapping',
  string: 'a string',
};

function expectedBy(error: ErrorObject): string {
  const { minimum, maximum } = (error.parentSchema ?? {}) as { minimum?: number; maximum?: number };
  if (minimum !== undefined && maximum !== undefined) return `a whole number from ${minimum} to ${maximum}`;
  return (
    titleOf(error) ?? JSON_TYPES[String((error.parentSchema as { type?: string }).type)] ?? 'another value'
  );
}

function titleOf(error: ErrorObject): string | undefined {
  return (error.parentSchema as { title?: string } | undefined)?.title;
}

/** A JSON pointer as a path. Whether a step is an index shows only on the value itself. */
function pathOf(root: unknown, pointer: string): Path {
  const path: (string | number)[] = [];
  let value: unknown = root;
  for (const escaped of pointer.split('/').slice(1)) {
    const step = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
    path.push(Array.isArray(value) ? Number(step) : step);
    value = (value as Record<string, unknown> | undefined)?.[step];
  }
  return path;
}

function movedBy(from: number, path: Path): Path {
  const [list, place, ...rest] = path;
  return list === undefined || typeof place !== 'number' ? path : [list, place + from, ...rest];
}

function cut(root: unknown, error: ErrorObject): void {
  const path = pathOf(root, error.instancePath);
  if (error.keyword === 'required') return;
  if (error.keyword === 'pattern' && titleOf(error) !== NAME_TITLE) return;
  const holder = valueAt(root, error.keyword === 'additionalProperties' ? path : path.slice(0, -1));
  if (holder === undefined) return;
  if (error.keyword === 'additionalProperties') {
    delete holder[String(error.params.additionalProperty)];
    return;
  }
  const last = path.at(-1);
  if (last === undefined) return;
  if (error.keyword === 'discriminator') {
    // Its other keys were not judged, but its tag still names it for those who refer to it.
    const tag = (holder[last] as { tag?: unknown } | undefined)?.tag;
    holder[last] = typeof tag === 'string' ? { tag } : undefined;
    return;
  }
  holder[last] = undefined;
}

function valueAt(root: unknown, path: Path): Record<string | number, unknown> | undefined {
  let value: unknown = root;
  for (const step of path) value = (value as Record<string | number, unknown> | undefined)?.[step];
  return typeof value === 'object' && value !== null
    ? (value as Record<string | number, unknown>)
    : undefined;
}
