// The meaning of rules, said once more and as plainly as possible: linear, on the rules as checked, without any structure
// that the compiler builds. The matcher is held to it by random rules and connections; explanations are made with it.
// Compiler thread and tests.
//
// Three values: what a rule needs and nobody has looked up is unknown, and makes the rule unknown unless something known
// decides. Cheap groups are asked first.

import {
  GROUP_DESTINATION,
  GROUP_DEVICE,
  GROUP_INBOUND,
  GROUP_IP_VERSION,
  GROUP_NETWORK,
  GROUP_PORT,
  GROUP_PROCESS_NAME,
  GROUP_PROCESS_PATH,
  GROUP_PROTOCOL,
  GROUP_SERVICE,
  GROUP_SOURCE,
  GROUP_SOURCE_PORT,
  GROUP_TIME,
  GROUP_USER,
  GROUP_USER_ID,
  GROUPS_COUNT,
  GROUPS_INDEXED,
  GROUPS_MERGED,
  NEED_EXTERNAL,
  NEED_PROCESS,
} from '../layout/rules.ts';
import { type Beyond, type InterpretedConnection, type Item, ITEMS } from './items.ts';
import type { Condition, Items, Logical, Rule, RuleSetRules } from './rule.ts';

/** What the first rule that matches, or can't be judged yet, came to. */
export interface Interpreted {
  /** -1: no rule matches. */
  readonly rule: number;
  /** NEED_PROCESS or NEED_EXTERNAL: the rule can't be judged without; 0: it matches. */
  readonly need: number;
  /** Of NEED_EXTERNAL: the address. */
  readonly external: string;
}

export type Truth = boolean | 'unknown';

/** Told of every item that is looked at, in this order; `matched` says what of it matched. */
export type Look = (item: string, truth: Truth, matched: string) => void;

/** One question, carried along. */
export interface Asking {
  readonly sets: ReadonlyMap<string, RuleSetRules>;
  readonly connection: InterpretedConnection;
  readonly beyond: Beyond;
  readonly look: Look | undefined;
  /** Before the names of items: where in a logical rule they stand, `rules[0].`. */
  prefix: string;
  /** What was missed first: `need` and `external` of the answer, if the rule stays unknown. */
  need: number;
  external: string;
}

const ITEMS_BY_GROUP: readonly (readonly Item[])[] = Array.from({ length: GROUPS_COUNT }, (_, group) =>
  ITEMS.filter((item) => item.group === group),
);

/** Cheapest first. Those of GROUPS_MERGED come between these and what has to be looked up. */
const ORDER: readonly number[] = [
  GROUP_INBOUND,
  GROUP_SERVICE,
  GROUP_USER,
  GROUP_NETWORK,
  GROUP_PROTOCOL,
  GROUP_IP_VERSION,
  GROUP_TIME,
  GROUP_DEVICE,
];
const ORDER_MERGED: readonly number[] = [GROUP_PORT, GROUP_SOURCE_PORT, GROUP_SOURCE, GROUP_DESTINATION];
const ORDER_LOOKED_UP: readonly number[] = [GROUP_PROCESS_NAME, GROUP_PROCESS_PATH, GROUP_USER_ID];

/** A question that nothing has been asked of yet. */
export function newAsking(init: Pick<Asking, 'sets' | 'connection' | 'beyond' | 'look'>): Asking {
  return { ...init, prefix: '', need: 0, external: '' };
}

/**
 * The first rule from `from` on that matches or that needs something first.
 * @param sets by tag: all that the rules name
 */
export function interpret(
  rules: readonly Rule[],
  sets: ReadonlyMap<string, RuleSetRules>,
  connection: InterpretedConnection,
  beyond: Beyond,
  from = 0,
): Interpreted {
  const asking = newAsking({ sets, connection, beyond, look: undefined });
  for (let index = from; index < rules.length; index++) {
    const truth = judge((rules[index] as Rule).condition, asking);
    if (truth === false) continue;
    const { need, external } = asking;
    return truth === true ? { rule: index, need: 0, external: '' } : { rule: index, need, external };
  }
  return { rule: -1, need: 0, external: '' };
}

/** Whether one condition holds. Sets `need` and `external` of `asking` where the answer is `unknown`. */
export function judge(condition: Condition, asking: Asking): Truth {
  asking.need = 0;
  asking.external = '';
  return truthOf(condition, asking);
}

function truthOf(condition: Condition, asking: Asking): Truth {
  const truth = condition.kind === 'logical' ? combined(condition, asking) : itemsHold(condition, asking);
  return condition.invert ? not(truth) : truth;
}

function combined({ mode, rules }: Logical, asking: Asking): Truth {
  const each = rules.map((rule, index) => () => {
    const { prefix } = asking;
    asking.prefix = `${prefix}rules[${index}].`;
    const truth = truthOf(rule, asking);
    asking.prefix = prefix;
    return truth;
  });
  return mode === 'and' ? every(asking, each) : some(asking, each);
}

