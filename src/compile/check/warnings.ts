// Rules that are written well and will not do what they seem to: a protocol that nobody finds out before, what this build
// can't tell yet. Each kind is told once for each rule.

import type { Path } from '../../config/mistakes.ts';
import type { RuleNames } from '../../config/rule-checker.ts';
import type { RuleComplaint } from '../../layout/compiler-messages.ts';
import {
  NETWORK_UDP,
  PROTOCOL_HTTP,
  PROTOCOL_NAMES,
  PROTOCOL_QUIC,
  PROTOCOL_TLS,
} from '../../layout/rules.ts';
import type { Condition, Items } from '../rule.ts';
import type { PlacedRule } from './placed-rule.ts';

/** What an inbound knows without a look: of every connection, or of some. */
const KNOWN_BY_INBOUND: ReadonlyMap<number, string> = new Map([
  [PROTOCOL_TLS, 'sni'],
  [PROTOCOL_HTTP, 'http'],
]);

export function warningsOf(rules: readonly PlacedRule[], names: RuleNames): RuleComplaint[] {
  const warnings: RuleComplaint[] = [];
  const sniffed = new Set<number>();
  for (const { rule, path } of rules) {
    const warn = (at: Path, found: string, expected: string, message: string) =>
      warnings.push({ owner: rule.owner, path: at, atKey: true, found, expected, message });
    eachItems(rule.condition, path, (items, at) => {
      warnOfProtocol(items, at, sniffed, names, warn);
      if (items.device.length > 0) {
        const message = '`device` never matches before device limits are enforced';
        warn([...at, 'device'], 'device', 'what this build can tell', message);
      }
      if (items.network.length > 0 && items.network.every((network) => network === NETWORK_UDP)) {
        const message = '`network: udp` never matches: no UDP is relayed yet';
        warn([...at, 'network'], 'network udp', 'what this build relays', message);
      }
    });
    if (rule.action.kind === 'sniff') for (const protocol of rule.action.protocols) sniffed.add(protocol);
  }
  return warnings;
}

type Warn = (at: Path, found: string, expected: string, message: string) => void;

function warnOfProtocol(
  items: Items,
  path: Path,
  sniffed: ReadonlySet<number>,
  names: RuleNames,
  warn: Warn,
): void {
  const { protocol } = items;
  if (protocol.length === 0) return;
  const at = [...path, 'protocol'];
  if (protocol.every((one) => one === PROTOCOL_QUIC)) {
    warn(at, 'quic', 'what this build relays', '`protocol: quic` never matches: no UDP is relayed yet');
    return;
  }
  if (protocol.some((one) => sniffed.has(one) || isKnown(one, items, names))) return;
  const text = protocol.map((one) => PROTOCOL_NAMES[one]).join(', ');
  const message = `never matches: no rule before it has \`action: sniff\`, and no inbound here knows ${text} without`;
  warn(at, text, 'a rule with `action: sniff` before it', message);
}

function isKnown(protocol: number, items: Items, { inboundTypes }: RuleNames): boolean {
  const type = KNOWN_BY_INBOUND.get(protocol);
  if (type === undefined) return false;
  if (inboundTypes === undefined) return true;
  // A type that was written wrong may be any.
  const tags = items.inbound.length > 0 ? items.inbound : [...inboundTypes.keys()];
  return tags.some((tag) => ['', type].includes(inboundTypes.get(tag) ?? ''));
}

function eachItems(condition: Condition, path: Path, visit: (items: Items, path: Path) => void): void {
  if (condition.kind === 'items') {
    visit(condition, path);
    return;
  }
  for (const [index, rule] of condition.rules.entries()) eachItems(rule, [...path, 'rules', index], visit);
}
