// The running daemon, composed: the kernel, shared tables, the control thread's parts, workers, the API; and the order
// in which they start and end.
//
//   start:  limit → tables → configuration applied (listeners open) → workers ready → API → READY
//   SIGTERM: stop accepting → connections end, or timeouts.drain → workers stop → API → exit 0
//   again, or SIGINT: workers stop now → exit 0          SIGHUP: reload
//
// Whatever fails at start closes what was opened before it. Control thread (main).

import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import type { ApiServer } from './api/server.ts';
import type { ApiContext, DaemonPhase } from './api/context.ts';
import type { Configuration } from './config/configuration.ts';
import { formatMistakes } from './config/mistakes.ts';
import { createEdge } from './control/edge.ts';
import { raiseLimit } from './control/descriptor-budget.ts';
import { SluiceError } from './control/errors.ts';
import { createNames } from './control/names.ts';
import { createNotify } from './control/notify.ts';
import { createReloader, readConfiguration } from './control/reload.ts';
import { createSupervisor } from './control/supervisor.ts';
import type { Supervisor, WorkerStart } from './control/supervisor.ts';
import { createVerifier } from './control/verifier.ts';
import type { ControlMessage, WorkerMessage } from './layout/messages.ts';
import { deriveNameKeys } from './layout/name-hash.ts';
import { DRAINED, STOPPED } from './layout/reasons.ts';
import { attachTables, createTables } from './layout/tables.ts';
import type { TableLimits } from './layout/tables.ts';
import { createLibc } from './sys/libc/libc.ts';
import { SocketAddress } from './sys/socket-address.ts';

/** Room of the shared tables. Untouched records cost address space only, so it is ample. */
const PIPES_PER_WORKER = 1_024;
const SERVICES_MAX = 65_536;
const CREDENTIALS_MAX = 131_072;
const SERVER_NAMES_MAX = 131_072;
const TARGETS_MAX = 65_536;

const EXIT_OK = 0;
const EXIT_REFUSED = 1;
const EXIT_INTERNAL = 70;

export interface DaemonInit {
  readonly fileName: string;
  /** Of the program. */
  readonly version: string;
}

