// The running daemon, composed: the kernel, shared tables, the control thread's parts, workers, the API.
//
//   start:   limit → tables → store → configuration applied (listeners open) → workers ready → API → READY
//   signals: SIGTERM and SIGINT end it (control/lifecycle.ts), SIGHUP reloads
//
// Whatever fails at start closes what was opened before it. Control thread (main).

import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { pino } from 'pino';
import type { ApiServer } from './api/server.ts';
import type { Configuration } from './config/configuration.ts';
import { formatMistakes } from './config/mistakes.ts';
import { raiseLimit } from './control/descriptor-budget.ts';
import { createDirectory } from './control/directory.ts';
import { NOTHING_RECONCILED } from './control/contradiction.ts';
import { createEdge } from './control/edge.ts';
import { SluiceError } from './control/errors.ts';
import { createExternalJudge } from './control/external-judge.ts';
import { createGovernance } from './control/governance.ts';
import type { Governance } from './control/governance.ts';
import { createKeeper } from './control/keeper-link.ts';
import { createLifecycle } from './control/lifecycle.ts';
import { createLookUps } from './control/look-ups.ts';
import { createNames } from './control/names.ts';
import type { Names } from './control/names.ts';
import { createNotify } from './control/notify.ts';
import { createPriority, niceOfCompiler } from './control/priority.ts';
import { createProcessLookup } from './control/process-lookup.ts';
import { createReloader, readConfiguration } from './control/reload.ts';
import { createRules } from './control/rules.ts';
import type { Rules } from './control/rules.ts';
import { createServiceChanges } from './control/service-changes.ts';
import { unaskedUsers } from './control/service-checks.ts';
import { readStoredRules } from './control/stored-rules.ts';
import { readStoredServices } from './control/stored-services.ts';
import { createSupervisor } from './control/supervisor.ts';
import type { Supervisor } from './control/supervisor.ts';
import { createVerifier } from './control/verifier.ts';
import type { Verifier } from './control/verifier.ts';
import type { ControlMessage, WorkerMessage } from './layout/messages.ts';
import { deriveNameKeys } from './layout/name-hash.ts';
import { STOPPED } from './layout/reasons.ts';
import { RULES_ARENA_WORDS } from './layout/rules.ts';
import { attachTables, createTables } from './layout/tables.ts';
import type { TableLimits } from './layout/tables.ts';
import { spawnCompiler, spawnKeeper, spawnWorker } from './spawn.ts';
import { createLibc } from './sys/libc/libc.ts';
import { createLogDestination } from './sys/log-destination.ts';
import type { LogDestination } from './sys/log-destination.ts';
import { SocketAddress } from './sys/socket-address.ts';

/** Room of the shared tables. Untouched records cost address space only, so it is ample. */
const PIPES_PER_WORKER = 1_024;
const SERVICES_MAX = 131_072;
const CREDENTIALS_MAX = 262_144;
const SERVER_NAMES_MAX = 262_144;
const TARGETS_MAX = 131_072;
/** 64 MiB of address space: three million prefixes. */
const NETWORK_WORDS = 2 ** 24;
/** Each worker has heads and rings for all of them. */
const SOURCES_MAX = 2 ** 21;
const RECEIPTS_PER_WORKER = 16_384;

const EXIT_OK = 0;
const EXIT_REFUSED = 1;
const EXIT_INTERNAL = 70;

export interface DaemonInit {
  readonly fileName: string;
  /** Of the program. */
  readonly version: string;
}

/** What outlives `start`. */
interface Ending {
  readonly end: (exitCode: number) => void;
  /** Workers first: a process whose threads sleep in the kernel cannot exit. */
  emergency: () => Promise<void>;
}

/** Runs until it is told to end. @returns the exit code */
export async function runDaemon({ fileName, version }: DaemonInit): Promise<number> {
  const destination = createLogDestination();
  const log = openLog(destination);
  let end: (exitCode: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  const ending: Ending = { end, emergency: async () => {} };
  const onFatal = (error: unknown) => {
    log.fatal({ event: 'fatal', err: error }, 'the control thread failed');
    void ending.emergency().finally(() => end(EXIT_INTERNAL));
  };
  process.on('uncaughtException', onFatal);
  process.on('unhandledRejection', onFatal);

  let exitCode: number;
  try {
    const { configuration, warnings } = await readConfiguration(fileName);
    log.level = configuration.log.level;
    for (const { path, line, message } of warnings) {
      log.warn({ event: 'configuration_warning', path, line }, message);
    }
    await start(configuration, version, log, destination, ending);
    exitCode = await ended;
  } catch (error) {
    await ending.emergency();
    exitCode = refuse(log, fileName, error);
  }
  await destination.drain();
  return exitCode;
}

function openLog(destination: LogDestination): pino.Logger {
  const options = {
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level: string) => ({ level }) },
  };
  return pino(options, destination);
}

