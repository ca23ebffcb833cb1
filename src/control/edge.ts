// The configuration in force: listeners, tables and plan as one thing that is replaced as a whole, or not at all.
//
//   1 check the room, open new sockets              may fail; changes nothing then
//   2 write new rows and targets                    nothing leads there yet
//   3 plan: new inbounds, outbounds old and new     workers know all that a row may name, before or after 4
//   4 rewrite rows, users, names; retire what goes  new connections follow the new rows
//   5 plan: without removed outbounds, new `final`  workers end the connections of what was retired
//   6 close sockets, free indexes
//
// 3 and 5 wait until all workers have applied the plan. So a connection never meets a row that leads where its worker's
// plan has nothing, nor an inbound that leads to a row that is gone: only what belongs to something removed ends.
//
// Sockets whose address is still wanted are kept. Those that are not are closed last: until a worker has applied the new
// plan it still accepts from them, and a descriptor's number must not become another file under its feet.
// Control thread only; one `apply` at a time (reload.ts sees to it).

import { isDeepStrictEqual } from 'node:util';
import type { Configuration, Inbound, IpWords } from '../config/configuration.ts';
import type { Plan } from '../layout/messages.ts';
import type { Tables } from '../layout/tables.ts';
import type { SocketAddress } from '../sys/socket-address.ts';
import type { Sys } from '../sys/sys.ts';
import { EADDRINUSE } from '../sys/constants.ts';
import { requireDescriptors, setBudget } from './descriptor-budget.ts';
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

/** An address where this process listens itself. */
export interface OwnEndpoint {
  readonly words: IpWords;
  readonly port: number;
}

export interface Edge {
  /** @throws SluiceError listen_failed or table_full: nothing has changed then; plan_not_applied: it has, but see there */
  apply(configuration: Configuration): Promise<Changes>;
  /** From now on, and until the end, no client may choose it as a target. Resolves when all workers know. */
  addOwnListener(endpoint: OwnEndpoint): Promise<void>;
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
  /** Not the inbounds'. A changed `admin.listen` waits for a restart, so a reload changes nothing here. */
  const furtherListeners: OwnEndpoint[] = [];

  const lookups: PlanLookups = {
    listener: (tag) => listeners.get(tag) as Listener,
    serviceRow: (name) => identities.serviceRow(name),
    targetIndex: (target) => targets.indexOf(target),
    furtherListeners,
  };

  /** Hands out a new version of the plan as it is now. @returns why not all workers have applied it */
  async function handOut(): Promise<SluiceError | undefined> {
    version++;
    try {
      await init.distribute(version);
      return undefined;
    } catch (error) {
      if (error instanceof SluiceError) return error;
      throw error;
    }
  }

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
      requireDescriptors(tables, init.descriptorLimit, plannedInbounds(configuration).length * workers);
      const sockets = openWanted(configuration);

      const outbounds = planner.assignOutbounds(configuration);
      const outboundIndex = (tag: string) => planner.outboundIndex(tag);
      targets.add(wantedTargets);
      identities.addServices(configuration, outboundIndex);
      const inbounds = planner.assignInbounds(configuration);
      listeners = sockets.wanted;
      unwanted = sockets.unwanted;
      if (inForce === undefined) furtherListeners.push(...adminEndpoints(configuration));
      inForce = configuration;
      adjustBudget();
      // A worker that does not answer takes no connections either; when it does, both plans lie in its mailbox.
      await handOut();

      const identityChanges = identities.apply(configuration, outboundIndex);
      targets.keepOnly(wantedTargets);
      planner.complete(configuration);
      // Where a worker did not apply it, what it may still use stays: the next change that all apply frees it.
      const failure = await handOut();
      if (failure !== undefined) throw failure;
      for (const listener of unwanted) closeListener(sys, listener);
      unwanted = [];
      planner.settle();
      identities.settle();
      targets.settle();
      adjustBudget();
      return { inbounds, outbounds, identities: identityChanges };
    },

    async addOwnListener(endpoint) {
      if (furtherListeners.some((known) => isDeepStrictEqual(known, endpoint))) return;
      furtherListeners.push(endpoint);
      const failure = await handOut();
      if (failure !== undefined) throw failure;
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

/** Where the admin API is about to listen, as far as that is known before it does. */
function adminEndpoints({ admin: { listen } }: Configuration): OwnEndpoint[] {
  return listen === undefined || listen.port === 0 ? [] : [{ words: listen.words, port: listen.port }];
}
