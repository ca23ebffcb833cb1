// A service as the API shows it: in the words and units of the configuration, every default filled in, without passwords;
// and beside it what only a running daemon knows. Control thread.

import { type Static, Type } from 'typebox';
import type { Devices } from '../config/configuration.ts';
import type { Reconciled } from '../control/contradiction.ts';
import { shownReconciled } from '../control/reload.ts';
import type { ServiceEntry } from '../control/services.ts';
import type { Usage } from '../control/usage-book.ts';
import { LIST_SERVICE } from '../layout/lists.ts';
import { formatDuration, formatEventRate, formatRate } from '../policy/units.ts';
import type { ApiContext } from './context.ts';
import { reconciledSchema } from './reload.ts';
import { mistakeSchema } from './validation.ts';

const Count = Type.Integer({ minimum: 0 });
const Text = Type.String();

function orNull<T extends Type.TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

const usageSchema = Type.Object(
  {
    bytes_up: Count,
    bytes_down: Count,
    connections: Type.Integer({ minimum: 0, description: 'all that there ever were' }),
    refused: Type.Record(Text, Count, { description: 'by reason' }),
  },
  { description: 'over restarts; forgotten thirty days after a service has gone' },
);

const fields = {
  name: Text,
  owner: Type.String({ description: 'file, api' }),
  implicit: Type.Boolean({ description: 'it is there because an inbound names it' }),
  enabled: Type.Boolean(),
  revision: Type.Integer({ minimum: 1, description: 'grows with every change; the ETag' }),
  users: Type.Array(Type.Object({ username: Text, usage: usageSchema })),
  server_names: Type.Array(Text),
  target: orNull(Text),
  outbound: orNull(Text),
  sources: Type.Array(Text, { description: 'empty: every source' }),
  gate: orNull(Type.Object({ rate: Text, burst: Count })),
  rate: orNull(Type.Object({ up: orNull(Text), down: orNull(Text) })),
  devices: orNull(
    Type.Object({
      limit: Count,
      per: Text,
      ipv6_prefix: Count,
      linger: Text,
      grace: Text,
      when_full: Text,
      check: Text,
      on_failure: Text,
    }),
  ),
  connections: Type.Integer({ minimum: 0, description: 'live now' }),
  online: Type.Boolean({ description: 'it has connections' }),
  usage: usageSchema,
};

export const serviceAnswerSchema = Type.Object(fields, { title: 'Service' });
export type ServiceAnswer = Static<typeof serviceAnswerSchema>;

const effect = {
  effective_us: Type.Integer({
    description: 'microseconds from the request until it was in force, on all workers at once',
  }),
  reconciled: reconciledSchema,
  warnings: Type.Array(mistakeSchema, { description: 'what is accepted and does not do what it seems to' }),
};

export const serviceChangedSchema = Type.Object({ ...fields, ...effect }, { title: 'Service changed' });
export const servicesChangedSchema = Type.Object(
  { added: Count, changed: Count, unchanged: Count, removed: Count, ...effect },
  { title: 'Services changed' },
);

type EffectContext = Pick<ApiContext, 'tables' | 'edge' | 'book'>;

export function describeService(context: EffectContext, entry: ServiceEntry): ServiceAnswer {
  const { definition, owner, revision } = entry;
  const { gate, rate, devices } = definition;
  const connections = liveConnections(context, definition.name);
  const usage = context.book?.of(definition.name);
  const { upBytesPerSecond: up, downBytesPerSecond: down } = rate;
  return {
    name: definition.name,
    owner,
    implicit: definition.implicit,
    enabled: definition.enabled,
    revision,
    users: definition.users.map(({ username }) => ({
      username,
      usage: describeUsage(usage?.users.get(username)),
    })),
    server_names: [...definition.serverNames],
    target: definition.target?.text ?? null,
    outbound: definition.outbound ?? null,
    sources: [...definition.sources],
    gate: gate === undefined ? null : { rate: formatEventRate(gate.eventsPerSecond), burst: gate.burst },
    rate:
      up === undefined && down === undefined
        ? null
        : {
            up: up === undefined ? null : formatRate(up),
            down: down === undefined ? null : formatRate(down),
          },
    devices: devices === undefined ? null : describeDevices(devices),
    connections,
    online: connections > 0,
    usage: describeUsage(usage),
  };
}

/** @param usage undefined: nothing was ever used */
function describeUsage(usage: Usage | undefined): Static<typeof usageSchema> {
  return {
    bytes_up: usage?.upBytes ?? 0,
    bytes_down: usage?.downBytes ?? 0,
    connections: usage?.connections ?? 0,
    refused: { ...usage?.refused },
  };
}

/** What a change took. */
export function describeEffect(change: {
  effectiveUs: number;
  reconciled: Reconciled;
  warnings: readonly object[];
}) {
  return {
    effective_us: change.effectiveUs,
    reconciled: shownReconciled(change.reconciled),
    warnings: [...change.warnings] as Static<typeof mistakeSchema>[],
  };
}

/** Over all workers; read from the heads of their lists. */
export function liveConnections({ tables, edge }: EffectContext, name: string): number {
  const row = edge.identities.services.find(name)?.index ?? -1;
  if (row < 0) return 0;
  return tables.lists.reduce((sum, heads) => sum + heads.count(LIST_SERVICE, row), 0);
}

function describeDevices(devices: Devices): NonNullable<ServiceAnswer['devices']> {
  return {
    limit: devices.limit,
    per: devices.per,
    ipv6_prefix: devices.ipv6PrefixBits,
    linger: formatDuration(devices.lingerMs),
    grace: formatDuration(devices.graceMs),
    when_full: devices.whenFull,
    // An address may carry a password.
    check: devices.check.replace(/\/\/[^/@]*@/, '//...@'),
    on_failure: devices.onFailure,
  };
}
