// Which program on this machine a connection comes from, for rules that ask for it:
//
//   TCP   is the source one of our own addresses? ─► its socket (socket-owner.ts) ─► the process that holds it (socket-scan.ts)
//   Unix  the kernel remembers who connected (SO_PEERCRED)
//
// Nobody is looked up unless a rule that asks is reached: `asked` says how many were. Control thread.

import { readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { SO_PEERCRED, SOL_SOCKET } from '../sys/constants.ts';
import type { Sys } from '../sys/sys.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';
import { localAddresses } from './plan.ts';
import { createSocketOwners, type Endpoint } from './socket-owner.ts';
import { createSocketScan } from './socket-scan.ts';

/** Interfaces come and go: they are read again after so long. */
const ADDRESSES_MS = 5_000;
const DELETED = ' (deleted)';

export interface LocalProcess {
  /** Last part of the path, as rules have it. */
  readonly name: string;
  readonly path: string;
  readonly userId: number;
}

/** The client is on another machine: it has no process here, which is an answer. */
export const ELSEWHERE = 'elsewhere';

/** undefined: it should have one, and nobody found it. */
export type ProcessAnswer = LocalProcess | typeof ELSEWHERE | undefined;

export interface ProcessStatistics {
  readonly asked: number;
  readonly found: number;
  readonly elsewhere: number;
  readonly not_found: number;
  /** Rounds over all processes; sockets that needed none; those that too many waited before. */
  readonly rounds: number;
  readonly remembered: number;
  readonly refused: number;
}

export interface ProcessLookup {
  /** Of a TCP client: its own address, and the one that it connected to. */
  look(source: Endpoint, destination: Endpoint): Promise<ProcessAnswer>;
  /** Of a client of a Unix socket. */
  lookUnix(fd: number): ProcessAnswer;
  statistics(): ProcessStatistics;
  close(): void;
}

export interface ProcessLookupInit {
  readonly sys: Sys;
  /** False: as if the kernel refused to be asked for sockets. */
  readonly usesNetlink?: boolean;
}

export function createProcessLookup(init: ProcessLookupInit): ProcessLookup {
  const { sys } = init;
  const owners = createSocketOwners(init);
  const scan = createSocketScan();
  const counts = { asked: 0, found: 0, elsewhere: 0, not_found: 0 };
  let local = new Int32Array(0);
  let localUntilMs = 0;

  function isLocal(words: Int32Array): boolean {
    if (isLoopback(words)) return true;
    if (performance.now() >= localUntilMs) {
      local = Int32Array.from(localAddresses());
      localUntilMs = performance.now() + ADDRESSES_MS;
    }
    for (let at = 0; at < local.length; at += 4) {
      if (words.every((word, i) => word === local[at + i])) return true;
    }
    return false;
  }

  function count(answer: ProcessAnswer): ProcessAnswer {
    if (answer === undefined) counts.not_found++;
    else if (answer === ELSEWHERE) counts.elsewhere++;
    else counts.found++;
    return answer;
  }

  return {
    async look(source, destination) {
      counts.asked++;
      if (!isLocal(source.words)) return count(ELSEWHERE);
      const owner = await owners.find(source, destination);
      const id = owner === undefined ? undefined : await scan.find(owner.inode);
      return count(owner === undefined || id === undefined ? undefined : processOf(id, owner.userId));
    },
    lookUnix(fd) {
      counts.asked++;
      const id = sys.getOptionInt(fd, SOL_SOCKET, SO_PEERCRED);
      return count(id > 0 ? processOf(id, undefined) : undefined);
    },
    statistics: () => ({ ...counts, ...scan.statistics() }),
    close: () => owners.close(),
  };
}

function isLoopback(words: Int32Array): boolean {
  const [word0 = 0, word1 = 0, word2 = 0, word3 = 0] = words;
  if (word0 !== 0 || word1 !== 0) return false;
  return word2 === MAPPED_WORD ? word3 >>> 24 === 127 : word2 === 0 && word3 === 1;
}

/** @param userId who made the socket; undefined: who runs the process */
function processOf(id: number, userId: number | undefined): LocalProcess | undefined {
  try {
    const link = readlinkSync(`/proc/${id}/exe`);
    // Replaced by an update while it runs.
    const path = link.endsWith(DELETED) ? link.slice(0, -DELETED.length) : link;
    return { name: basename(path), path, userId: userId ?? statSync(`/proc/${id}`).uid };
  } catch {
    return undefined;
  }
}