/** As if it were not inverted. */
function itemsHold(items: Items, asking: Asking): Truth {
  const group = (number: number) => () => groupHolds(items, number, asking) ?? true;
  const { external, ruleSet } = items;
  return every(asking, [
    ...ORDER.map(group),
    ...(ruleSet.length > 0 ? [() => mergedHold(items, asking)] : ORDER_MERGED.map(group)),
    ...ORDER_LOOKED_UP.map(group),
    () => external === undefined || judgementHolds(external.url, asking),
  ]);
}

/** @returns undefined where the rule has no condition in this group */
function groupHolds(items: Items, group: number, asking: Asking): Truth | undefined {
  const present = (ITEMS_BY_GROUP[group] as readonly Item[]).filter((item) => item.isIn(items));
  if (present.length === 0) return undefined;
  return some(
    asking,
    present.map((item) => () => itemHolds(item, items, asking)),
  );
}

function itemHolds(item: Item, items: Items, asking: Asking): Truth {
  if (item.group >= GROUPS_INDEXED && asking.connection.process === undefined) {
    miss(asking, NEED_PROCESS, '');
    asking.look?.(asking.prefix + item.name, 'unknown', '');
    return 'unknown';
  }
  const matched = item.find(items, asking.connection, asking.beyond);
  asking.look?.(asking.prefix + item.name, matched !== undefined, matched ?? '');
  return matched !== undefined;
}

function judgementHolds(url: string, asking: Asking): Truth {
  const judgement = asking.connection.externals.get(url);
  asking.look?.(`${asking.prefix}external`, judgement ?? 'unknown', '');
  if (judgement !== undefined) return judgement;
  miss(asking, NEED_EXTERNAL, url);
  return 'unknown';
}

function miss(asking: Asking, need: number, external: string): void {
  if (asking.need !== 0) return;
  asking.need = need;
  asking.external = external;
}

/** The four groups that a rule shares with those of the sets that it names. */
function mergedHold(outer: Items, asking: Asking): Truth {
  const own: (boolean | undefined)[] = [];
  for (const group of ORDER_MERGED) own[group] = groupHolds(outer, group, asking) as boolean | undefined;
  return some(
    asking,
    outer.ruleSet.map((tag) => () => {
      const rules = asking.sets.get(tag)?.rules ?? [];
      let matched = '';
      const note: Look = (item, truth, what) => {
        if (truth === true && matched === '') matched = what === '' ? item : `${item} ${what}`;
      };
      // What each rule of a large set was asked is of no use to anybody; what of it matched is.
      const inside: Asking = asking.look === undefined ? asking : { ...asking, look: note, prefix: '' };
      const truth = some(
        inside,
        rules.map((rule) => () => togetherHold(rule, own, inside)),
      );
      if (truth === 'unknown' && inside !== asking) miss(asking, inside.need, inside.external);
      asking.look?.(
        `${asking.prefix}rule_set`,
        truth,
        truth === true && matched !== '' ? `${tag}: ${matched}` : tag,
      );
      return truth;
    }),
  );
}

/** Whether a rule of a set holds together with the merged groups of the rule that names the set. */
function togetherHold(rule: Condition, own: readonly (boolean | undefined)[], asking: Asking): Truth {
  if (rule.kind === 'logical' || rule.invert) {
    // It takes part as a whole, and satisfies nothing but itself.
    return every(asking, [() => !own.includes(false), () => truthOf(rule, asking)]);
  }
  const merged = (group: number) => () => {
    const outer = own[group];
    const inner = groupHolds(rule, group, asking);
    if (outer === undefined && inner === undefined) return true;
    return outer === true || inner === true;
  };
  const alone = (group: number) => () => groupHolds(rule, group, asking) ?? true;
  return every(asking, [...ORDER.map(alone), ...ORDER_MERGED.map(merged), ...ORDER_LOOKED_UP.map(alone)]);
}

function not(truth: Truth): Truth {
  return truth === 'unknown' ? truth : !truth;
}

/** Asks until one is false. */
function every(asking: Asking, each: readonly (() => Truth)[]): Truth {
  return decided(asking, each, false);
}

function some(asking: Asking, each: readonly (() => Truth)[]): Truth {
  return decided(asking, each, true);
}

/** What is known decides over what is not. */
function decided(asking: Asking, each: readonly (() => Truth)[], decisive: boolean): Truth {
  const { need, external } = asking;
  let result: Truth = !decisive;
  for (const ask of each) {
    const truth = ask();
    if (truth === 'unknown') result = truth;
    if (truth !== decisive) continue;
    // What was missed on the way is not needed.
    asking.need = need;
    asking.external = external;
    return decisive;
  }
  return result;
}

if (ORDER.length + ORDER_MERGED.length !== GROUPS_INDEXED || ORDER_MERGED.length !== GROUPS_MERGED) {
  throw new RangeError('a group is missing in the order of questions');
}
