// Which process holds a socket. The kernel tells nobody but by the links in /proc/*/fd, so they are read, in one round over
// all processes for everybody who waits:
//
//   find(inode) ─► remembered, and the link still there? ─► else waits ─► round: recent holders first, then all ─► found, or nobody
//
// The control thread is kept for SLICE_MS at most at a time, and for half of the time at most while rounds follow each other.
// What a round sees of others' sockets is remembered for a while. Whoever asks while a round runs is served by it if it
// comes past, and else by the next one. Control thread.

import { type Dir, opendirSync, readlinkSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';

const SLICE_MS = 1;
/** Between looks at the clock. */
const LINKS_PER_LOOK = 32;
const WAITING_MAX = 4_096;
const SEEN_MAX = 16_384;
const SEEN_MS = 10_000;
const NOBODY_MS = 2_000;
const RECENT_MAX = 32;

export interface SocketScan {
  /** The process that holds the socket; undefined: none that may be looked into, or too many wait. */
  find(inode: number): Promise<number | undefined>;
  statistics(): { readonly rounds: number; readonly remembered: number; readonly refused: number };
}

/** `link`: name in /proc/<process>/fd. */
interface Holder {
  readonly process: number;
  readonly link: string;
}

type Answer = (process: number | undefined) => void;

export function createSocketScan(): SocketScan {
  const seen = new LRUCache<number, Holder>({ max: SEEN_MAX, ttl: SEEN_MS });
  const nobody = new LRUCache<number, true>({ max: SEEN_MAX, ttl: NOBODY_MS });
  /** Processes whose sockets were asked for, the last one last. */
  const recent = new Set<number>();
  /** By inode. `round`: the first that will have looked everywhere. */
  const waiting = new Map<number, { readonly answers: Answer[]; readonly round: number }>();
  const counts = { rounds: 0, remembered: 0, refused: 0 };
  let isScanning = false;

  function saw(inode: number, holder: Holder): void {
    seen.set(inode, holder);
    const asked = waiting.get(inode);
    if (asked === undefined) return;
    waiting.delete(inode);
    recent.delete(holder.process);
    recent.add(holder.process);
    if (recent.size > RECENT_MAX) recent.delete(recent.values().next().value as number);
    for (const answer of asked.answers) answer(holder.process);
  }

  async function scan(): Promise<void> {
    isScanning = true;
    while (waiting.size > 0) {
      const beganMs = performance.now();
      const round = ++counts.rounds;
      await lookThrough(await processes(recent), saw, () => waiting.size === 0);
      for (const [inode, asked] of waiting) {
        if (asked.round > round) continue;
        waiting.delete(inode);
        nobody.set(inode, true);
        for (const answer of asked.answers) answer(undefined);
      }
      if (waiting.size > 0) await setTimeout(performance.now() - beganMs);
    }
    isScanning = false;
  }

  return {
    find(inode) {
      const known = seen.get(inode);
      if (known !== undefined && socketAt(known) === inode) {
        counts.remembered++;
        return Promise.resolve(known.process);
      }
      if (nobody.has(inode)) {
        counts.remembered++;
        return Promise.resolve(undefined);
      }
      return new Promise((answer) => {
        const asked = waiting.get(inode);
        if (asked !== undefined) {
          asked.answers.push(answer);
        } else if (waiting.size >= WAITING_MAX) {
          counts.refused++;
          answer(undefined);
        } else {
          // One that runs has passed some processes by already.
          waiting.set(inode, { answers: [answer], round: counts.rounds + 1 });
          if (!isScanning) void scan();
        }
      });
    },
    statistics: () => ({ ...counts }),
  };
}

/** The recent first, then the youngest: whoever has just connected may have just begun. Without this process. */
async function processes(recent: ReadonlySet<number>): Promise<number[]> {
  const names = await readdir('/proc').catch((): string[] => []);
  const all = names
    .filter((name) => /^[1-9][0-9]*$/.test(name))
    .map(Number)
    .sort((a, b) => b - a);
  return [...new Set([...[...recent].reverse(), ...all])].filter((id) => id !== process.pid);
}

async function lookThrough(
  ids: readonly number[],
  saw: (inode: number, holder: Holder) => void,
  isEnough: () => boolean,
): Promise<void> {
  let sliceEndsMs = performance.now() + SLICE_MS;
  for (const id of ids) {
    if (isEnough()) return;
    const directory = openLinks(id);
    if (directory === undefined) continue;
    try {
      for (let links = 1; ; links++) {
        const entry = directory.readSync();
        if (entry === null) break;
        const holder = { process: id, link: entry.name };
        const inode = socketAt(holder);
        if (inode !== undefined) saw(inode, holder);
        if (links % LINKS_PER_LOOK !== 0) continue;
        if (isEnough()) break;
        if (performance.now() < sliceEndsMs) continue;
        await setImmediate();
        sliceEndsMs = performance.now() + SLICE_MS;
      }
    } catch {
      // The process ended meanwhile.
    } finally {
      directory.closeSync();
    }
    if (performance.now() < sliceEndsMs) continue;
    await setImmediate();
    sliceEndsMs = performance.now() + SLICE_MS;
  }
}

/** @returns undefined where it has gone, or may not be looked into */
function openLinks(id: number): Dir | undefined {
  try {
    return opendirSync(`/proc/${id}/fd`, { bufferSize: LINKS_PER_LOOK });
  } catch {
    return undefined;
  }
}

/** The inode of the socket that a link stands for; undefined: no socket, or gone. */
function socketAt({ process: id, link }: Holder): number | undefined {
  try {
    const found = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${id}/fd/${link}`));
    return found === null ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}
