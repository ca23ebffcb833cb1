// A connection as somebody describes it who wants an explanation → as the interpreter takes it, or what is wrong with the
// description. What is not said is what a connection has that lacks it; what would have to be looked up stays unknown.

import { basename } from 'node:path';
import { type AddressMistake, parseAddress } from '../config/addresses.ts';
import { type Path, shown } from '../config/mistakes.ts';
import { nearest } from '../config/nearest.ts';
import type { ExplainedConnection, RuleComplaint } from '../layout/compiler-messages.ts';
import { DEVICE_NAMES, NETWORK_TCP, NETWORK_UDP, PROTOCOL_NAMES } from '../layout/rules.ts';
import { ADDRESSES_MAX } from '../match/query.ts';
import { parseName } from './check/names.ts';
import type { InterpretedConnection, Process, Words } from './items.ts';

export interface Described {
  /** Its name has no addresses: those come with a resolution. */
  readonly connection: InterpretedConnection;
  /** What its name would resolve to; undefined: not known. */
  readonly resolved: readonly Words[] | undefined;
  readonly mistakes: readonly RuleComplaint[];
}

const PORT_MAX = 65_535;
const DAY_MINUTES = 1_440;

/** @param now what `time` is if nothing is said */
export function describe(written: ExplainedConnection, now: Date): Described {
  const mistakes: RuleComplaint[] = [];
  const complain = (path: Path, value: unknown, expected: string, near?: string): void => {
    mistakes.push({ path, found: shown(value, path), expected, nearest: near });
  };
  const address = (path: Path, text: string): Words | undefined => {
    const found = parseAddress(text)?.words;
    if (found === undefined) complain(path, text, 'an IP address');
    return found;
  };
  const numbered = (key: 'protocol' | 'device', names: readonly string[]): number => {
    const text = written[key] ?? names[0] ?? '';
    const index = names.indexOf(text);
    if (index < 0) complain([key], text, `one of ${names.join(', ')}`, nearest(text, names));
    return Math.max(0, index);
  };
  const port = (key: 'port' | 'source_port'): number => {
    const value = written[key] ?? 0;
    const isPort = Number.isInteger(value) && value >= 0 && value <= PORT_MAX;
    if (!isPort) complain([key], value, `a whole number from 0 to ${PORT_MAX}`);
    return value;
  };
  const { target, name } = readTarget(written.target, complain);
  const addresses = (written.addresses ?? []).map((text, index) => address(['addresses', index], text));
  if (target !== undefined && written.addresses !== undefined) {
    complain(['addresses'], written.addresses, 'nothing beside a target that is an address');
  }
  if (addresses.length > ADDRESSES_MAX) {
    complain(['addresses'], `${addresses.length} addresses`, `at most ${ADDRESSES_MAX}`);
  }
  const at = written.time === undefined ? now : new Date(written.time);
  if (Number.isNaN(at.getTime())) complain(['time'], written.time, 'a time such as 2026-11-21T08:30');
  return {
    connection: {
      inbound: written.inbound ?? '',
      service: written.service ?? '',
      user: written.user ?? '',
      network: written.network === 'udp' ? NETWORK_UDP : NETWORK_TCP,
      protocol: numbered('protocol', PROTOCOL_NAMES),
      device: numbered('device', DEVICE_NAMES),
      source: written.source === undefined ? undefined : address(['source'], written.source),
      sourcePort: port('source_port'),
      name,
      addresses: target === undefined ? [] : [target],
      port: port('port'),
      minuteOfWeek: minuteOfWeek(at),
      process: processOf(written),
      externals: new Map(
        Object.entries(written.externals ?? {}).map(([url, judgement]) => [
          URL.canParse(url) ? new URL(url).href : url,
          judgement,
        ]),
      ),
    },
    resolved: written.addresses === undefined ? undefined : addresses.filter((words) => words !== undefined),
    mistakes,
  };
}

function readTarget(
  text: string,
  complain: (path: Path, value: unknown, expected: string) => void,
): { target: Words | undefined; name: string } {
  const target = parseAddress(text)?.words;
  if (target !== undefined) return { target, name: '' };
  const name: string | AddressMistake = parseName(text);
  if (typeof name === 'string') return { target, name };
  complain(['target'], text, 'an IP address or a name, without a port');
  return { target, name: '' };
}

/** Whoever says one thing of the program has looked it up: what is not said is not there. */
function processOf({ process_name, process_path, user_id }: ExplainedConnection): Process | undefined {
  if (process_name === undefined && process_path === undefined && user_id === undefined) return undefined;
  return {
    name: process_name ?? basename(process_path ?? ''),
    path: process_path ?? '',
    userId: user_id ?? -1,
  };
}

/** Since Monday 00:00, local time. */
function minuteOfWeek(at: Date): number {
  return ((at.getDay() + 6) % 7) * DAY_MINUTES + at.getHours() * 60 + at.getMinutes();
}
