// The matcher against the interpreter: random rules, random connections, the same verdicts, and the same questions asked on
// the way to them. Repeat a failure with SLUICE_SEED=<seed>.

import { expect, it } from 'vitest';
import { deriveNameKeys, hashText, RULE_DOMAIN_SEED_KEY } from '../../layout/name-hash.ts';
import {
  RULE_INBOUND_KEY,
  RULE_PROCESS_NAME_KEY,
  RULE_PROCESS_PATH_KEY,
  RULE_SERVICE_KEY,
  RULE_USER_KEY,
} from '../../layout/name-hash.ts';
import { NEED_PROCESS } from '../../layout/rules.ts';
import { Matcher, NEEDS, NO_RULE } from '../../match/matcher.ts';
import { Query } from '../../match/query.ts';
import { matchesRegex } from '../../match/regex.ts';
import { interpret } from '../interpret.ts';
import type { InterpretedConnection } from '../items.ts';
import { NO_ITEMS, type Items, type Rule, type RuleSetRules } from '../rule.ts';
import { buildSet } from './block.ts';
import {
  createRandom,
  networksOf,
  type Random,
  randomConnection,
  randomMetadata,
  randomRules,
  randomSets,
} from './random-rules.ts';
import { buildRegex } from './regex-machine.ts';
import { buildSnapshot, type PlacedSet } from './snapshot.ts';

const CASES = 100_000;
const CONNECTIONS_PER_SNAPSHOT = 50;
const NEEDS_MAX = 100;

const keys = deriveNameKeys(Int32Array.of(1, 2, 3, 4));
const context = {
  keys,
  country: (code: string) => networksOf(code),
  system: (asn: number) => networksOf(asn),
};
const machines = new Map<string, Int32Array>();
const beyond = {
  networksOf,
  matchesRegex(expression: string, name: string) {
    let machine = machines.get(expression);
    if (machine === undefined) {
      const built = buildRegex(expression);
      if ('wrong' in built) throw new RangeError(built.wrong);
      machine = built;
      machines.set(expression, machine);
    }
    return matchesRegex(machine, 0, Buffer.from(name, 'latin1'), name.length);
  },
};

function fill(query: Query, connection: InterpretedConnection): void {
  query.clear();
  const hashed = (into: Int32Array, key: number, text: string) => {
    if (text !== '') into.set(hashText(keys, key, text).subarray(0, 2));
  };
  hashed(query.inbound, RULE_INBOUND_KEY, connection.inbound);
  hashed(query.service, RULE_SERVICE_KEY, connection.service);
  hashed(query.user, RULE_USER_KEY, connection.user);
  query.network = connection.network;
  query.protocol = connection.protocol;
  query.device = connection.device;
  query.minuteOfWeek = connection.minuteOfWeek;
  if (connection.source !== undefined) query.source.set(connection.source);
  query.sourcePort = connection.sourcePort;
  query.name.set(Buffer.from(connection.name, 'latin1'));
  query.nameBytes = connection.name.length;
  for (const [i, words] of connection.addresses.entries()) query.addresses.set(words, i * 4);
  query.addressesCount = connection.addresses.length;
  query.port = connection.port;
}

function tell(query: Query, process: NonNullable<InterpretedConnection['process']>): void {
  query.known |= NEED_PROCESS;
  if (process.name !== '') {
    query.processName.set(hashText(keys, RULE_PROCESS_NAME_KEY, process.name).subarray(0, 2));
  }
  if (process.path !== '') {
    query.processPath.set(hashText(keys, RULE_PROCESS_PATH_KEY, process.path).subarray(0, 2));
  }
  query.userId = Math.max(0, process.userId);
  query.hasUserId = process.userId >= 0;
}

/** Everything placed in an arena of its own. */
function place(random: Random) {
  return placeAll(
    random,
    randomRules(random, 1 + random.below(random.isTrue(0.1) ? 120 : 12)),
    randomSets(random),
  );
}

function placeAll(random: Random, rules: readonly Rule[], sets: ReadonlyMap<string, RuleSetRules>) {
  const blocks = [...sets].map(([tag, set]) => ({ tag, block: buildSet(set, context) }));
  const placed = new Map<string, PlacedSet>();
  // Not at 0, so that an offset taken for a place is noticed.
  let at = 7 + random.below(100);
  for (const { tag, block } of blocks) {
    placed.set(tag, { at, needs: block.needs, groups: block.groups });
    at += block.words.length;
  }
  const keyOf = (id: string) => Number(id.slice(1)) + 1;
  const snapshot = buildSnapshot({ id: 1, rules, keyOf, outbounds: new Map(), sets: placed, context });
  const arena = new Int32Array(new SharedArrayBuffer((at + snapshot.words) * 4));
  for (const { tag, block } of blocks) arena.set(block.words, placed.get(tag)?.at);
  snapshot.write(arena, at);
  return { rules, sets, snapshot, arena, at };
}