/** At a terminal mistakes are listed as `sluice check` does, one a line. */
function refuse(log: pino.Logger, fileName: string, error: unknown): number {
  if (!(error instanceof SluiceError)) {
    log.fatal({ event: 'fatal', err: error }, 'the daemon cannot start');
    return EXIT_INTERNAL;
  }
  const { code, source, facts, message, cause }: SluiceError = error;
  if (process.stderr.isTTY && 'mistakes' in facts && 'fileName' in facts) {
    process.stderr.write(formatMistakes(facts.mistakes, fileName));
    return EXIT_REFUSED;
  }
  log.fatal({ event: 'start_refused', code, source, file: fileName, ...facts, err: cause }, message);
  return source === 'control' ? EXIT_INTERNAL : EXIT_REFUSED;
}

async function start(
  configuration: Configuration,
  version: string,
  log: pino.Logger,
  destination: LogDestination,
  ending: Ending,
): Promise<void> {
  const startedAtMs = Date.now();
  const sys = createLibc();
  const notify = createNotify(sys, process.env);
  const testFaults = process.env['SLUICE_TEST_FAULTS'] === '1';
  const descriptorLimit = raiseLimit(sys);
  const limits = tableLimits(configuration);
  const hashKey = randomKey();
  const tables = attachTables(createTables(limits, hashKey));
  let supervisor: Supervisor | undefined;
  let governance: Governance | undefined;
  let api: ApiServer | undefined;
  let rules: Rules | undefined;

  const { storePath, accessLog } = configuration;
  const keeper = createKeeper({ tables, storePath, accessLog, log, spawn: spawnKeeper });
  // Workers first: what they leave behind is still taken in.
  ending.emergency = async () => {
    await supervisor?.stop(STOPPED);
    await governance?.close();
    await rules?.close();
    await keeper.close();
  };
  const loaded = await keeper.start();
  const compilerNice = niceOfCompiler();
  rules = createRules({
    tables,
    log,
    storePath,
    stored: readStoredRules(loaded.rules, storePath),
    spawn: (known) => spawnCompiler({ arena: tables.shared.rules, hashKey, nice: compilerNice, ...known }),
    named: keeper.names,
    keep: (stored) => keeper.changeRules({ ...stored, rules: JSON.stringify(stored.rules) }),
    edge: () => edge,
    evictions: () => governance?.evictions,
    tell: (worker, message) => void supervisor?.tell(worker, message),
  });
  const edge = createEdge({
    rules,
    sys,
    tables,
    address: new SocketAddress(sys),
    descriptorLimit,
    names: keeper.names,
    // Before there are workers nobody has to be told.
    distribute: async (planVersion) => supervisor?.distribute(planVersion),
    reconcile: async (contradictions) =>
      governance === undefined ? NOTHING_RECONCILED : governance.evictions.reconcile(contradictions),
    settled: (rows) => governance?.hotSet.settle(rows),
    asks: (inbound) =>
      log.warn(
        { event: 'inbound_asks', inbound },
        `${inbound} asks its clients for a password, because the API has users; ` +
          'write `ask_users: true` to say so, or `service: default` to let in everybody',
      ),
  });
  const directory = createDirectory(edge, rules.names);
  const names = createNames();
  const verifier = createVerifier({
    credentials: tables.credentials,
    keys: deriveNameKeys(hashKey),
    hashOf: (credential) => edge.identities.hashOf(credential),
    decoyOf: (choice) => edge.identities.decoyOf(choice),
  });
  const { externalsOf } = rules;
  const lookUps = createLookUps({
    sys,
    tables,
    keys: deriveNameKeys(hashKey),
    directory,
    processes: createProcessLookup({ sys }),
    judge: createExternalJudge(),
    externalsOf,
  });
  const stored = readStoredServices(loaded.services, configuration);
  edge.services.load(stored, loaded.revisionHighest);
  await edge.apply(configuration);
  keeper.revision(edge.services.revisionHighest);
  const definitions = stored.map(({ definition }) => definition);
  const placeOf = (place: number) => [definitions[place]?.name ?? place];
  for (const { path, message } of unaskedUsers(edge.configuration, definitions, placeOf)) {
    log.warn({ event: 'users_unasked', path }, `the store has users of services, but ${message}`);
  }
  const { workers } = limits;
  log.info(
    { event: 'start', version, file: configuration.fileName, workers, descriptors: edge.budget },
    `sluice ${version} starting`,
  );

  const priority = createPriority();
  supervisor = createSupervisor({
    sys,
    tables,
    log,
    nice: priority.workers,
    spawn: spawnWorker,
    planFor: (worker) => edge.planFor(worker),
    serve(message, reply, worker) {
      if (message.kind === 'evicted') governance?.evictions.receive(worker, message);
      else if (message.kind === 'look_up') lookUps.serve(worker, message, reply);
      else serve(names, verifier, message, reply);
    },
    gone: (worker, isStopped) => governance?.evictions.workerGone(worker, isStopped),
    releaseSource: (entry) => governance?.releaseSource(entry),
    testFaults,
  });
  const { tell } = supervisor;
  governance = createGovernance({
    tables,
    directory,
    quiescence: edge.quiescence,
    log,
    tell,
    nowMs: sys.nowMs,
    keepUsage: keeper.usage,
    keepEviction: keeper.eviction,
    forgetUsage: keeper.forgetUsage,
    loaded,
  });
  void governance.forgetGone();
  const { evictions, hotSet, book } = governance;
  const lifecycle = createLifecycle({
    log,
    supervisor,
    drainMs: () => edge.configuration.timeouts.drainMs,
    closeListeners: () => edge.closeListeners(),
    announceEnd: () => notify.stopping(),
    closeRest: async () => {
      notify.close();
      await api?.close();
      await governance?.close();
      lookUps.close();
      await rules?.close();
      await keeper.close();
    },
    over: () => ending.end(EXIT_OK),
  });
  const statusLine = () => `${edge.inbounds().length} inbounds, ${workers} workers`;
  const reloader = createReloader({
    fileName: configuration.fileName,
    edge,
    log,
    isStopping: () => lifecycle.phase !== 'ready',
    before: () => notify.reloading(),
    after: (result) => {
      log.level = edge.configuration.log.level;
      keeper.configure(edge.configuration.accessLog);
      keeper.revision(edge.services.revisionHighest);
      if (lifecycle.phase !== 'ready') return;
      notify.ready(result.error === undefined ? statusLine() : 'the last reload was refused');
    },
  });
  process.on('SIGTERM', () => lifecycle.terminate());
  process.on('SIGINT', () => lifecycle.interrupt());
  process.on('SIGHUP', () => void reloader.reload('signal'));

  try {
    // The API's libraries load while the workers warm up.
    const loading = import('./api/server.ts');
    await supervisor.start();
    priority.stepBack();
    const { startApi } = await loading;
    const phase = () => lifecycle.phase;
    const parts = {
      tables,
      edge,
      directory,
      evictions,
      hotSet,
      book,
      keeper,
      supervisor,
      names,
      verifier,
      reloader,
      rules,
      lookUps,
      serviceChanges: createServiceChanges(edge, keeper, log),
    };
    const logDropped = () => destination.dropped;
    const context = { version, startedAtMs, phase, testFaults, logDropped, ...parts };
    api = await startApi(sys, configuration.admin, context, log);
    if (api.endpoint !== undefined) await edge.addOwnListener(api.endpoint);
  } catch (error) {
    await api?.close();
    await supervisor.stop();
    edge.closeListeners();
    throw error;
  }

  for (const { tag, type, listen } of edge.inbounds()) {
    log.info({ event: 'listening', inbound: tag, type, listen }, `${tag} (${type}) listens on ${listen}`);
  }
  const admin = { socket: configuration.admin.socketPath, listen: api.address ?? null };
  log.info({ event: 'ready', duration_ms: Date.now() - startedAtMs, admin }, 'ready');
  notify.ready(statusLine());
  const states = supervisor.states;
  notify.watch(() => states().every((state) => !state.stalled));
  if (process.stderr.isTTY)
    destination.write(`sluice is ready; try: sluice status --socket ${admin.socket}\n`);
  lifecycle.ready();
}

