// Unix listening sockets that neither steal a path nor leave one behind. Control thread; slow path.
//
//   bind --EADDRINUSE--> what stands there? --no socket--> refuse
//                          socket: connect --refused--> stale: unlink, bind again
//                                          --else-----> somebody lives there: refuse
//
// The path is unlinked only while it is still the inode that we bound: an open socket keeps its inode, so the number
// can not have been given to another. The mode is set before `listen`, when nobody can connect yet. Two processes
// that replace the same stale socket at the same instant may both succeed; the inode keeps the loser from unlinking
// the winner's path, and nothing on Linux does better without a lock file.

import {
  AF_UNIX,
  EADDRINUSE,
  ECONNREFUSED,
  ENAMETOOLONG,
  ENOENT,
  ENOTSOCK,
  SOCK_STREAM,
} from './constants.ts';
import { SocketAddress, UNIX_PATH_BYTES_MAX } from './socket-address.ts';
import type { Sys } from './sys.ts';

export interface UnixListener {
  readonly fd: number;
  readonly path: string;
  readonly inode: number;
}

/** More rounds than any honest race needs: each means that somebody else removed or created the path meanwhile. */
const BIND_TRIES_MAX = 4;

/**
 * Listens at `path` with `mode` (for example 0o660), replacing a stale socket.
 * @returns the listener, or a negative errno: -EADDRINUSE a live listener is there, -ENOTSOCK another kind of file is
 */
export function listenUnix(sys: Sys, path: string, mode: number, backlog: number): UnixListener | number {
  const pathBytes = Buffer.from(path);
  if (pathBytes.length >= UNIX_PATH_BYTES_MAX) return -ENAMETOOLONG;
  const address = new SocketAddress(sys);
  address.setUnix(pathBytes);
  const fd = sys.socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  const bound = bindReplacing(sys, fd, path, address);
  const inode = bound < 0 ? bound : sys.socketInode(path);
  if (inode < 0) {
    sys.close(fd);
    return inode;
  }
  const listener = { fd, path, inode };
  const changed = sys.chmod(path, mode);
  const listening = changed < 0 ? changed : sys.listen(fd, backlog);
  if (listening >= 0) return listener;
  closeUnixListener(sys, listener);
  return listening;
}

/** Stops listening; the path goes with it unless somebody has put something else there. */
export function closeUnixListener(sys: Sys, listener: UnixListener): void {
  if (sys.socketInode(listener.path) === listener.inode) sys.unlink(listener.path);
  sys.close(listener.fd);
}

function bindReplacing(sys: Sys, fd: number, path: string, address: SocketAddress): number {
  for (let tries = 1; ; tries++) {
    const bound = sys.bind(fd, address.address, address.length);
    if (bound !== -EADDRINUSE || tries === BIND_TRIES_MAX) return bound;
    const inode = sys.socketInode(path);
    if (inode === -ENOENT) continue;
    if (inode < 0) return inode === -ENOTSOCK ? inode : -EADDRINUSE;
    if (!isStale(sys, address)) return -EADDRINUSE;
    // It may have been replaced by a live one since we looked.
    if (sys.socketInode(path) === inode) sys.unlink(path);
  }
}

/** Nobody listens behind this socket file. Any other answer than a refusal means somebody might. */
function isStale(sys: Sys, address: SocketAddress): boolean {
  const probe = sys.socket(AF_UNIX, SOCK_STREAM, 0);
  if (probe < 0) return false;
  const result = sys.connect(probe, address.address, address.length);
  sys.close(probe);
  return result === -ECONNREFUSED;
}
