// The configuration in force: listeners, tables and plan as one thing that is replaced as a whole, or not at all.
//
//   0 compile the rules, for the outbounds to come   may fail; changes nothing then, and everybody waits so long
//   1 check owners and room, open new sockets       so may this
//   2 write new rows and targets                    nothing leads there yet
//   3 plan: new inbounds, outbounds old and new     workers know all that a row may name, before or after 4
//   - publish the rules' snapshot                    they may name new outbounds; workers take it from one turn to the next
//   4 rewrite rows, users, names; retire what goes  new connections follow the new rows
//   5 plan: without removed outbounds, new `final`  nobody leads to what was retired
//   6 reconcile                                     connections that contradict what is in force end, and only they
//   7 close sockets, free indexes
//
// Connections that the change of rules concerns are judged again beside 4 to 7 (rule-rejudging.ts): nobody waits for that.
//
// 3, 5 and 6 wait until all workers are through. So a connection never meets a row that leads where its worker's plan has
// nothing, nor an inbound that leads to a row that is gone: only what belongs to something removed ends.
//
// A change of services alone, by the API, is 1, 2, 4, 6 and 7: workers read rows in place, no plan speaks of them. Only
// the first users of the API bring a plan with them: proxies that are open to all begin to ask (asking.ts). The rules in
// force stay what they are then: no mistake in a file is to keep a proxy open.
//
// Control thread only; one change at a time: `exclusively`.

import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Configuration, Inbound, IpWords, Service } from '../config/configuration.ts';
import type { Plan } from '../layout/messages.ts';
import { deriveNameKeys, hashText, RULE_INBOUND_KEY } from '../layout/name-hash.ts';
import type { ObjectName } from '../layout/name-book.ts';
import type { Tables } from '../layout/tables.ts';
import type { SocketAddress } from '../sys/socket-address.ts';
import type { Sys } from '../sys/sys.ts';
import { createAsking } from './asking.ts';
import { NOTHING_RECONCILED } from './contradiction.ts';
import type { Contradiction, Reconcile, Reconciled } from './contradiction.ts';
import { requireDescriptors, setBudget } from './descriptor-budget.ts';
import type { DescriptorBudget } from './descriptor-budget.ts';
import type { RowOwner } from './hot-set.ts';
import { createIdentities } from './identities.ts';
import type { Identities, IdentityChanges, PreparedChange } from './identities.ts';
import { createEdgeSockets } from './edge-sockets.ts';
import type { Listener } from './listeners.ts';
import { createPlanner, plannedInbounds } from './plan.ts';
import type { PlanLookups, Planner } from './plan.ts';
import type { Rules } from './rules.ts';
import type { RulesChanged } from './rules-control.ts';
import { createQuiescence } from './quiescence.ts';
import type { Quiescence } from './quiescence.ts';
import { createServiceRegistry } from './services.ts';
import type { ServiceRegistry, ServicesPlan } from './services.ts';
import { createSourcesArena } from './sources-arena.ts';
import type { TagChanges } from './tag-index.ts';
import { createTargets } from './targets.ts';
import { SluiceError } from './errors.ts';
import { createTurns } from './turns.ts';
import type { InTurn } from './turns.ts';

/** How long a change waits for workers that still turn: then it goes without the room that the last one left. */
const QUIET_WAIT_MS = 20;
/** How long a reload waits for the connections that its rules concern; they are judged all the same. */
const REJUDGE_WAIT_MS = 10_000;

export interface Changes {
  readonly inbounds: TagChanges;
  readonly outbounds: TagChanges;
  readonly identities: IdentityChanges;
  readonly reconciled: Reconciled;
  /** What became of the rules, once the connections that they concern were judged again; undefined: not yet. */
  readonly rules: RulesChanged | undefined;
}

/** What a change of services alone did. */
export interface ServicesApplied {
  readonly identities: IdentityChanges;
  readonly reconciled: Reconciled;
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
  /** Runs one change after the other: whatever is looked at in `job` is so until it is over. Rejects as `job` does. */
  readonly exclusively: InTurn;
  /**
   * Puts a plan of the registry in force. Within `exclusively`.
   * @param keep stores it: nothing has changed where that fails
   * @param inForce is called as soon as rows, users and names are
   * @throws SluiceError table_full, or what `keep` does: nothing has changed; reconcile_late, plan_not_applied: it has
   */
  applyServices(plan: ServicesPlan, keep: () => Promise<void>, inForce: () => void): Promise<ServicesApplied>;
  /** From now on, and until the end, no client may choose it as a target. Resolves when all workers know. */
  addOwnListener(endpoint: OwnEndpoint): Promise<void>;
  /** The plan in force for one worker. */
  planFor(worker: number): Plan;
  readonly version: number;
  readonly configuration: Configuration;
  readonly budget: DescriptorBudget;
  readonly identities: Identities;
  /** Inbounds and outbounds in force, also while nobody listens any more. */
  readonly objects: Pick<Planner, 'inbounds' | 'outbounds'>;
  readonly services: ServiceRegistry;
  readonly quiescence: Quiescence;
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
  /** Ends the connections that a change has made contradictory. Without it nobody is there who could have any. */
  readonly reconcile?: Reconcile;
  /** An inbound asks its clients who they are from now on, because the API has users. */
  readonly asks?: (tag: string) => void;
  /** Hears which names indexes were given, before connections can have them. */
  readonly names?: (names: readonly ObjectName[]) => void;
  /** Rules of the file, if anybody compiles them. */
  readonly rules?: Pick<Rules, 'prepareFile' | 'publishFile' | 'abandonFile'>;
  /** Rows of counters that may go to somebody else from now on; their connections have ended. */
  readonly settled?: (rows: readonly (readonly [row: number, owner: RowOwner])[]) => void;
}

