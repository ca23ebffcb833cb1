// How many descriptors the workers may hold together: the process's limit, raised to the hard one at start, less what
// everything else needs. At the bound workers refuse connections; without this reserve the admin API, a reload or a
// replaced worker would find no descriptor just when an operator needs them.

import type { Tables } from '../layout/tables.ts';
import type { Sys } from '../sys/sys.ts';
import { errnoText, SluiceError } from './errors.ts';

/** Node itself, standard streams, log, files being read, look-ups of names, and the admin API's connections. */
const PROCESS_RESERVE = 160;
/** A worker's own: its poller, wake and spare descriptors, and the loop that Node gives each thread. */
const WORKER_RESERVE = 16;

/** Client and server. */
const CONNECTION_DESCRIPTORS = 2;

export interface DescriptorBudget {
  /** RLIMIT_NOFILE in force. */
  readonly limit: number;
  /** Kept back for everything that is no connection. */
  readonly reserved: number;
  /** `limit` less `reserved`: what workers share. */
  readonly max: number;
}

/** Once, at start. @returns the limit now in force */
export function raiseLimit(sys: Sys): number {
  const limit = sys.raiseDescriptorLimit();
  if (limit < 0) {
    throw new SluiceError('descriptor_failed', `the descriptor limit cannot be read: ${errnoText(limit)}`, {
      what: 'RLIMIT_NOFILE',
      errno: limit,
    });
  }
  return limit;
}

/**
 * Sets what workers may hold. To be called again when the number of listening sockets has changed.
 * @param listeningFds listening sockets of all workers; twice as many are reserved, because a reload opens the new
 *   ones before it closes the old ones
 */
export function setBudget(tables: Tables, limit: number, listeningFds: number): DescriptorBudget {
  const reserved = reservedFor(tables, listeningFds);
  const max = Math.max(0, limit - reserved);
  tables.machine.setDescriptorsMax(0, max);
  return { limit, reserved, max };
}

/**
 * An edge that could not hold one connection would look alive and refuse everybody: it is refused itself.
 * @throws SluiceError descriptors_too_few
 */
export function requireDescriptors(tables: Tables, limit: number, listeningFds: number): void {
  const needed = reservedFor(tables, listeningFds) + CONNECTION_DESCRIPTORS;
  if (limit >= needed) return;
  throw new SluiceError(
    'descriptors_too_few',
    `the descriptor limit is ${limit}, and not one connection fits below ${needed}: raise the hard limit ` +
      '(LimitNOFILE=, ulimit -Hn), or configure fewer workers or inbounds',
    { limit, needed },
  );
}

function reservedFor(tables: Tables, listeningFds: number): number {
  return PROCESS_RESERVE + WORKER_RESERVE * tables.shared.limits.workers + 2 * listeningFds;
}