/** Runs until it is told to end. @returns the exit code */
export async function runDaemon({ fileName, version }: DaemonInit): Promise<number> {
  const log = pino(
    {
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
  let end: (code: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  let emergency: (error: unknown) => void = () => end(EXIT_INTERNAL);
  const onFatal = (error: unknown) => {
    log.fatal({ event: 'fatal', err: error }, 'the control thread failed');
    emergency(error);
  };
  process.on('uncaughtException', onFatal);
  process.on('unhandledRejection', onFatal);

  try {
    const { configuration, warnings } = await readConfiguration(fileName);
    log.level = configuration.log.level;
    for (const { path, line, message } of warnings) {
      log.warn({ event: 'configuration_warning', path, line }, message);
    }
    const daemon = await start(configuration, version, log, end);
    emergency = daemon.emergency;
  } catch (error) {
    return refuse(log, fileName, error);
  }
  return ended;
}

/** At a terminal mistakes are listed as `sluice check` does, one a line. */
function refuse(log: pino.Logger, fileName: string, error: unknown): number {
  if (!(error instanceof SluiceError)) {
    log.fatal({ event: 'fatal', err: error }, 'the daemon cannot start');
    return EXIT_INTERNAL;
  }
  const { code, source, facts, message, cause }: SluiceError = error;
  if (process.stderr.isTTY && 'mistakes' in facts) {
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
  end: (code: number) => void,
): Promise<{ emergency: () => void }> {
  const startedAtMs = Date.now();
  const sys = createLibc();
  const notify = createNotify(sys, process.env);
  const testFaults = process.env['SLUICE_TEST_FAULTS'] === '1';
  const descriptorLimit = raiseLimit(sys);
  const limits = tableLimits(configuration);
  const hashKey = new Int32Array(4);
  hashKey.set(new Int32Array(new Uint8Array(randomBytes(16)).buffer));
  const tables = attachTables(createTables(limits, hashKey));

  let phase: DaemonPhase = 'starting';
  let supervisor: Supervisor | undefined;
  const edge = createEdge({
    sys,
    tables,
    address: new SocketAddress(sys),
    descriptorLimit,
    distribute: async (planVersion) => supervisor?.distribute(planVersion),
  });
  const names = createNames();
  const verifier = createVerifier({
    credentials: tables.credentials,
    keys: deriveNameKeys(hashKey),
    hashOf: (credential) => edge.identities.hashOf(credential),
  });

  function serve(message: WorkerMessage, reply: (answer: ControlMessage) => void): void {
    if (message.kind === 'resolve') {
      const { slot, generation } = message;
      names.resolve(message.name, message.ipVersion, (addresses, reason) => {
        reply({ kind: 'resolved', slot, generation, addresses, reason });
      });
    } else if (message.kind === 'verify') {
      const { slot, generation } = message;
      verifier.verify(message, (reason) => reply({ kind: 'verified', slot, generation, reason }));
    }
  }

  await edge.apply(configuration);
  log.info(
    {
      event: 'start',
      version,
      file: configuration.fileName,
      workers: limits.workers,
      descriptors: edge.budget,
    },
    `sluice ${version} starting`,
  );
  const workers = createSupervisor({
    sys,
    tables,
    log,
    spawn: spawnWorker,
    planFor: (worker) => edge.planFor(worker),
    serve,
    testFaults,
  });
  supervisor = workers;

  const reloader = createReloader({
    fileName: configuration.fileName,
    edge,
    log,
    isStopping: () => phase !== 'ready',
    before: () => notify.reloading(),
    after: (result) => {
      log.level = edge.configuration.log.level;
      notify.ready(
        result.error === undefined ? statusLine() : 'the last reload was refused; nothing changed',
      );
    },
  });
  const context: ApiContext = {
    version,
    startedAtMs,
    tables,
    edge,
    supervisor: workers,
    names,
    verifier,
    reloader,
    phase: () => phase,
    testFaults,
  };

  function statusLine(): string {
    return `listening on ${edge.inbounds().length} addresses with ${limits.workers} workers`;
  }

  let api: ApiServer | undefined;
  try {
    // The API's libraries load while the workers warm up.
    const loading = import('./api/server.ts');
    await workers.start();
    const { startApi } = await loading;
    api = await startApi(sys, configuration.admin, context, log);
  } catch (error) {
    await workers.stop();
    edge.closeListeners();
    throw error;
  }

  phase = 'ready';
  for (const { tag, type, listen } of edge.inbounds()) {
    log.info({ event: 'listening', inbound: tag, type, listen }, `${tag} (${type}) listens on ${listen}`);
  }
  const admin = { socket: configuration.admin.socketPath, listen: api.address ?? null };
  log.info({ event: 'ready', duration_ms: Date.now() - startedAtMs, admin }, 'ready');
  notify.ready(statusLine());
  notify.watch(() => workers.states().every((state) => !state.stalled));
  if (process.stderr.isTTY) {
    process.stderr.write(`sluice is ready; try: sluice status --socket ${configuration.admin.socketPath}\n`);
  }

  async function close(reason: number): Promise<void> {
    phase = 'stopping';
    await workers.stop(reason);
    edge.closeListeners();
    await api?.close();
    notify.close();
    log.info({ event: 'stopped' }, 'stopped');
    end(EXIT_OK);
  }

  async function drain(): Promise<void> {
    phase = 'draining';
    notify.stopping();
    const { drainMs } = edge.configuration.timeouts;
    log.info({ event: 'drain', timeout_ms: drainMs }, 'draining: no new connections');
    await workers.beginDrain();
    edge.closeListeners();
    const isEmpty = await workers.drained(drainMs);
    if (phase !== 'draining') return;
    log.info(
      { event: 'drain_over', complete: isEmpty },
      isEmpty ? 'all connections ended' : 'drain timed out',
    );
    await close(DRAINED);
  }

  function stopNow(): void {
    if (phase === 'stopping') return;
    phase = 'stopping';
    notify.stopping();
    log.info({ event: 'stop' }, 'stopping now');
    void close(STOPPED);
  }

  process.on('SIGTERM', () => {
    if (phase === 'ready') void drain();
    else stopNow();
  });
  process.on('SIGINT', stopNow);
  process.on('SIGHUP', () => void reloader.reload('signal'));
  return {
    // Workers first: a process whose threads sleep in the kernel cannot exit.
    emergency: () => void workers.stop(STOPPED).finally(() => end(EXIT_INTERNAL)),
  };
}

function spawnWorker(start: WorkerStart): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), {
    name: `sluice-${start.worker}`,
    workerData: start,
    transferList: [start.port],
  });
}

function tableLimits(configuration: Configuration): TableLimits {
  return {
    workers: configuration.workers === 'auto' ? availableParallelism() : configuration.workers,
    slotsPerWorker: configuration.limits.connectionsPerWorker,
    pipesPerWorker: PIPES_PER_WORKER,
    services: SERVICES_MAX,
    credentials: CREDENTIALS_MAX,
    serverNames: SERVER_NAMES_MAX,
    targets: TARGETS_MAX,
  };
}