/** A change that is in force. Of its rules, connections may still be judged again. */
interface Applied {
  readonly changes: Omit<Changes, 'rules'>;
  readonly rulesChanged: Promise<RulesChanged> | undefined;
}

export function createEdge(init: EdgeInit): Edge {
  const { sys, tables, address } = init;
  const workers = tables.shared.limits.workers;
  let newNames: ObjectName[] = [];
  const named = (name: ObjectName) => void newNames.push(name);
  const nameKeys = deriveNameKeys(tables.shared.hashKey);
  const planner = createPlanner(named);
  const targets = createTargets(tables.targets, tables.shared.limits.targets, named);
  const quiescence = createQuiescence(tables);
  const arena = createSourcesArena(tables.networks, quiescence);
  const identities = createIdentities(tables, targets, arena, named);
  const services = createServiceRegistry();
  const asking = createAsking(services, (tag) => init.asks?.(tag));
  let inForce: Configuration | undefined;
  let version = 0;
  let budget = setBudget(tables, init.descriptorLimit, 0);
  const sockets = createEdgeSockets(sys, address, workers);
  /** Published, and perhaps not reconciled by all workers yet. */
  let contradictions: Contradiction[] = [];
  /** A plan was handed out that not all workers have applied. */
  let isPlanPending = false;
  /** What changes of services alone have retired, and what refused ones had taken, waits for this. */
  let quiet: Promise<void> | undefined;
  const exclusively = createTurns();
  /** Not the inbounds'. A changed `admin.listen` waits for a restart, so a reload changes nothing here. */
  const furtherListeners: OwnEndpoint[] = [];

  const lookups: PlanLookups = {
    listener: (tag) => sockets.listener(tag) as Listener,
    serviceRow: (name) => identities.serviceRow(name),
    targetIndex: (target) => targets.indexOf(target),
    tagHash: (tag) => hashText(nameKeys, RULE_INBOUND_KEY, tag).subarray(0, 2),
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

  function adjustBudget(): void {
    budget = setBudget(tables, init.descriptorLimit, sockets.descriptors);
  }

  function tellNames(): void {
    if (newNames.length > 0) init.names?.(newNames);
    newNames = [];
  }

  /** -1: `final` decides. */
  function indexOfOutbound(tag: string | undefined): number {
    return tag === undefined ? -1 : planner.outboundIndex(tag);
  }

  async function reconcile(): Promise<Reconciled> {
    const walk = init.reconcile;
    const reconciled =
      contradictions.length === 0 || walk === undefined ? NOTHING_RECONCILED : await walk(contradictions);
    // Where a worker was late they are reconciled with the next change, and nothing is used again until then.
    contradictions = [];
    return reconciled;
  }

  function settle(): void {
    quiet = undefined;
    if (isPlanPending || contradictions.length > 0) return;
    planner.settle();
    const rows = identities.settle();
    init.settled?.(rows);
    targets.settle();
  }

  /** Before a change: frees what the one before retired, if no worker can be reading it; else it waits for the next one. */
  async function settleEarlier(): Promise<void> {
    if (quiet === undefined) return;
    const late = sleep(QUIET_WAIT_MS, 'late', { ref: false });
    if ((await Promise.race([quiet, late])) !== 'late') settle();
  }

  /** @throws SluiceError: nothing is taken then */
  async function prepareAll(configuration: Configuration, withRules: boolean) {
    planner.check(configuration);
    const rules = withRules
      ? await init.rules?.prepareFile(configuration, planner.foreseeOutbounds(configuration))
      : undefined;
    try {
      return { ...prepare(configuration), rules };
    } catch (error) {
      if (rules !== undefined) init.rules?.abandonFile(rules);
      throw error;
    }
  }

  /** Takes what the configuration needs. @throws SluiceError: nothing is taken then */
  function prepare(configuration: Configuration) {
    const plan = services.planFile(configuration, identities);
    const prepared = identities.prepare(plan.change);
    try {
      requireTargets(plannedInbounds(configuration));
      requireDescriptors(tables, init.descriptorLimit, plannedInbounds(configuration).length * workers);
      return { plan, prepared, opened: sockets.open(configuration) };
    } catch (error) {
      abandon(prepared);
      throw error;
    }
  }

  function abandon(prepared: PreparedChange): void {
    identities.abandon(prepared);
    quiet = quiescence.whenQuiescent();
  }

  function requireTargets(inbounds: readonly Inbound[]): void {
    const missing = inbounds.flatMap(({ target }) =>
      target === undefined || targets.has(target) ? [] : target.text,
    );
    const wanted = new Set(missing).size;
    if (wanted <= targets.room) return;
    const facts = { table: 'targets', wanted, room: targets.room };
    throw new SluiceError('table_full', `${wanted} new targets do not fit`, facts);
  }

  /** @param withRules else those in force stay, whatever the configuration says of them */
  async function applyNow(written: Configuration, withRules: boolean): Promise<Applied> {
    await settleEarlier();
    const configuration = asking.applied(written);
    const { plan, prepared, opened, rules } = await prepareAll(configuration, withRules);
    const before = inForce === undefined ? [] : plannedInbounds(inForce);
    const outbounds = planner.assignOutbounds(configuration);
    for (const { target } of plannedInbounds(configuration)) targets.hold(target);
    const finalMovesTo = planner.outboundIndex(configuration.final);
    const isFinalMoving = planner.final !== finalMovesTo;
    const outboundOf = ({ outbound }: Service) =>
      outbound === undefined && isFinalMoving ? finalMovesTo : indexOfOutbound(outbound);
    identities.enter(prepared, outboundOf);
    const inbounds = planner.assignInbounds(configuration);
    tellNames();
    sockets.take(opened);
    if (inForce === undefined) furtherListeners.push(...adminEndpoints(configuration));
    inForce = configuration;
    adjustBudget();
    // A worker that does not answer takes no connections either; when it does, both plans lie in its mailbox.
    await handOut();
    asking.tell(written);
    const rulesChanged = rules === undefined ? undefined : init.rules?.publishFile(rules);

    const identityChanges = commit(plan, prepared, outboundOf);
    if (isFinalMoving) identities.moveFinal(finalMovesTo);
    for (const { target } of before) targets.release(target);
    contradictions = contradictions.concat(planner.leaving());
    planner.complete(configuration);
    isPlanPending = true;
    // Where a worker did not apply it, what it may still use stays: the next change that all apply frees it.
    const failure = await handOut();
    if (failure !== undefined) throw failure;
    isPlanPending = false;
    const reconciled = await reconcile();
    sockets.closeUnwanted();
    settle();
    adjustBudget();
    return { changes: { inbounds, outbounds, identities: identityChanges, reconciled }, rulesChanged };
  }

  /** After rows were rewritten, and no plan. */
  async function reconcileServices(): Promise<Reconciled> {
    const isWalked = contradictions.length > 0 && init.reconcile !== undefined;
    const reconciled = await reconcile();
    // Whoever has walked lists has begun a turn since.
    if (isWalked) settle();
    else quiet = quiescence.whenQuiescent();
    return reconciled;
  }

  function commit(plan: ServicesPlan, prepared: PreparedChange, outboundOf: (service: Service) => number) {
    const committed = identities.commit(prepared, outboundOf);
    tellNames();
    plan.commit();
    contradictions = contradictions.concat(committed.contradictions);
    return committed.changes;
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
    objects: planner,
    services,
    quiescence,
    exclusively,
    async apply(configuration) {
      const { changes, rulesChanged } = await exclusively(() => applyNow(configuration, true));
      // A worker that hangs keeps its connections from being judged; whoever reloads is not to hang with it.
      const late = sleep(REJUDGE_WAIT_MS, undefined, { ref: false });
      return { ...changes, rules: await Promise.race([rulesChanged, late]) };
    },

    async applyServices(plan, keep, hear) {
      await settleEarlier();
      const prepared = identities.prepare(plan.change);
      try {
        await keep();
      } catch (error) {
        abandon(prepared);
        throw error;
      }
      const outboundOf = (service: Service) => indexOfOutbound(service.outbound);
      identities.enter(prepared, outboundOf);
      tellNames();
      const changes = commit(plan, prepared, outboundOf);
      hear();
      if (inForce === undefined || !asking.isNeededFor(plan, inForce)) {
        return { identities: changes, reconciled: await reconcileServices() };
      }
      // Before anything else: until then the proxy is open to everybody, and nobody who is late may delay it.
      const further = await applyNow(inForce, false).catch(async (error: unknown) => {
        await reconcileServices().catch(() => {});
        throw error;
      });
      return { identities: changes, reconciled: further.changes.reconciled };
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
            const listener = sockets.listener(tag);
            return listener === undefined ? [] : [{ tag, type, listen: listener.text }];
          }),

    closeListeners: () => sockets.closeAll(),
  };
}

/** Where the admin API is about to listen, as far as that is known before it does. */
function adminEndpoints({ admin: { listen } }: Configuration): OwnEndpoint[] {
  return listen === undefined || listen.port === 0 ? [] : [{ words: listen.words, port: listen.port }];
}
