// From a configuration to the plan that workers hold: which inbounds and outbounds there are, under indexes that stay
// the same while an object lives. An inbound or outbound is known by its tag and type (messages.ts):
//
//   unchanged or changed definition → same index, same generation: its connections notice nothing
//   another type under the same tag → one object removed, another added
//   new                             → an index that no worker's plan refers to any more, with another generation
//
// Control thread only. Building a plan writes nothing that a worker reads; applying it is edge.ts.

import { networkInterfaces } from 'node:os';
import type {
  Configuration,
  DirectOutbound,
  Inbound,
  InboundType,
  IpVersionPreference,
  Outbound,
} from '../config/configuration.ts';
import { parseIp } from '../layout/ip-address.ts';
import {
  INBOUND_FORWARD,
  INBOUND_HTTP,
  INBOUND_SNI,
  INBOUND_SOCKS5,
  ONLY_IPV4,
  ONLY_IPV6,
  OUTBOUND_DIRECT,
  OUTBOUND_UNAVAILABLE,
  PREFER_IPV4,
  PREFER_IPV6,
} from '../layout/messages.ts';
import type { InboundDefinition, OutboundDefinition, Plan } from '../layout/messages.ts';
import type { BoundObject } from '../layout/compiler-messages.ts';
import { LIST_INBOUND, LIST_OUTBOUND } from '../layout/lists.ts';
import type { ObjectName } from '../layout/name-book.ts';
import { compileNetworks } from '../layout/network-set.ts';
import type { Contradiction } from './contradiction.ts';
import type { Names } from './directory.ts';
import { SluiceError } from './errors.ts';
import type { Listener } from './listeners.ts';
import { createTagIndex } from './tag-index.ts';
import type { TagChanges, TagEntry } from './tag-index.ts';

/** Where the parts of an inbound are found that are no part of the plan itself. */
export interface PlanLookups {
  readonly listener: (tag: string) => Listener;
  readonly serviceRow: (name: string) => number;
  readonly targetIndex: (target: Inbound['target']) => number;
  /** Keyed hash by which rules know the inbound: two words. */
  readonly tagHash: (tag: string) => Int32Array;
  /** Addresses of our own that are no inbound's: the admin API's. */
  readonly furtherListeners: readonly Pick<Listener, 'words' | 'port'>[];
}

/** UDP is checked, warned of, and not relayed by this build: workers hear nothing of it. */
export function plannedInbounds(configuration: Configuration): readonly Inbound[] {
  return configuration.inbounds.filter((inbound) => inbound.network === 'tcp');
}

export interface Planner {
  /** What is assigned now, whether or not anybody listens for it. */
  readonly inbounds: Names;
  readonly outbounds: Names;
  /** @throws SluiceError where there is no room for it; changes nothing */
  check(configuration: Configuration): void;
  /** Gives the outbounds their indexes: services refer to them. Those that are removed stay in the plan until `complete`. */
  assignOutbounds(configuration: Configuration): TagChanges;
  /** What `assignOutbounds` is going to give them: rules are compiled for it before anything changes. */
  foreseeOutbounds(configuration: Configuration): BoundObject[];
  outboundIndex(tag: string): number;
  /** Index of the outbound that decides where nothing else does; -1 before there is one. Another one with `complete`. */
  readonly final: number;
  /** The lists of what is removed, until `complete`. */
  leaving(): Contradiction[];
  assignInbounds(configuration: Configuration): TagChanges;
  /** The plan for one worker: the same for all but for the listening descriptors. Both kinds are assigned. */
  planFor(worker: number, configuration: Configuration, version: number, lookups: PlanLookups): Plan;
  /** No row names a removed outbound any more: plans from now on are without them, and `final` is the new one. */
  complete(configuration: Configuration): void;
  settle(): void;
}

/** @param named hears of each object that is given an index */
export function createPlanner(named: (name: ObjectName) => void = () => {}): Planner {
  const inboundTags = createTagIndex<Inbound>((one) => named({ kind: 'inbound', ...one }));
  const outboundTags = createTagIndex<Outbound>((one) => named({ kind: 'outbound', ...one }));
  /** Index of the outbound in force; -1 before there is one. */
  let final = -1;

  return {
    inbounds: inboundTags.names,
    outbounds: outboundTags.names,
    check(configuration) {
      requireRoom('inbounds', inboundTags.missing(plannedInbounds(configuration)), inboundTags.room);
      requireRoom('outbounds', outboundTags.missing(configuration.outbounds), outboundTags.room);
    },
    assignOutbounds(configuration) {
      const changes = outboundTags.assign(configuration.outbounds);
      if (final < 0) final = outboundTags.entry(configuration.final).index;
      return changes;
    },
    foreseeOutbounds: (configuration) => outboundTags.foresee(configuration.outbounds),
    outboundIndex: (tag) => outboundTags.entry(tag).index,
    get final() {
      return final;
    },
    leaving: () => [
      ...inboundTags.leaving.map(({ index }) => ({ list: LIST_INBOUND, key: index })),
      ...outboundTags.leaving.map(({ index }) => ({ list: LIST_OUTBOUND, key: index })),
    ],
    assignInbounds: (configuration) => inboundTags.assign(plannedInbounds(configuration)),
    planFor(worker, configuration, version, lookups) {
      const { timeouts } = configuration;
      const inbounds = plannedInbounds(configuration);
      return {
        version,
        inbounds: inbounds.map((inbound) =>
          inboundDefinition(inbound, inboundTags.entry(inbound.tag), worker, lookups),
        ),
        outbounds: [
          ...configuration.outbounds.map((outbound) => outboundTags.entry(outbound.tag)),
          ...outboundTags.leaving,
        ].map(outboundDefinition),
        final,
        handshakeMs: timeouts.handshakeMs,
        connectMs: timeouts.connectMs,
        idleMs: timeouts.idleMs,
        halfCloseMs: timeouts.halfCloseMs,
        ownListeners: ownListeners([
          ...inbounds.map((inbound) => lookups.listener(inbound.tag)),
          ...lookups.furtherListeners,
        ]),
        localAddresses: localAddresses(),
      };
    },
    complete(configuration) {
      inboundTags.dropLeaving();
      outboundTags.dropLeaving();
      final = outboundTags.entry(configuration.final).index;
    },
    settle() {
      inboundTags.settle();
      outboundTags.settle();
    },
  };
}

