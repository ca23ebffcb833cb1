// What everything in one simulation shares: time, chance, memory, addresses. One per network, never per process.

import type { VirtualClock } from './clock.ts';
import type { Faults } from './faults.ts';
import type { AddressSpace } from './memory.ts';
import type { Paths } from './paths.ts';
import type { Ports } from './ports.ts';
import type { Random } from './random.ts';

export interface World {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly memory: AddressSpace;
  readonly ports: Ports;
  readonly paths: Paths;
  /** Least time that a segment travels, and how much more chance may add. */
  readonly latencyUs: number;
  readonly jitterUs: number;
  readonly sendBytesMax: number;
  readonly receiveBytesMax: number;
}

/** What belongs to one process of the simulation: its own descriptors and its own luck. */
export interface Process {
  readonly world: World;
  readonly faults: Faults;
}

/** Buffers of a connection that met the `smallBuffers` fault: the least that Linux allows. */
const SEND_BYTES_MIN = 4608;
const RECEIVE_BYTES_MIN = 2304;

export function sendCapacity(process: Process): number {
  const { random, sendBytesMax } = process.world;
  return random.chance(process.faults.smallBuffers) ? Math.min(SEND_BYTES_MIN, sendBytesMax) : sendBytesMax;
}

export function receiveCapacity(process: Process): number {
  const { random, receiveBytesMax } = process.world;
  return random.chance(process.faults.smallBuffers)
    ? Math.min(RECEIVE_BYTES_MIN, receiveBytesMax)
    : receiveBytesMax;
}
