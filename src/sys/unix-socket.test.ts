// Unix listeners: who may take a path, and who removes it. On both implementations.

import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { AF_UNIX, EADDRINUSE, ENAMETOOLONG, ENOENT, ENOTSOCK, SOCK_STREAM } from './constants.ts';
import { createLibc } from './libc/libc.ts';
import { createSimulatedNetwork } from './simulated/simulated-network.ts';
import { SocketAddress } from './socket-address.ts';
import type { Sys } from './sys.ts';
import { closeUnixListener, listenUnix, type UnixListener } from './unix-socket.ts';

interface Place {
  readonly sys: Sys;
  readonly path: string;
  placeFile(): void;
  modeOf(): number;
}

const folders: string[] = [];

function realPlace(): Place {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'));
  folders.push(folder);
  const path = join(folder, 'admin.sock');
  return {
    sys: createLibc(),
    path,
    placeFile: () => writeFileSync(path, 'precious'),
    modeOf: () => statSync(path).mode & 0o777,
  };
}

function simulatedPlace(): Place {
  const network = createSimulatedNetwork({ seed: 1 });
  const path = '/run/admin.sock';
  return {
    sys: network.sys(),
    path,
    placeFile: () => network.createFile(path),
    modeOf: () => network.modeOf(path),
  };
}

function connectTo(sys: Sys, path: string): number {
  const address = new SocketAddress(sys);
  address.setUnix(Buffer.from(path));
  const fd = sys.socket(AF_UNIX, SOCK_STREAM, 0);
  const result = sys.connect(fd, address.address, address.length);
  sys.close(fd);
  return result;
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

describe.each([
  ['libc', realPlace],
  ['simulated', simulatedPlace],
])('unix listeners on %s', (_, makePlace) => {
  it('listens with the mode that was asked, and takes the path away when it closes', () => {
    const { sys, path, modeOf } = makePlace();
    const listener = listenUnix(sys, path, 0o620, 8) as UnixListener;
    expect(listener.inode).toBe(sys.socketInode(path));
    expect(modeOf()).toBe(0o620);
    expect(connectTo(sys, path)).toBe(0);
    closeUnixListener(sys, listener);
    expect(sys.socketInode(path)).toBe(-ENOENT);
  });

  it('refuses a path where somebody answers, also one too busy to', () => {
    const { sys, path } = makePlace();
    const listener = listenUnix(sys, path, 0o600, 0) as UnixListener;
    expect(listenUnix(sys, path, 0o600, 8)).toBe(-EADDRINUSE);
    const address = new SocketAddress(sys);
    address.setUnix(Buffer.from(path));
    const waiting = [1, 2].map(() => {
      const fd = sys.socket(AF_UNIX, SOCK_STREAM, 0);
      sys.connect(fd, address.address, address.length);
      return fd;
    });
    expect(listenUnix(sys, path, 0o600, 8)).toBe(-EADDRINUSE);
    expect(sys.socketInode(path)).toBe(listener.inode);
    for (const fd of waiting) sys.close(fd);
    closeUnixListener(sys, listener);
  });

  it('replaces a stale socket', () => {
    const { sys, path } = makePlace();
    const dead = listenUnix(sys, path, 0o600, 8) as UnixListener;
    sys.close(dead.fd);
    const listener = listenUnix(sys, path, 0o600, 8) as UnixListener;
    expect(listener.fd).toBeGreaterThanOrEqual(0);
    expect(connectTo(sys, path)).toBe(0);
    closeUnixListener(sys, listener);
  });

  it('never removes a file that is no socket', () => {
    const { sys, path, placeFile } = makePlace();
    placeFile();
    expect(listenUnix(sys, path, 0o600, 8)).toBe(-ENOTSOCK);
    expect(sys.socketInode(path)).toBe(-ENOTSOCK);
  });

  it('leaves a path that has become somebody else’s', () => {
    const { sys, path } = makePlace();
    const first = listenUnix(sys, path, 0o600, 8) as UnixListener;
    sys.unlink(path);
    const second = listenUnix(sys, path, 0o600, 8) as UnixListener;
    closeUnixListener(sys, first);
    expect(connectTo(sys, path)).toBe(0);
    closeUnixListener(sys, second);
  });

  it('refuses a path that is too long, and leaves no descriptor behind', () => {
    const { sys } = makePlace();
    const before = sys.eventfd();
    sys.close(before);
    expect(listenUnix(sys, `/${'x'.repeat(107)}`, 0o600, 8)).toBe(-ENAMETOOLONG);
    const after = sys.eventfd();
    sys.close(after);
    expect(after).toBe(before);
  });
});