const INBOUND_TYPES: Readonly<Record<InboundType, number>> = {
  forward: INBOUND_FORWARD,
  socks5: INBOUND_SOCKS5,
  http: INBOUND_HTTP,
  sni: INBOUND_SNI,
};

function inboundDefinition(
  inbound: Inbound,
  entry: TagEntry<Inbound>,
  worker: number,
  lookups: PlanLookups,
): InboundDefinition {
  return {
    index: entry.index,
    generation: entry.generation,
    type: INBOUND_TYPES[inbound.type],
    tagHash: lookups.tagHash(inbound.tag),
    listenFds: [lookups.listener(inbound.tag).fds[worker] as number],
    service: inbound.service === undefined ? -1 : lookups.serviceRow(inbound.service),
    target: lookups.targetIndex(inbound.target),
    sendProxy: inbound.proxyProtocol === undefined ? 0 : inbound.proxyProtocol === 'v1' ? 1 : 2,
    acceptProxyFrom: networks(inbound.acceptProxyProtocol),
  };
}

const IP_VERSIONS: Readonly<Record<IpVersionPreference, number>> = {
  prefer6: PREFER_IPV6,
  prefer4: PREFER_IPV4,
  only6: ONLY_IPV6,
  only4: ONLY_IPV4,
};

/** What `direct` does where nothing is written; the rest of a definition that cannot be carried out. */
const UNAVAILABLE: Omit<OutboundDefinition, 'index' | 'generation'> = {
  kind: OUTBOUND_UNAVAILABLE,
  allowDestinations: null,
  bind: new Int32Array(0),
  interface: '',
  fwmark: 0,
  keepaliveIdleS: 0,
  keepaliveIntervalS: 0,
  keepaliveCount: 0,
  userTimeoutMs: 0,
  congestion: '',
  ipVersion: PREFER_IPV6,
};

function outboundDefinition({ index, generation, definition }: TagEntry<Outbound>): OutboundDefinition {
  return definition.type === 'direct'
    ? { index, generation, ...directDefinition(definition) }
    : { index, generation, ...UNAVAILABLE };
}

function directDefinition(outbound: DirectOutbound): Omit<OutboundDefinition, 'index' | 'generation'> {
  return {
    kind: OUTBOUND_DIRECT,
    allowDestinations: networks(outbound.allowDestinations),
    bind: Int32Array.from(outbound.bind.flatMap((address) => address.words)),
    interface: outbound.interfaceName ?? '',
    fwmark: outbound.fwmark ?? 0,
    keepaliveIdleS: outbound.keepalive?.idleSeconds ?? 0,
    keepaliveIntervalS: outbound.keepalive?.intervalSeconds ?? 0,
    keepaliveCount: outbound.keepalive?.count ?? 0,
    userTimeoutMs: outbound.tcpUserTimeoutMs ?? 0,
    congestion: outbound.congestion ?? '',
    ipVersion: IP_VERSIONS[outbound.ipVersion],
  };
}

function networks(prefixes: readonly string[]): Int32Array | null {
  return prefixes.length === 0 ? null : compileNetworks(prefixes);
}

/** Five words each: address and port. Unix paths cannot be chosen by clients at all. */
function ownListeners(listeners: readonly Pick<Listener, 'words' | 'port'>[]): Int32Array {
  return Int32Array.from(
    listeners.flatMap(({ words, port }) => (words === undefined ? [] : [...words, port])),
  );
}

/** Four words each. Read anew for each plan: interfaces come and go. */
export function localAddresses(): Int32Array {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return Int32Array.from(
    addresses.flatMap(({ address }) => [...(parseIp(address.replace(/%.*$/, '')) ?? [])]),
  );
}

function requireRoom(table: string, wanted: number, room: number): void {
  if (wanted <= room) return;
  throw new SluiceError('table_full', `${wanted} new ${table} do not fit: there is room for ${room}`, {
    table,
    wanted,
    room,
  });
}