/** What workers ask of the control thread. */
function serve(
  names: Names,
  verifier: Verifier,
  message: WorkerMessage,
  reply: (answer: ControlMessage) => void,
): void {
  if (message.kind === 'resolve') {
    const { slot, generation, forRules, question } = message;
    names.resolve(message.name, message.ipVersion, message.source, (addresses, reason) => {
      reply({ kind: 'resolved', slot, generation, forRules, question, addresses, reason });
    });
  } else if (message.kind === 'verify') {
    const { slot, generation } = message;
    verifier.verify(message, (reason) => reply({ kind: 'verified', slot, generation, reason }));
  }
}

/** Of every keyed hash of this process: nobody outside can aim at a bucket. */
function randomKey(): Int32Array {
  const bytes = new Uint8Array(16);
  bytes.set(randomBytes(16));
  return new Int32Array(bytes.buffer);
}

function tableLimits(configuration: Configuration): TableLimits {
  const workers = configuration.workers === 'auto' ? availableParallelism() : configuration.workers;
  const slotsPerWorker = configuration.limits.connectionsPerWorker;
  return {
    workers,
    slotsPerWorker,
    pipesPerWorker: PIPES_PER_WORKER,
    services: SERVICES_MAX,
    credentials: CREDENTIALS_MAX,
    serverNames: SERVER_NAMES_MAX,
    targets: TARGETS_MAX,
    // Each connection may have one of its own, its address another; as many again may wait to be swept.
    sources: Math.min(SOURCES_MAX, 2 ** Math.ceil(Math.log2(workers * slotsPerWorker * 4))),
    networkWords: NETWORK_WORDS,
    ruleWords: RULES_ARENA_WORDS,
    receipts: RECEIPTS_PER_WORKER,
    isIndexed: process.env['SLUICE_BENCH_WITHOUT_INDEX'] !== '1',
  };
}
