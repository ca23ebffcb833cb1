// Rules that are swapped all the time while connections come: every receipt says which snapshot and which rule judged it, and the
// interpreter, given the rules that were put for that snapshot, must say the same. So no connection was judged by two of them. And
// swaps leave nothing behind: no snapshot lives on after its readers, the arena is as full as before, memory stays where it was.
//
// A few hundred swaps; SLUICE_SOAK_SWAPS=10000 asks for more, SLUICE_SEED=N repeats a run's rules and connections.

import { readFileSync, writeFileSync } from 'node:fs';
import { lookup } from 'node:dns/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { SnapshotAnswer } from '../../src/api/rule-schemas.ts';
import { createBeyond } from '../../src/compile/beyond.ts';
import { checkRules } from '../../src/compile/check/check-rules.ts';
import { interpret } from '../../src/compile/interpret.ts';
import type { InterpretedConnection, Words } from '../../src/compile/items.ts';
import type { Rule } from '../../src/compile/rule.ts';
import { parseIp } from '../../src/layout/ip-address.ts';
import { NETWORK_TCP } from '../../src/layout/rules.ts';
import { connectTo } from './harness/client.ts';
import { type Daemon, LOCAL, makeDirectory, startDaemon } from './harness/daemon.ts';
import { echo, startServer } from './harness/origin.ts';
import { changeRules } from './harness/rules.ts';
import { until } from './harness/until.ts';

const SWAPS = Number(process.env['SLUICE_SOAK_SWAPS'] ?? 200);
const SEED = Number(process.env['SLUICE_SEED'] ?? Date.now() % 2 ** 31);
const SWAP_EVERY_MS = 25;
const CLIENTS = 12;
/** So that a long soak leaves a log that can be read at once. */
const CLIENT_PAUSE_MS = SWAPS > 1000 ? 50 : 0;
/** A snapshot's ranges are free so long after its last reader has gone. */
const ALIVE_MS_MAX = 1000;
/** What a heap may come to while it warms up; a leak of 2 kB a swap exceeds it over 10,000 swaps. */
const GROWTH_BYTES_MAX = 32 * 2 ** 20;
const RULES = 20;

const USERS = ['alice', 'bob', 'carol'];
const NAMES = Array.from({ length: 12 }, (_, number) => `n${number}.example`);
const ADDRESSES = Array.from({ length: 6 }, (_, number) => `127.0.0.${1 + number}`);
/** A name that has addresses: a rule that resolves it makes the connection wait, in the snapshot that it is judged by. */
const RESOLVED = 'localhost';

type Written = Readonly<Record<string, unknown>>;

