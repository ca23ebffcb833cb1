// Writes binary rule sets for tests, from rules in source form: another way to the same bytes as the reader takes back, so that
// neither can be wrong alone. The trie is built by sorting and cutting, numbers as the format has them.
// @source sing-box, common/srs/binary.go; sing, common/domain

import { deflateSync } from 'node:zlib';

export type SourceRule = Readonly<Record<string, unknown>>;

const RUNE = (text: string) => [...text].reverse().join('');

export function writeSrs(rules: readonly SourceRule[], version = 3): Buffer {
  const inside = Buffer.concat([uvarint(rules.length), ...rules.map((rule) => ruleBytes(rule, version))]);
  return wrapped(inside, version);
}

/** Whatever bytes, as if they were rules. */
export function wrapped(inside: Buffer, version = 3): Buffer {
  return Buffer.concat([Buffer.from([0x53, 0x52, 0x53, version]), deflateSync(inside)]);
}

export function uvarint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  return Buffer.from([...bytes, left]);
}

function ruleBytes(rule: SourceRule, version: number): Buffer {
  const invert = Buffer.from([rule['invert'] === true ? 1 : 0]);
  if (rule['type'] === 'logical') {
    const rules = rule['rules'] as SourceRule[];
    const head = Buffer.from([1, rule['mode'] === 'and' ? 0 : 1]);
    const inside = rules.map((one) => ruleBytes(one, version));
    return Buffer.concat([head, uvarint(rules.length), ...inside, invert]);
  }
  const items: Buffer[] = [];
  const names = domainKeys(list(rule, 'domain'), list(rule, 'domain_suffix'), version);
  if (names.length > 0) items.push(Buffer.from([2]), succinct(names));
  if (list(rule, 'adguard_domain').length > 0) {
    items.push(Buffer.from([16]), succinct(list(rule, 'adguard_domain').map(adGuardKey)));
  }
  for (const [number, key] of TEXTS) {
    const values = list(rule, key);
    if (values.length > 0) items.push(Buffer.from([number]), uvarint(values.length), ...values.map(text));
  }
  for (const [number, key] of NUMBERS) {
    const values = list(rule, key).map(Number);
    if (values.length > 0) items.push(Buffer.from([number]), uvarint(values.length), ...values.map(uint16));
  }
  for (const [number, key] of [
    [5, 'source_ip_cidr'],
    [6, 'ip_cidr'],
  ] as const) {
    const values = list(rule, key);
    if (values.length > 0) items.push(Buffer.from([number]), addressSet(values));
  }
  if (rule['network_type'] !== undefined) items.push(Buffer.from([18, 1, 0]));
  if (rule['network_is_expensive'] === true) items.push(Buffer.from([19]));
  if (rule['network_is_constrained'] === true) items.push(Buffer.from([20]));
  if (rule['network_interface_address'] !== undefined) {
    items.push(Buffer.from([21, 1, 0, 1]), prefixBytes('10.0.0.0', 8));
  }
  if (rule['default_interface_address'] !== undefined) items.push(Buffer.from([22, 1]), prefixBytes('::', 3));
  return Buffer.concat([Buffer.from([0]), ...items, Buffer.from([0xff]), invert]);
}

const TEXTS = [
  [1, 'network'],
  [3, 'domain_keyword'],
  [4, 'domain_regex'],
  [8, 'source_port_range'],
  [10, 'port_range'],
  [11, 'process_name'],
  [12, 'process_path'],
  [13, 'package_name'],
  [14, 'wifi_ssid'],
  [15, 'wifi_bssid'],
  [17, 'process_path_regex'],
] as const;
const NUMBERS = [
  [0, 'query_type'],
  [7, 'source_port'],
  [9, 'port'],
] as const;

function list(rule: SourceRule, key: string): string[] {
  const value = rule[key];
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map(String);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uvarint(bytes.length), bytes]);
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function domainKeys(domains: string[], suffixes: string[], version: number): string[] {
  const keys: string[] = [];
  for (const suffix of suffixes) {
    if (suffix.startsWith('.')) keys.push(RUNE(`\r${suffix}`));
    else if (version === 1) keys.push(RUNE(suffix), RUNE(`\r.${suffix}`));
    else keys.push(RUNE(`\n${suffix}`));
  }
  return [...keys, ...domains.map(RUNE)];
}

