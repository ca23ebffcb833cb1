import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AF_UNIX, SOCK_DGRAM } from '../sys/constants.ts';
import { createLibc } from '../sys/libc/libc.ts';
import { SocketAddress } from '../sys/socket-address.ts';
import { createNotify } from './notify.ts';

const sys = createLibc();
let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-notify-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A stand-in for systemd. @param name a path, or `@abstract` */
function openEar(name: string) {
  const address = new SocketAddress(sys);
  const isAbstract = name.startsWith('@');
  const length = address.setUnix(Buffer.from(isAbstract ? `\0${name.slice(1)}` : name));
  const fd = sys.socket(AF_UNIX, SOCK_DGRAM, 0);
  expect(sys.bind(fd, address.address, isAbstract ? length - 1 : length)).toBe(0);
  const buffer = new Uint8Array(new ArrayBuffer(1024));
  const at = sys.addressOf(buffer);
  const hear = () => {
    const bytes = sys.recv(fd, at, 1024, 0);
    return bytes < 0 ? undefined : Buffer.from(buffer.subarray(0, bytes)).toString();
  };
  return { hear, close: () => sys.close(fd) };
}

describe('sd_notify', () => {
  it.each(['path', 'abstract'])('tells systemd at a name of kind %s', (kind) => {
    const name = kind === 'path' ? join(directory, 'notify') : `@sluice-test-${process.pid}`;
    const ear = openEar(name);
    const notify = createNotify(sys, { NOTIFY_SOCKET: name });
    notify.ready('two workers');
    notify.reloading();
    notify.stopping();
    expect(ear.hear()).toBe('READY=1\nSTATUS=two workers');
    expect(ear.hear()).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    expect(ear.hear()).toBe('STOPPING=1');
    ear.close();
    notify.ready('nobody hears this');
  });

  it('beats while it is alive, only if asked', async () => {
    const name = `@sluice-watchdog-${process.pid}`;
    const ear = openEar(name);
    let isAlive = false;
    const notify = createNotify(sys, {
      NOTIFY_SOCKET: name,
      WATCHDOG_USEC: '4000',
      WATCHDOG_PID: String(process.pid),
    });
    const looked = new Promise<void>((resolve) => {
      notify.watch(() => {
        resolve();
        return isAlive;
      });
    });
    await looked;
    expect(ear.hear()).toBeUndefined();
    isAlive = true;
    const deadline = performance.now() + 5_000;
    let heard = ear.hear();
    while (heard === undefined && performance.now() < deadline) {
      await new Promise((resolve) => setImmediate(resolve));
      heard = ear.hear();
    }
    expect(heard).toBe('WATCHDOG=1');
    notify.close();
    ear.close();
  });

  it('keeps silent without a socket', () => {
    const notify = createNotify(sys, {});
    notify.ready('x');
    notify.watch(() => true);
    notify.close();
  });
});
