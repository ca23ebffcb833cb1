// pipe(2): two ends of one bounded stream whose bytes do not travel. Only splice moves bytes through it.
// @source pipe(7), linux/fs/pipe.c (pipe_poll, pipe_set_size)

import { EPERM, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from '../constants.ts';
import { ByteStream } from './byte-stream.ts';
import { OpenFile } from './open-file.ts';

const PAGE_BYTES = 4096;
const PIPE_BYTES_DEFAULT = 65536;
const PIPE_BYTES_MAX = 1048576;
const EBUSY = 16;

export class PipeEnd extends OpenFile {
  readonly shared: SharedPipe;
  readonly writes: boolean;

  constructor(shared: SharedPipe, writes: boolean) {
    super();
    this.shared = shared;
    this.writes = writes;
  }

  poll(): number {
    const { stream, capacityBytes, readEnd, writeEnd } = this.shared;
    const held = stream.writtenAt - stream.readAt;
    if (this.writes) return (held < capacityBytes ? EPOLLOUT : 0) | (readEnd === null ? EPOLLERR : 0);
    return (held > 0 ? EPOLLIN : 0) | (writeEnd === null ? EPOLLHUP : 0);
  }

  release(): void {
    const shared = this.shared;
    if (this.writes) shared.writeEnd = null;
    else shared.readEnd = null;
    if (shared.readEnd === null && shared.writeEnd === null) shared.stream.discard();
    shared.readEnd?.wake(0);
    shared.writeEnd?.wake(0);
  }

  /** F_SETPIPE_SZ. @returns the size now in force, a power of two pages */
  resize(bytes: number): number {
    let rounded = PAGE_BYTES;
    while (rounded < bytes) rounded *= 2;
    const { stream } = this.shared;
    if (rounded > PIPE_BYTES_MAX) return -EPERM;
    if (rounded < stream.writtenAt - stream.readAt) return -EBUSY;
    this.shared.capacityBytes = rounded;
    return rounded;
  }
}

export interface SharedPipe {
  readonly stream: ByteStream;
  capacityBytes: number;
  readEnd: PipeEnd | null;
  writeEnd: PipeEnd | null;
}

export function createPipe(): SharedPipe {
  const shared: SharedPipe = {
    stream: new ByteStream(),
    capacityBytes: PIPE_BYTES_DEFAULT,
    readEnd: null,
    writeEnd: null,
  };
  shared.readEnd = new PipeEnd(shared, false);
  shared.writeEnd = new PipeEnd(shared, true);
  return shared;
}