/** @source Marsaglia, Xorshift RNGs (2003) */
function createRandom(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const random = createRandom(SEED);
const pick = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item;

/** Rules of a swap, all with ids of their own; the last one takes whoever is left. */
function makeRules(swap: number, port: number): Written[] {
  const conditions: readonly (() => Written)[] = [
    () => ({ domain: [pick(NAMES), pick(NAMES)] }),
    () => ({ domain_suffix: pick(NAMES), user: pick(USERS) }),
    () => ({ domain_keyword: pick(NAMES).slice(0, 3), service: pick(USERS) }),
    () => ({ ip_cidr: `${pick(ADDRESSES)}/32`, user: [pick(USERS), pick(USERS)] }),
    () => ({
      ip_cidr: pick(['127.0.0.0/31', '127.0.0.2/31', '127.0.0.4/30']),
      source_ip_cidr: `127.${64 + random(8)}.0.0/16`,
    }),
    () => ({ source_ip_cidr: `127.${64 + random(8)}.0.0/16`, domain_regex: '^n[0-4]\\.' }),
    () => ({ port, invert: true }),
    () => ({ rule_set: 'listed', user: pick(USERS) }),
    () => ({
      type: 'logical',
      mode: pick(['and', 'or']),
      rules: [{ user: pick(USERS) }, { domain: pick(NAMES), invert: random(2) === 0 }],
    }),
  ];
  const actions: readonly (() => Written)[] = [
    () => ({ action: 'reject', method: 'reset' }),
    () => ({ outbound: pick(['direct', 'other']), override_address: '127.0.0.1' }),
  ];
  const rules = Array.from({ length: RULES }, (_, place) => ({
    id: `s${swap}-${place}`,
    ...(place === 3
      ? { domain: RESOLVED, action: 'resolve' }
      : { ...pick(conditions)(), ...pick(actions)() }),
  }));
  return [...rules, { id: `s${swap}-last`, outbound: 'direct', override_address: '127.0.0.1' }];
}

interface Asked {
  readonly user: string;
  readonly target: string;
  /** What came of it, as the client saw it. */
  wasServed: boolean;
}

/** What connections asked for, by their source, which each has for itself. */
const asked = new Map<string, Asked>();
let begun = 0;

async function connectOnce(inbound: number, origin: number): Promise<void> {
  const number = begun++;
  const localAddress = `127.${64 + (number % 8)}.${(number >> 10) & 0xff}.${1 + ((number >> 3) & 0x7f)}`;
  const target = pick([...NAMES, ...ADDRESSES, RESOLVED, RESOLVED]);
  const one: Asked = { user: pick(USERS), target, wasServed: false };
  const client = await connectTo({ host: '127.0.0.1', port: inbound, localAddress });
  asked.set(`${localAddress}:${client.socket.localPort}`, one);
  client.send([5, 1, 2]);
  await client.receive(2);
  client.send([1, one.user.length, ...Buffer.from(one.user), 1, 0x78]);
  await client.receive(2);
  const words = parseIp(target);
  const address = words === undefined ? [3, target.length, ...Buffer.from(target)] : [1, ...quad(target)];
  client.send([5, 1, 0, ...address, origin >> 8, origin & 255]);
  try {
    expect((await client.receive(10))[1]).toBe(0);
    client.send('ping');
    expect((await client.receive(4)).toString()).toBe('ping');
    one.wasServed = true;
  } catch {
    // Whether it should have been refused is asked at the end.
  }
  client.reset();
}

function quad(address: string): number[] {
  return address.split('.').map(Number);
}

interface Line {
  readonly source: string;
  readonly rule: string | null;
  readonly snapshot: number | null;
  readonly reason: string;
}

function lines(daemon: Daemon): Line[] {
  const text = readFileSync(join(daemon.directory, 'access.log'), 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return whole.flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
}

async function put(daemon: Daemon, rules: readonly Written[]): Promise<number> {
  return (await changeRules(daemon, { rules, reconcile: 'none' })).snapshot as number;
}

async function snapshots(daemon: Daemon): Promise<readonly SnapshotAnswer[]> {
  const { text } = await daemon.api('GET', '/v1/rules/snapshots');
  return (JSON.parse(text) as { snapshots: SnapshotAnswer[] }).snapshots;
}

async function arenaWords(daemon: Daemon): Promise<number> {
  const { text } = await daemon.api('GET', '/metrics');
  return Number(/^sluice_rule_arena_words (\d+)$/m.exec(text)?.[1]);
}

const LISTED = { version: 3, rules: [{ domain: [NAMES[0], NAMES[1]] }, { ip_cidr: `${ADDRESSES[2]}/32` }] };
const beyond = createBeyond({ country: () => [], system: () => [] });

/** @returns rules as the compiler has them */
function checked(written: readonly Written[]): Rule[] {
  const { rules, mistakes } = checkRules({
    apiRules: written,
    fileRules: [],
    names: {
      inbounds: new Set(['socks']),
      outbounds: new Set(['direct', 'other']),
      ruleSets: new Set(['listed']),
      hasGeoip: false,
      hasAsn: false,
    },
  });
  expect(mistakes).toEqual([]);
  return rules;
}

/**
 * What the interpreter says of a connection: a resolution gives a name its addresses, and the rules behind it are asked.
 * @param known what of that is known from the start
 */
function judge(
  rules: readonly Rule[],
  source: string,
  one: Asked,
  port: number,
  resolved: readonly Words[],
  known: readonly Words[] = [],
): Rule {
  const host = source.slice(0, source.lastIndexOf(':'));
  const address = wordsOf(one.target);
  const sets = new Map([
    [
      'listed',
      {
        rules: checked(LISTED.rules.map((rule) => ({ ...rule, action: 'reject' }))).map(
          ({ condition }) => condition,
        ),
      },
    ],
  ]);
  let connection: InterpretedConnection = {
    inbound: 'socks',
    service: one.user,
    user: one.user,
    network: NETWORK_TCP,
    protocol: 0,
    device: 0,
    source: wordsOf(host),
    sourcePort: Number(source.slice(host.length + 1)),
    name: address === undefined ? one.target : '',
    addresses: address === undefined ? known : [address],
    port,
    minuteOfWeek: 0,
    process: undefined,
    externals: new Map(),
  };
  for (let from = 0; ; ) {
    const { rule: place } = interpret(rules, sets, connection, beyond, from);
    const rule = rules[place];
    if (rule === undefined) throw new Error('the last rule takes whoever is left');
    if (rule.action.kind !== 'resolve') return rule;
    connection = { ...connection, addresses: resolved };
    from = place + 1;
  }
}

function wordsOf(text: string): Words | undefined {
  const words = parseIp(text);
  return words === undefined ? undefined : ([...words] as unknown as Words);
}

it(`judges by one snapshot each, over ${SWAPS} swaps, and keeps none of them`, {
  timeout: 120_000 + SWAPS * 200,
}, async () => {
  const origin = await startServer(echo);
  const listed = join(makeDirectory(), 'listed.json');
  writeFileSync(listed, JSON.stringify(LISTED));
  const daemon = await startDaemon({
    inbounds: [{ tag: 'socks', type: 'socks5', listen: '127.0.0.1:0' }],
    outbounds: [LOCAL, { ...LOCAL, tag: 'other' }],
    services: USERS.map((name) => ({ name, users: [{ username: name, password: 'x' }] })),
    access_log: {},
    rule_sets: [{ tag: 'listed', path: listed }],
  });
  const inbound = await daemon.port('socks');
  const rulesBySnapshot = new Map<number, readonly Written[]>();
  const first = makeRules(0, origin);
  rulesBySnapshot.set(await put(daemon, first), first);
  const wordsBefore = await arenaWords(daemon);

  let isOver = false;
  let stalledMs = 0;
  let aliveMs = 0;
  const failures: unknown[] = [];
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (!isOver) {
      await connectOnce(inbound, origin);
      await delay(CLIENT_PAUSE_MS);
    }
  });
  const watch = async () => {
    while (!isOver) {
      const before = performance.now();
      const all = await snapshots(daemon);
      stalledMs = Math.max(stalledMs, performance.now() - before);
      for (const each of all) aliveMs = Math.max(aliveMs, lifeAfter(each));
      await delay(SWAP_EVERY_MS * 4);
    }
  };
  const background = [...clients, watch()].map((each) =>
    each.catch((error: unknown) => failures.push(error)),
  );

  const resident: number[] = [];
  try {
    for (let swap = 1; swap <= SWAPS && failures.length === 0; swap++) {
      const dueMs = performance.now() + SWAP_EVERY_MS;
      const rules = makeRules(swap, origin);
      rulesBySnapshot.set(await put(daemon, rules), rules);
      resident.push(daemon.resident());
      await delay(Math.max(0, dueMs - performance.now()));
    }
  } finally {
    isOver = true;
    await Promise.all(background);
  }
  expect(failures).toEqual([]);
  const isGone = async () =>
    (await snapshots(daemon)).every(({ state }) => GONE.has(state) || state === 'in_force');
  await until('all snapshots but the last have gone', isGone, ALIVE_MS_MAX + stalledMs + 1000);
  expect(aliveMs).toBeLessThan(ALIVE_MS_MAX + stalledMs);

  const met = await compareReceipts(daemon, rulesBySnapshot, origin);
  // Not a test if nobody came while rules changed.
  expect(met).toBeGreaterThan(SWAPS / 4);

  expect(Math.abs((await arenaWords(daemon)) - wordsBefore)).toBeLessThan(wordsBefore);
  const early = Math.min(...resident.slice(Math.floor(SWAPS / 3), Math.floor(SWAPS / 2)));
  const late = Math.min(...resident.slice(-Math.ceil(SWAPS / 6)));
  expect(late - early).toBeLessThan(GROWTH_BYTES_MAX);
  process.stdout.write(
    `${SWAPS} swaps beside ${asked.size} connections in ${met} snapshots: a snapshot lived ${aliveMs} ms after it was retired at most, memory grew by ${((late - early) / 2 ** 20).toFixed(1)} MiB\n`,
  );
});