function adGuardKey(pattern: string): string {
  let start = '\r';
  let body = pattern;
  if (body.startsWith('||')) [start, body] = ['\n', body.slice(2)];
  else if (body.startsWith('|')) [start, body] = ['', body.slice(1)];
  return RUNE(start + (body.endsWith('^') ? body.slice(0, -1) : `${body}\b`));
}

/** Breadth first over the sorted keys: a span of keys that have a beginning in common is a node. */
function succinct(texts: readonly string[]): Buffer {
  const keys = [...new Set(texts)].map((one) => Buffer.from(one)).sort((a, b) => a.compare(b));
  const leaves: number[] = [];
  const shape: number[] = [];
  const labels: number[] = [];
  const nodes: { from: number; to: number; depth: number }[] = [{ from: 0, to: keys.length, depth: 0 }];
  for (let node = 0; node < nodes.length; node++) {
    const { to, depth } = nodes[node] as { from: number; to: number; depth: number };
    let { from } = nodes[node] as { from: number };
    const isLeaf = keys[from]?.length === depth;
    leaves.push(isLeaf ? 1 : 0);
    if (isLeaf) from++;
    while (from < to) {
      const label = keys[from]?.[depth] as number;
      let end = from;
      while (end < to && keys[end]?.[depth] === label) end++;
      labels.push(label);
      shape.push(0);
      nodes.push({ from, to: end, depth: depth + 1 });
      from = end;
    }
    shape.push(1);
  }
  return Buffer.concat([
    Buffer.from([0]),
    bitWords(leaves),
    bitWords(shape),
    uvarint(labels.length),
    Buffer.from(labels),
  ]);
}

function bitWords(bits: readonly number[]): Buffer {
  const count = Math.ceil(bits.length / 64);
  const words = Buffer.alloc(count * 8);
  for (let word = 0; word < count; word++) {
    let value = 0n;
    for (let bit = 0; bit < 64; bit++) if (bits[word * 64 + bit] === 1) value |= 1n << BigInt(bit);
    words.writeBigUInt64BE(value, word * 8);
  }
  return Buffer.concat([uvarint(count), words]);
}

/** One range for each network. Addresses that are ranges already are written `from-to`. */
function addressSet(values: readonly string[]): Buffer {
  const count = Buffer.alloc(8);
  count.writeUInt32BE(values.length, 4);
  return Buffer.concat([Buffer.from([1]), count, ...values.map(rangeBytes)]);
}

function rangeBytes(value: string): Buffer {
  const [first = '', last] = value.split('-');
  if (last !== undefined) return Buffer.concat([address(first), address(last)]);
  const [from = '', length] = first.split('/');
  const bytes = addressBytes(from);
  const bits = length === undefined ? bytes.length * 8 : Number(length);
  const host = (1n << BigInt(bytes.length * 8 - bits)) - 1n;
  const low = BigInt(`0x${bytes.toString('hex')}`) & ~host;
  const sized = (one: bigint) => Buffer.from(one.toString(16).padStart(bytes.length * 2, '0'), 'hex');
  return Buffer.concat([counted(sized(low)), counted(sized(low | host))]);
}

function prefixBytes(from: string, bits: number): Buffer {
  return Buffer.concat([address(from), Buffer.from([bits])]);
}

function address(value: string): Buffer {
  return counted(addressBytes(value));
}

function counted(bytes: Buffer): Buffer {
  return Buffer.concat([uvarint(bytes.length), bytes]);
}

function addressBytes(value: string): Buffer {
  if (!value.includes(':')) return Buffer.from(value.split('.').map(Number));
  const [head = '', tail] = value.split('::');
  const groups = (part: string) =>
    part === '' ? [] : part.split(':').map((one) => Number.parseInt(one, 16));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return Buffer.concat([...before, ...zeros, ...after].map(uint16));
}
