// Starts the daemon's threads, each from its own entry beside this file.

import { Worker } from 'node:worker_threads';
import type { CompilerStart } from './layout/compiler-messages.ts';
import type { KeeperStart } from './layout/keeper-messages.ts';
import type { WorkerStart } from './layout/messages.ts';

export function spawnWorker(start: WorkerStart): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), {
    name: `sluice-${start.worker}`,
    workerData: start,
    transferList: [start.port],
  });
}

/** A runtime that has SQLite itself may warn that it is new: no line for the log. */
export function spawnKeeper(start: KeeperStart): Worker {
  return new Worker(new URL('./keeper.js', import.meta.url), {
    name: 'sluice-keeper',
    workerData: start,
    transferList: [start.port],
    // Not the process's own: options of V8 are refused here, and hold for all threads anyway.
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
}

/**
 * MiB of its heap. 1,000,000 domains, or rules of 400,000 suffixes, take less than half of it; what takes more ends this
 * thread, fails its job, and nothing else. The arena of rules is not part of it.
 */
const COMPILER_HEAP_MIB = 2_048;

export function spawnCompiler(start: CompilerStart): Worker {
  return new Worker(new URL('./compiler.js', import.meta.url), {
    name: 'sluice-compiler',
    workerData: start,
    resourceLimits: { maxOldGenerationSizeMb: COMPILER_HEAP_MIB },
  });
}