/** Every receipt against the interpreter. @returns how many snapshots have judged somebody */
async function compareReceipts(
  daemon: Daemon,
  rulesBySnapshot: ReadonlyMap<number, readonly Written[]>,
  origin: number,
): Promise<number> {
  await until('every connection has its line', () => lines(daemon).length >= asked.size);
  const resolved = (await lookup(RESOLVED, { all: true })).map(({ address }) => wordsOf(address) as Words);
  const rulesOf = new Map([...rulesBySnapshot].map(([snapshot, written]) => [snapshot, checked(written)]));
  const wrong: unknown[] = [];
  const met = new Set<number>();
  let judgedAgain = 0;
  for (const line of lines(daemon)) {
    const one = asked.get(line.source);
    const rules = rulesOf.get(line.snapshot ?? -1);
    if (one === undefined || rules === undefined) {
      wrong.push({ line, one, why: 'nobody knows it' });
      continue;
    }
    met.add(line.snapshot as number);
    const rule = judge(rules, line.source, one, origin, resolved);
    if (line.rule === rule.id && one.wasServed === isRoute(rule)) continue;
    // Whoever waited while rules changed is judged by those in force, to which the addresses are no news.
    const informed = judge(rules, line.source, one, origin, resolved, resolved);
    const hasWaited = one.target === RESOLVED;
    if (hasWaited && line.rule === informed.id && one.wasServed === isRoute(informed)) judgedAgain++;
    else wrong.push({ line, one, wanted: rule.id });
  }
  const sample = JSON.stringify(wrong.slice(0, 3));
  expect(wrong.length, `SLUICE_SEED=${SEED}, of ${asked.size}: ${sample}`).toBe(0);
  expect(judgedAgain, `SLUICE_SEED=${SEED}`).toBeLessThan(asked.size / 100);
  return met.size;
}

function isRoute({ action }: Rule): boolean {
  return action.kind === 'route';
}

const GONE = new Set(['released', 'failed']);

/** For how long nobody has waited in a retired snapshot that still has its range; 0: that is not so. */
function lifeAfter({ state, pins, retired_at: retiredAt, released_at: releasedAt }: SnapshotAnswer): number {
  if (retiredAt === null || pins > 0 || state === 'failed') return 0;
  const until = releasedAt === null ? Date.now() : Date.parse(releasedAt);
  return until - Date.parse(retiredAt);
}
