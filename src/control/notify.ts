// What systemd wants to hear of a `Type=notify` service, as datagrams to the socket that it names in NOTIFY_SOCKET.
// Without that variable nothing happens. Failures are ignored on purpose: the service works without its supervisor's ear.
// Control thread only. @source sd_notify(3), systemd.service(5)

import { AF_UNIX, SOCK_DGRAM } from '../sys/constants.ts';
import { SocketAddress, UNIX_PATH_BYTES_MAX } from '../sys/socket-address.ts';
import type { Sys } from '../sys/sys.ts';

const TEXT_BYTES_MAX = 512;

export interface Notify {
  ready(status: string): void;
  reloading(): void;
  stopping(): void;
  /** Starts the heartbeat that systemd asked for, if any; it beats only while `isAlive` answers true. */
  watch(isAlive: () => boolean): void;
  close(): void;
}

/** @param environment process.env */
export function createNotify(sys: Sys, environment: NodeJS.ProcessEnv): Notify {
  const send = sender(sys, environment['NOTIFY_SOCKET']);
  let watchdog: NodeJS.Timeout | undefined;
  return {
    ready: (status) => send(`READY=1\nSTATUS=${status}`),
    reloading: () => send(`RELOADING=1\nMONOTONIC_USEC=${sys.nowUs()}`),
    stopping: () => send('STOPPING=1'),
    watch(isAlive) {
      const intervalUs = Number(environment['WATCHDOG_USEC'] ?? 0);
      const isForUs = (environment['WATCHDOG_PID'] ?? String(process.pid)) === String(process.pid);
      if (!(intervalUs > 0) || !isForUs) return;
      watchdog = setInterval(() => {
        if (isAlive()) send('WATCHDOG=1');
      }, intervalUs / 2_000);
      watchdog.unref();
    },
    close: () => clearInterval(watchdog),
  };
}

function sender(sys: Sys, path: string | undefined): (text: string) => void {
  // `@` stands for the zero byte of an abstract name, whose length says where it ends.
  const isAbstract = path?.startsWith('@') === true;
  const name = Buffer.from(isAbstract ? `\0${path?.slice(1)}` : (path ?? ''), 'utf8');
  if (name.length === 0 || name.length >= UNIX_PATH_BYTES_MAX) return () => {};
  const address = new SocketAddress(sys);
  const addressBytes = address.setUnix(name) - (isAbstract ? 1 : 0);
  const text = Buffer.from(new ArrayBuffer(TEXT_BYTES_MAX));
  const textAddress = sys.addressOf(text);
  return (message) => {
    const length = text.write(message, 'utf8');
    const fd = sys.socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0) return;
    if (sys.connect(fd, address.address, addressBytes) >= 0) sys.send(fd, textAddress, length, 0);
    sys.close(fd);
  };
}
