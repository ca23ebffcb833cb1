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
  /** It is in force, and was written so: tells which of its inbounds have begun to ask. */
  tell(written: Configuration): void;
  /** Whether inbounds in force do not ask yet, and have to with this plan. It is about to be in force. */
  isNeededFor(plan: ServicesPlan, inForce: Configuration | undefined): boolean;
}

/** @param begins hears of an inbound that asks from now on, though its definition does not say so */
export function createAsking(registry: ServiceRegistry, begins: (tag: string) => void): Asking {
  let hasUsers = false;
  let asking: ReadonlySet<string> = new Set();

  function tagsOf({ inbounds }: Configuration): ReadonlySet<string> {
    return new Set(hasUsers ? inbounds.filter(isOpenByDefault).map(({ tag }) => tag) : []);
  }

  return {
    applied(configuration) {
      hasUsers ||= registry.hasApiUsers();
      const tags = tagsOf(configuration);
      if (tags.size === 0) return configuration;
      const inbounds = configuration.inbounds.map((inbound) =>
        tags.has(inbound.tag) ? { ...inbound, service: undefined } : inbound,
      );
      const isNamed = inbounds.some(({ service }) => service === DEFAULT_SERVICE);
      const services = configuration.services.filter(
        ({ name, implicit }) => isNamed || !implicit || name !== DEFAULT_SERVICE,
      );
      return { ...configuration, inbounds, services };
    },
    tell(written) {
      const before = asking;
      asking = tagsOf(written);
      for (const tag of asking) if (!before.has(tag)) begins(tag);
    },
    isNeededFor({ stored }, inForce) {
      if (inForce?.inbounds.some(isOpenByDefault) !== true) return false;
      // Kept: where it fails, the next change of services tries again, whatever that one brings.
      hasUsers ||= stored.some(({ definition }) => definition.users.length > 0);
      return hasUsers;
    },
  };
}

function isOpenByDefault({ asksOnceThereAreUsers, service }: Inbound): boolean {
  return asksOnceThereAreUsers && service !== undefined;
}
