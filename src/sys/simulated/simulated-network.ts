// A whole network in one thread, repeatable from a seed: the same programs on the same seed do the same things in the
// same order. Time is virtual and passes only while somebody waits in `epollWait` (or in `advance`).
//
//   const network = createSimulatedNetwork({ seed, faults: COMMON_FAULTS });
//   const sys = network.sys({ descriptorsMax: 100 });       // the program under test: meets the faults
//   const peers = network.sys({ faults: NO_FAULTS });       // clients and servers that a test plays
//   network.watch(peers, fd, () => ...);                    // runs whenever something happens to fd
//   network.at(5, () => ...);                               // runs after 5 virtual milliseconds
//
// Every IP address belongs to the one host. 192.0.2.0/24 swallows connections (ETIMEDOUT after 127 s), 198.51.100.0/24
// is EHOSTUNREACH after 3 s, 203.0.113.0/24 ENETUNREACH at once; a port that nobody listens on refuses.

import { VirtualClock } from './clock.ts';
import { type Faults, NO_FAULTS } from './faults.ts';
import { AddressSpace } from './memory.ts';
import { Paths } from './paths.ts';
import { EPHEMERAL_PORT_MAX, EPHEMERAL_PORT_MIN, Ports } from './ports.ts';
import { createRandom, type Random } from './random.ts';
import { createSimulatedSys, type SimulatedSys } from './simulated-sys.ts';
import type { World } from './world.ts';

export interface SimulatedNetworkInit {
  readonly seed: number;
  /** For processes that do not choose their own. Default: none. */
  readonly faults?: Partial<Faults>;
  /** What the monotonic clock shows first. Default 1,000,000 ms; set it near 2^32 to see ticks wrap around. */
  readonly startMs?: number;
  /** Least travel time of a segment, and how much chance adds. Default 50 and 50. */
  readonly latencyUs?: number;
  readonly jitterUs?: number;
  /** Buffers of each end of a connection. Default 65,536 both. */
  readonly sendBytesMax?: number;
  readonly receiveBytesMax?: number;
}

interface SimulatedProcessInit {
  /** Limit of the descriptor table, 0 to 2 included. Default 20,000. */
  readonly descriptorsMax?: number;
  readonly faults?: Partial<Faults>;
}

export interface SimulatedNetwork {
  /** A new process on the network: a descriptor table and luck of its own. Ports, paths, memory, time are shared. */
  sys(init?: SimulatedProcessInit): SimulatedSys;
  /** Runs `run` once, `delayMs` (fractions allowed) of virtual time from now. It may call any Sys but never waits. */
  at(delayMs: number, run: () => void): void;
  /**
   * Runs `run` soon after anything happens to `fd`, and once at first; several events before it ran count as one.
   * Ends with the descriptor.
   */
  watch(sys: SimulatedSys, fd: number, run: () => void): void;
  /** Lets virtual time pass without waiting for a descriptor. Not from within a callback. */
  advance(durationMs: number): void;
  /** True where nothing is scheduled: no segment travels, no callback waits. */
  idle(): boolean;
  nowMs(): number;
  nowUs(): number;
  /** The network's own generator, so that actors repeat with the seed as well. */
  readonly random: Random;
  /** Places a file that is no socket at `path`. */
  createFile(path: string): void;
  /** The mode bits at `path`, or -ENOENT. */
  modeOf(path: string): number;
}

export function createSimulatedNetwork(init: SimulatedNetworkInit): SimulatedNetwork {
  const random = createRandom(init.seed);
  const clock = new VirtualClock((init.startMs ?? 1_000_000) * 1000);
  const world: World = {
    clock,
    random,
    memory: new AddressSpace(),
    ports: new Ports(EPHEMERAL_PORT_MIN + random.below(EPHEMERAL_PORT_MAX - EPHEMERAL_PORT_MIN)),
    paths: new Paths(),
    latencyUs: init.latencyUs ?? 50,
    jitterUs: init.jitterUs ?? 50,
    sendBytesMax: init.sendBytesMax ?? 65536,
    receiveBytesMax: init.receiveBytesMax ?? 65536,
  };

  function watch(sys: SimulatedSys, fd: number, run: () => void): void {
    const file = sys.fileOf(fd);
    if (file === undefined) throw new Error(`descriptor ${fd} is not open`);
    let scheduled = false;
    let gone = false;
    const watcher = {
      wake(): void {
        if (scheduled) return;
        scheduled = true;
        clock.at(clock.nowUs, () => {
          scheduled = false;
          if (!gone) run();
        });
      },
      forget(): void {
        gone = true;
      },
    };
    file.watchers.push(watcher);
    watcher.wake();
  }

  return {
    sys: (process = {}) =>
      createSimulatedSys(
        { world, faults: { ...NO_FAULTS, ...(process.faults ?? init.faults) } },
        process.descriptorsMax ?? 20_000,
      ),
    at: (delayMs, run) => clock.at(clock.nowUs + Math.round(delayMs * 1000), run),
    watch,
    advance: (durationMs) => clock.runUntil(clock.nowUs + Math.round(durationMs * 1000)),
    idle: () => clock.nextUs === Infinity,
    nowMs: () => Math.floor(clock.nowUs / 1000),
    nowUs: () => clock.nowUs,
    random,
    createFile: (path) => {
      world.paths.create(path, null);
    },
    modeOf: (path) => world.paths.modeOf(path),
  };
}
