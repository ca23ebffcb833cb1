// The part of a file system that Unix sockets need: paths, what stands there, and inode numbers never used twice.

import { EADDRINUSE, ENOENT, ENOTSOCK } from '../constants.ts';

interface PathEntry {
  readonly inode: number;
  /** The socket bound here; null for a file that is none. A socket's entry outlives it, as on Linux. */
  readonly owner: object | null;
  mode: number;
}

const SOCKET_MODE_FIRST = 0o755;
const INODE_FIRST = 1000;

export class Paths {
  private readonly entries = new Map<string, PathEntry>();
  private inodeNext = INODE_FIRST;

  create(path: string, owner: object | null): number {
    if (this.entries.has(path)) return -EADDRINUSE;
    this.entries.set(path, { inode: this.inodeNext++, owner, mode: SOCKET_MODE_FIRST });
    return 0;
  }

  /** What is bound at `path`: undefined where nothing stands there, null where it is no socket. */
  ownerOf(path: string): object | null | undefined {
    return this.entries.get(path)?.owner;
  }

  modeOf(path: string): number {
    return this.entries.get(path)?.mode ?? -ENOENT;
  }

  socketInode(path: string): number {
    const entry = this.entries.get(path);
    if (entry === undefined) return -ENOENT;
    return entry.owner === null ? -ENOTSOCK : entry.inode;
  }

  unlink(path: string): number {
    return this.entries.delete(path) ? 0 : -ENOENT;
  }

  chmod(path: string, mode: number): number {
    const entry = this.entries.get(path);
    if (entry === undefined) return -ENOENT;
    entry.mode = mode;
    return 0;
  }
}
