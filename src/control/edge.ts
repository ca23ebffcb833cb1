// The configuration in force: listeners, tables and plan as one thing that is replaced as a whole, or not at all.
//
//   1 check the room        2 open new sockets        3 write tables, hand out the plan        4 close, free
//   └───────── may fail, changes nothing ─────────┘   └── cannot be refused ──┘   └─ when all workers have applied ─┘
//
// Sockets whose address is still wanted are kept. Those that are not are closed last: until a worker has applied the new
// plan it still accepts from them, and a descriptor's number must not become another file under its feet.
// Control thread only; one `apply` at a time (reload.ts sees to it).

import type { Configuration, Inbound } from '../config/configuration.ts';
import type { Plan } from '../layout/messages.ts';
import type { Tables } from '../layout/tables.ts';
import type { SocketAddress } from '../sys/socket-address.ts';
import type { Sys } from '../sys/sys.ts';
import { EADDRINUSE } from '../sys/constants.ts';
import { setBudget } from './descriptor-budget.ts';
import type { DescriptorBudget } from './descriptor-budget.ts';
import { createIdentities } from './identities.ts';
import type { Identities, IdentityChanges } from './identities.ts';
import { closeListener, listenerKey, listenRefusal, openListener } from './listeners.ts';
import type { Listener } from './listeners.ts';
import { createPlanner, plannedInbounds } from './plan.ts';
import type { PlanLookups, TagChanges } from './plan.ts';
import { createTargets } from './targets.ts';
import { SluiceError } from './errors.ts';

export interface Changes {
  readonly inbounds: TagChanges;
  readonly outbounds: TagChanges;
  readonly identities: IdentityChanges;
}

export interface OpenInbound {
  readonly tag: string;
  readonly type: Inbound['type'];
  /** The address in force. */
  readonly listen: string;
}

export interface Edge {
  /** @throws SluiceError listen_failed or table_full: nothing has changed then; plan_not_applied: it has, but see there */
  apply(configuration: Configuration): Promise<Changes>;
  /** The plan in force for one worker. */
  planFor(worker: number): Plan;
  readonly version: number;
  readonly configuration: Configuration;
  readonly budget: DescriptorBudget;
  readonly identities: Identities;
  inbounds(): readonly OpenInbound[];
  /** Workers no longer accept from them. */
  closeListeners(): void;
}

export interface EdgeInit {
  readonly sys: Sys;
  readonly tables: Tables;
  readonly address: SocketAddress;
  readonly descriptorLimit: number;
  /** Hands the plan of this version to all workers; resolves when they have applied it. */
  readonly distribute: (version: number) => Promise<void>;
}

export function createEdge(init: EdgeInit): Edge {
  const { sys, tables, address } = init;
  const workers = tables.shared.limits.workers;
  const planner = createPlanner();
  const targets = createTargets(tables.targets, tables.shared.limits.targets);
  const identities = createIdentities(tables, targets);
  let inForce: Configuration | undefined;
  let version = 0;
  let budget = setBudget(tables, init.descriptorLimit, 0);
  /** By tag, as the configuration in force has them; and sockets that wait for workers to let go of them. */
  let listeners = new Map<string, Listener>();
  let unwanted: Listener[] = [];

  const lookups: PlanLookups = {
    listener: (tag) => listeners.get(tag) as Listener,
    serviceRow: (name) => identities.serviceRow(name),
    targetIndex: (target) => targets.indexOf(target),
    get furtherListeners() {
      const listen = inForce?.admin.listen;
      return listen === undefined ? [] : [{ words: listen.words, port: listen.port }];
    },
  };

  /** @throws SluiceError listen_failed, after closing what it opened */
  function openWanted(configuration: Configuration) {
    const open = [...new Set([...listeners.values(), ...unwanted])];
    const ownPorts = new Set(open.map((listener) => listener.port));
    const wanted = new Map<string, Listener>();
    const opened: Listener[] = [];
    try {
      for (const inbound of plannedInbounds(configuration)) {
        const key = listenerKey(inbound.listen, inbound.tag);
        if ([...wanted.values()].some((listener) => listener.key === key)) {
          throw listenRefusal(inbound.tag, inbound.listen.text, -EADDRINUSE);
        }
        let listener = open.find((one) => one.key === key);
        if (listener === undefined) {
          listener = openListener(sys, address, inbound, workers, ownPorts);
          opened.push(listener);
        }
        wanted.set(inbound.tag, listener);
      }
    } catch (error) {
      for (const listener of opened) closeListener(sys, listener);
      throw error;
    }
    const kept = new Set(wanted.values());
    return { wanted, unwanted: open.filter((listener) => !kept.has(listener)) };
  }

  function adjustBudget(): void {
    const fds = [...listeners.values(), ...unwanted].reduce((sum, listener) => sum + listener.fds.length, 0);
    budget = setBudget(tables, init.descriptorLimit, fds);
  }

  return {
    get version() {
      return version;
    },
    get configuration() {
      if (inForce === undefined) throw new RangeError('nothing is in force yet');
      return inForce;
    },
    get budget() {
      return budget;
    },
    identities,

    async apply(configuration) {
      planner.check(configuration);
      identities.check(configuration);
      const wantedTargets = [...configuration.services, ...plannedInbounds(configuration)].flatMap(
        ({ target }) => target ?? [],
      );
      const newTargets = new Set(
        wantedTargets.filter((target) => !targets.has(target)).map((target) => target.text),
      );
      if (newTargets.size > targets.room) {
        throw new SluiceError('table_full', `${newTargets.size} new targets do not fit`, {
          table: 'targets',
          wanted: newTargets.size,
          room: targets.room,
        });
      }
      const sockets = openWanted(configuration);

      const outbounds = planner.assignOutbounds(configuration);
      targets.add(wantedTargets);
      const identityChanges = identities.apply(configuration, (tag) => planner.outboundIndex(tag));
      targets.keepOnly(wantedTargets);
      const inbounds = planner.assignInbounds(configuration);
      listeners = sockets.wanted;
      unwanted = sockets.unwanted;
      inForce = configuration;
      version++;
      adjustBudget();
      const changes = { inbounds, outbounds, identities: identityChanges };

      // Where a worker did not apply it, what it may still use stays: the next change that all apply frees it.
      await init.distribute(version);
      for (const listener of unwanted) closeListener(sys, listener);
      unwanted = [];
      planner.settle();
      identities.settle();
      targets.settle();
      adjustBudget();
      return changes;
    },

    planFor: (worker) => planner.planFor(worker, inForce as Configuration, version, lookups),

    inbounds: () =>
      inForce === undefined
        ? []
        : plannedInbounds(inForce).flatMap(({ tag, type }) => {
            const listener = listeners.get(tag);
            return listener === undefined ? [] : [{ tag, type, listen: listener.text }];
          }),

    closeListeners() {
      for (const listener of [...listeners.values(), ...unwanted]) closeListener(sys, listener);
      listeners = new Map();
      unwanted = [];
    },
  };
}
