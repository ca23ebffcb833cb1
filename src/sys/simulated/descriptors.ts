// A process's descriptor table: the lowest free number first, a limit, and the fault that makes it full for a while.

import { EMFILE } from '../constants.ts';
import type { OpenFile } from './open-file.ts';
import type { Process } from './world.ts';

/** 0, 1 and 2 are taken, as in any process. */
const DESCRIPTOR_FIRST = 3;
const EXHAUSTED_US_MAX = 2000;

export class Descriptors {
  /** How many are open. */
  count = 0;
  private readonly process: Process;
  private readonly descriptorsMax: number;
  private readonly files: (OpenFile | undefined)[] = [];
  private lowestFree = DESCRIPTOR_FIRST;
  private exhaustedUntilUs = 0;

  constructor(process: Process, descriptorsMax: number) {
    this.process = process;
    this.descriptorsMax = descriptorsMax;
  }

  get(fd: number): OpenFile | undefined {
    return this.files[fd];
  }

  /** Whether `wanted` more can be created now. @returns 0 or -EMFILE */
  reserve(wanted: number): number {
    const { faults, world } = this.process;
    const { clock, random } = world;
    if (this.count + wanted > this.descriptorsMax - DESCRIPTOR_FIRST) return -EMFILE;
    if (clock.nowUs < this.exhaustedUntilUs) return -EMFILE;
    if (!random.chance(faults.descriptorsExhausted)) return 0;
    this.exhaustedUntilUs = clock.nowUs + random.below(EXHAUSTED_US_MAX);
    return -EMFILE;
  }

  /** The caller has reserved it. */
  add(file: OpenFile): number {
    let fd = this.lowestFree;
    while (this.files[fd] !== undefined) fd++;
    this.files[fd] = file;
    this.lowestFree = fd + 1;
    this.count++;
    return fd;
  }

  remove(fd: number): OpenFile | undefined {
    const file = this.files[fd];
    if (file === undefined) return undefined;
    this.files[fd] = undefined;
    this.count--;
    if (fd < this.lowestFree) this.lowestFree = fd;
    return file;
  }
}
