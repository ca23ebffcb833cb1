// Which proxies ask their clients who they are, once the API has users. An inbound with neither `service` nor `ask_users`
// is open while nobody has users (config/inbounds.ts). The file knows its own users only; those of the API are added here:
//
//   nobody has users ──first user of the API, or the store has one at start──► such inbounds ask
//
// There is no way back while the daemon runs: removing the last user, or a new name for an inbound, must not open a proxy
// to everybody. What is to be open says `service`. Control thread only.

import type { Configuration, Inbound } from '../config/configuration.ts';
import { DEFAULT_SERVICE } from '../config/inbounds.ts';
import type { ServiceRegistry, ServicesPlan } from './services.ts';

export interface Asking {
  /** The configuration as it is to be applied. */
  applied(configuration: Configuration): Configuration;
  /** Whether a plan brings users to a configuration in force whose inbounds do not ask for them yet. */
  isNeededFor(plan: ServicesPlan, inForce: Configuration | undefined): boolean;
}

/** @param begins hears of an inbound that asks from now on, though its definition does not say so */
export function createAsking(registry: ServiceRegistry, begins: (tag: string) => void): Asking {
  let hasUsers = false;
  let asking: ReadonlySet<string> = new Set();

  return {
    applied(configuration) {
      hasUsers ||= registry.hasApiUsers();
      const open = hasUsers ? configuration.inbounds.filter(isOpenByDefault) : [];
      if (open.length === 0) return configuration;
      const tags = new Set(open.map(({ tag }) => tag));
      for (const tag of tags) if (!asking.has(tag)) begins(tag);
      asking = tags;
      const inbounds = configuration.inbounds.map((inbound) =>
        tags.has(inbound.tag) ? { ...inbound, service: undefined } : inbound,
      );
      const isNamed = inbounds.some(({ service }) => service === DEFAULT_SERVICE);
      const services = configuration.services.filter(
        ({ name, implicit }) => isNamed || !implicit || name !== DEFAULT_SERVICE,
      );
      return { ...configuration, inbounds, services };
    },
    isNeededFor: ({ stored }, inForce) =>
      inForce?.inbounds.some(isOpenByDefault) === true &&
      stored.some(({ definition }) => definition.users.length > 0),
  };
}

function isOpenByDefault({ asksOnceThereAreUsers, service }: Inbound): boolean {
  return asksOnceThereAreUsers && service !== undefined;
}
