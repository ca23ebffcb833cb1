// What a service may do, as the words of its row. Part of identities.ts, which says in which order things are written.
// Control thread only: it is the table's single writer.

import { isDeepStrictEqual } from 'node:util';
import type { Service } from '../config/configuration.ts';
import { SERVICE_ENABLED } from '../layout/service.ts';
import type { ServiceTable } from '../layout/service.ts';

/** Where a row leads: indexes that its definition only has by name. */
export interface PolicyReferences {
  /** -1: `final` decides. */
  readonly outbound: number;
  /** -1: none. */
  readonly target: number;
  /** Start of its block of networks; 0: every source. */
  readonly sources: number;
}

/** Policy words of a row, whether it is new or in use: each word stands for itself. */
export function writePolicy(
  services: ServiceTable,
  row: number,
  service: Service,
  { outbound, target, sources }: PolicyReferences,
): void {
  services.setFlags(row, service.enabled ? SERVICE_ENABLED : 0);
  services.setOutbound(row, outbound);
  services.setTarget(row, target);
  services.setSources(row, sources);
  services.setPrefixBits4(row, 0);
  services.setPrefixBits6(row, service.devices?.ipv6PrefixBits ?? 0);
}

/** Whether an operator would say that the service's policy changed: all but who belongs to it. */
export function policyDiffers(before: Service, after: Service): boolean {
  if (before === after) return false;
  const policy = ({ users: _users, serverNames: _serverNames, ...rest }: Service) => rest;
  return !isDeepStrictEqual(policy(before), policy(after));
}
