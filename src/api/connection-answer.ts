// A connection as the API shows it: indexes as names, words as addresses, the monotonic clock as a date.

import { type Static, Type } from 'typebox';
import type { Connection } from '../control/connections.ts';
import { formatIp } from '../layout/ip-address.ts';
import { TARGET_IP, TARGET_TEXT_WORDS, TARGET_UNIX } from '../layout/service.ts';
import {
  SLOT_CONNECTING,
  SLOT_HANDSHAKE,
  SLOT_LINGERING,
  SLOT_RELAYING,
  SLOT_RESETTING,
  SLOT_SILENT,
  SLOT_WAITING,
} from '../layout/slot.ts';
import type { Tables } from '../layout/tables.ts';
import type { ApiContext } from './context.ts';

const Maybe = (description: string) => Type.Union([Type.String(), Type.Null()], { description });
const Count = Type.Integer({ minimum: 0 });

export const connectionSchema = Type.Object(
  {
    id: Type.String({ description: '`worker-slot-generation`: never given to another connection' }),
    service: Maybe('null while nobody knows, or where it has gone'),
    user: Maybe('whose password admitted it'),
    source: Type.String({ description: 'address and port of the client; `unix` for a Unix socket' }),
    inbound: Maybe('tag'),
    outbound: Maybe('tag; null before one was chosen'),
    rule: Maybe('tag of the rule that decided'),
    snapshot: Type.Union([Type.Integer(), Type.Null()], {
      description: 'rules in force when it was decided',
    }),
    target: Maybe('address and port that is dialled; null before one was chosen'),
    state: Type.String({
      description: 'handshake, waiting, connecting, relaying, resetting, lingering, silent',
    }),
    bytes_up: Count,
    bytes_down: Count,
    started_at: Type.String({ format: 'date-time' }),
    age_ms: Count,
  },
  { title: 'Connection' },
);

export type ListedConnection = Static<typeof connectionSchema>;

const STATES: Readonly<Record<number, string>> = {
  [SLOT_HANDSHAKE]: 'handshake',
  [SLOT_WAITING]: 'waiting',
  [SLOT_CONNECTING]: 'connecting',
  [SLOT_RELAYING]: 'relaying',
  [SLOT_RESETTING]: 'resetting',
  [SLOT_LINGERING]: 'lingering',
  [SLOT_SILENT]: 'silent',
};

export function describeConnection(
  { directory, tables }: Pick<ApiContext, 'directory' | 'tables'>,
  connection: Connection,
): ListedConnection {
  const { service, user, inbound, outbound, rule, source } = connection;
  // Workers look at their clock once a turn, so that ours may be a little behind.
  const ageMs = Math.max(0, Number(process.hrtime.bigint()) / 1e6 - connection.startedMs);
  return {
    id: `${connection.worker}-${connection.slot}-${connection.generation}`,
    service: directory.services.nameOf(service.index, service.generation) ?? null,
    user: directory.users.nameOf(user.index, user.generation) ?? null,
    source: source.every((word) => word === 0) ? 'unix' : endpoint(source, connection.sourcePort),
    inbound: directory.inbounds.nameOf(inbound.index, inbound.generation) ?? null,
    outbound: directory.outbounds.nameOf(outbound.index, outbound.generation) ?? null,
    rule: directory.rules.nameOf(rule, 0) ?? null,
    snapshot: rule < 0 ? null : connection.snapshot,
    target: targetOf(tables, connection),
    state: STATES[connection.state] ?? 'ended',
    bytes_up: connection.bytesUp,
    bytes_down: connection.bytesDown,
    started_at: new Date(Date.now() - ageMs).toISOString(),
    age_ms: Math.round(ageMs),
  };
}

function targetOf(tables: Tables, { targetIndex, targetPort, target, state }: Connection): string | null {
  if (targetIndex >= 0) return writtenTarget(tables, targetIndex);
  // While a name that the client chose is looked up, the words are those of whoever had the slot before.
  return targetPort === 0 || state === SLOT_WAITING ? null : endpoint(target, targetPort);
}

function writtenTarget({ targets }: Tables, index: number): string {
  const port = targets.port(index);
  if (targets.kind(index) === TARGET_IP) {
    return endpoint(
      Int32Array.from({ length: 4 }, (_, word) => targets.address(index, word)),
      port,
    );
  }
  const words = Int32Array.from({ length: TARGET_TEXT_WORDS }, (_, word) => targets.text(index, word));
  const text = Buffer.from(words.buffer, 0, targets.textBytes(index)).toString('utf8');
  return targets.kind(index) === TARGET_UNIX ? `unix:${text}` : `${text}:${port}`;
}

function endpoint(words: Int32Array, port: number): string {
  const address = formatIp(words);
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