it(`decides ${CASES} random cases as the interpreter does, and asks for the same`, () => {
  const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 2 ** 30);
  const random = createRandom(seed);
  const query = new Query();
  const counts = { matched: 0, none: 0, asked: 0 };
  for (let done = 0; done < CASES; done += CONNECTIONS_PER_SNAPSHOT) {
    const { rules, sets, snapshot, arena, at } = place(random);
    const matcher = new Matcher(arena, hashText(keys, RULE_DOMAIN_SEED_KEY, '')[0] as number);
    for (let i = 0; i < CONNECTIONS_PER_SNAPSHOT; i++) {
      let connection = randomConnection(random);
      const metadata = randomMetadata(random);
      fill(query, connection);
      let from = 0;
      for (let round = 0; ; round++) {
        const found = matcher.match(at, query, from);
        const wanted = interpret(rules, sets, connection, beyond, from);
        const hint = `SLUICE_SEED=${seed}, case ${done + i}, from rule ${from}`;
        const url = found === NEEDS ? (snapshot.externals[matcher.external]?.url ?? '') : '';
        const answer =
          found === NEEDS
            ? { rule: matcher.rule, need: matcher.need, external: url }
            : { rule: found, need: 0, external: '' };
        if (JSON.stringify(answer) !== JSON.stringify(wanted)) {
          expect(answer, `${hint}\n${JSON.stringify({ connection, rule: rules[wanted.rule] })}`).toEqual(
            wanted,
          );
        }
        if (found !== NEEDS) {
          counts[found === NO_RULE ? 'none' : 'matched']++;
          break;
        }
        counts.asked++;
        expect(round, hint).toBeLessThan(NEEDS_MAX);
        from = matcher.rule;
        if (matcher.need === NEED_PROCESS) {
          connection = { ...connection, process: metadata.process };
          tell(query, metadata.process);
        } else {
          const judgement = metadata.externals.get(url) as boolean;
          connection = { ...connection, externals: new Map([...connection.externals, [url, judgement]]) };
          query.externalsKnown |= 1 << matcher.external;
          if (judgement) query.externalsTrue |= 1 << matcher.external;
        }
      }
    }
  }
  // Not a test if all of them were of one kind.
  expect(counts.matched).toBeGreaterThan(CASES / 10);
  expect(counts.none).toBeGreaterThan(CASES / 100);
  expect(counts.asked).toBeGreaterThan(CASES / 100);
}, 120_000);

/** Rules of two or three narrow groups, and one that lets many through: most of a thousand are refused, each by another. */
function narrowRules(random: Random, count: number): Rule[] {
  return Array.from({ length: count }, (_, place) => {
    const parts: readonly (() => Partial<Items>)[] = [
      () => ({ user: [`u${random.below(20)}`] }),
      () => ({ service: [`s${random.below(20)}`] }),
      () => ({ inbound: [`i${random.below(4)}`] }),
      () => ({ port: [{ from: 1 + random.below(3), to: 3 }] }),
      () => ({ domainSuffix: [{ name: `n${random.below(20)}.test`, isBelow: false }] }),
      () => ({ domainKeyword: [`k${random.below(20)}`] }),
    ];
    const chosen = parts.filter(() => random.isTrue(0.5));
    const items = [...chosen, parts[random.below(2)] as () => Partial<Items>].map((part) => part());
    const plain: Items = Object.assign({}, NO_ITEMS, ...items);
    const rules = items.map((each) => ({ ...NO_ITEMS, ...each }));
    return {
      id: `r${place}`,
      owner: 'file',
      path: `rules[${place}]`,
      condition: random.isTrue(0.2) ? { kind: 'logical', mode: 'and', invert: false, rules } : plain,
      action: { kind: 'reject', method: 0 },
      onTimeout: 0,
      timeoutMs: 1000,
    };
  });
}

it('finds the one rule among a thousand that no group refuses', () => {
  const seed = Number(process.env['SLUICE_SEED'] ?? Date.now() % 2 ** 30);
  const random = createRandom(seed);
  const query = new Query();
  const places = new Set<number>();
  for (let round = 0; round < 10; round++) {
    const { rules, sets, arena, at } = placeAll(random, narrowRules(random, 1000), new Map());
    const matcher = new Matcher(arena, hashText(keys, RULE_DOMAIN_SEED_KEY, '')[0] as number);
    for (let i = 0; i < 100; i++) {
      const connection: InterpretedConnection = {
        ...randomConnection(random),
        user: `u${random.below(22)}`,
        service: `s${random.below(22)}`,
        inbound: `i${random.below(5)}`,
        port: random.below(5),
        name: random.isTrue(0.7) ? `k${random.below(22)}.n${random.below(22)}.test` : '',
      };
      fill(query, connection);
      const found = matcher.match(at, query, 0);
      const hint = `SLUICE_SEED=${seed}, round ${round}, question ${i}`;
      expect(found, hint).toBe(interpret(rules, sets, connection, beyond).rule);
      places.add(found);
    }
  }
  // Not a test if the first ones always matched.
  expect(places.size).toBeGreaterThan(100);
}, 60_000);
