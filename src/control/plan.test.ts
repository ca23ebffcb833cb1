import { describe, expect, it } from 'vitest';
import { checkConfiguration } from '../config/check.ts';
import type { Configuration } from '../config/configuration.ts';
import {
  INBOUND_FORWARD,
  INBOUND_SOCKS5,
  OUTBOUND_DIRECT,
  OUTBOUND_UNAVAILABLE,
} from '../layout/messages.ts';
import type { Listener } from './listeners.ts';
import { createPlanner } from './plan.ts';
import type { PlanLookups } from './plan.ts';

function configured(text: string): Configuration {
  const { configuration, mistakes } = checkConfiguration(text, '/tmp/edge.yaml');
  if (configuration === undefined) throw new Error(JSON.stringify(mistakes));
  return configuration;
}

const listener: Listener = {
  key: 'k',
  fds: [10, 11],
  text: '127.0.0.1:1',
  words: [0, 0, 0xffff, 0x7f000001],
  port: 1,
  unix: undefined,
};
const lookups: PlanLookups = {
  listener: () => listener,
  serviceRow: (name) => (name === 'pg' ? 5 : 0),
  targetIndex: (target) => (target === undefined ? -1 : 9),
  tagHash: () => new Int32Array(2),
  furtherListeners: [{ words: [0, 0, 0, 1], port: 9090 }],
};

function planned(planner: ReturnType<typeof createPlanner>, configuration: Configuration, worker = 0) {
  planner.check(configuration);
  const outbounds = planner.assignOutbounds(configuration);
  const inbounds = planner.assignInbounds(configuration);
  planner.complete(configuration);
  return { inbounds, outbounds, plan: planner.planFor(worker, configuration, 1, lookups) };
}

describe('plan', () => {
  it('says all that a worker needs of inbounds and outbounds', () => {
    const configuration = configured(`
inbounds:
  - { tag: s, type: socks5, listen: 127.0.0.1:1 }
  - { tag: f, type: forward, listen: 127.0.0.1:2, service: pg, target: 10.0.0.5:5432, proxy_protocol: v2, accept_proxy_protocol: [10.0.0.0/8] }
  - { tag: d, type: forward, network: udp, listen: 127.0.0.1:3, service: pg, target: 10.0.0.5:53 }
outbounds:
  - { tag: out, type: direct, bind: [127.0.0.2], fwmark: 3, allow_destinations: [127.0.0.0/8] }
  - { tag: later, type: socks5, server: 192.0.2.7:1080 }
services: [{ name: pg }, { name: alice, users: [{ username: a, password: b }] }]
final: out`);
    const { plan } = planned(createPlanner(), configuration, 1);
    expect(plan.inbounds).toHaveLength(2);
    expect(plan.inbounds[0]).toMatchObject({
      type: INBOUND_SOCKS5,
      listenFds: [11],
      service: -1,
      target: -1,
    });
    expect(plan.inbounds[1]).toMatchObject({ type: INBOUND_FORWARD, service: 5, target: 9, sendProxy: 2 });
    expect(plan.inbounds[1]?.acceptProxyFrom).toEqual(Int32Array.of(0, 0, 0xffff, 0x0a000000, 104));
    expect(plan.outbounds[0]).toMatchObject({ kind: OUTBOUND_DIRECT, fwmark: 3 });
    expect(plan.outbounds[0]?.bind).toEqual(Int32Array.of(0, 0, 0xffff, 0x7f000002));
    expect(plan.outbounds[1]?.kind).toBe(OUTBOUND_UNAVAILABLE);
    expect(plan.final).toBe(plan.outbounds[0]?.index);
    expect([...plan.ownListeners]).toEqual([
      0, 0, 0xffff, 0x7f000001, 1, 0, 0, 0xffff, 0x7f000001, 1, 0, 0, 0, 1, 9090,
    ]);
  });

  it('keeps index and generation of what lives, changed or not', () => {
    const planner = createPlanner();
    const text = (target: string) => `
inbounds:
  - { tag: a, type: socks5, listen: 127.0.0.1:1 }
  - { tag: b, type: forward, listen: 127.0.0.1:2, service: pg, target: ${target} }
services: [{ name: alice, users: [{ username: a, password: b }] }]`;
    const before = planned(planner, configured(text('10.0.0.1:1')));
    const after = planned(planner, configured(text('10.0.0.2:1')));
    expect(after.inbounds).toEqual({ added: [], changed: ['b'], removed: [] });
    const identity = ({ plan }: typeof before) =>
      plan.inbounds.map(({ index, generation }) => [index, generation]);
    expect(identity(after)).toEqual(identity(before));
  });

  it('gives a new object no index that a worker may still know, and never an old name', () => {
    const planner = createPlanner();
    const text = (tag: string, type: string) =>
      `inbounds: [{ tag: ${tag}, type: ${type}, listen: 127.0.0.1:1 }]\nservices: [{ name: alice, users: [{ username: a, password: b }] }]`;
    const name = (tag: string, type: string) => {
      const inbound = planned(planner, configured(text(tag, type))).plan.inbounds[0];
      return [inbound?.index, inbound?.generation];
    };
    expect(name('a', 'socks5')).toEqual([0, 1]);
    // Another type under the same tag is another object.
    expect(name('a', 'http')).toEqual([1, 1]);
    planner.settle();
    expect(name('c', 'http')).toEqual([0, 2]);
  });
});
