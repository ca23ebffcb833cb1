// Listening sockets: opened and owned by the control thread, used by the workers, kept over a worker's death. Each TCP
// address has one SO_REUSEPORT socket a worker, so that the kernel spreads the connections; a Unix path has one socket
// that all workers share. What accepted sockets inherit (TCP_NODELAY, SO_OOBINLINE) is set here once, which saves a
// system call a connection.
//
// SO_REUSEPORT has a price: a second daemon of the same user could bind the same address, and the kernel would share
// the connections out between the two without a word. So a plain socket tries the address first, and fails if anybody
// listens there.
// Control thread only. Either all sockets of an address are open, or none.

import type { IpEndpoint, IpWords, Listen, UnixEndpoint } from '../config/configuration.ts';
import { formatIp } from '../layout/ip-address.ts';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  SO_OOBINLINE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from '../sys/constants.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';
import type { SocketAddress } from '../sys/socket-address.ts';
import type { Sys } from '../sys/sys.ts';
import { closeUnixListener, listenUnix } from '../sys/unix-socket.ts';
import type { UnixListener } from '../sys/unix-socket.ts';
import { errnoText, SluiceError } from './errors.ts';

/** The kernel takes the lower of this and net.core.somaxconn. */
const BACKLOG = 4096;
/** A Unix inbound is for the daemon's user and group: whoever may connect is a client. */
const UNIX_MODE = 0o660;

/** What an inbound listens on. */
export interface Listener {
  /** Equal for two inbounds, before and after a reload, that can keep the same sockets. */
  readonly key: string;
  /** By worker. */
  readonly fds: readonly number[];
  /** The address in force, with the port that the kernel chose where 0 was asked. */
  readonly text: string;
  /** Of TCP; undefined for a Unix path. */
  readonly words: IpWords | undefined;
  readonly port: number;
  readonly unix: UnixListener | undefined;
}

/** @param tag tells two inbounds apart that both ask for any free port */
export function listenerKey(listen: Listen, tag: string): string {
  return listen.kind === 'ip' && listen.port === 0 ? `${listen.text}#${tag}` : listen.text;
}

/**
 * Opens the sockets of one inbound.
 * @param address room that is written over
 * @param ownPorts ports that this daemon listens on already: there the plain socket would find ourselves
 * @throws SluiceError listen_failed; nothing is open then
 */
export function openListener(
  sys: Sys,
  address: SocketAddress,
  inbound: { readonly tag: string; readonly listen: Listen },
  workers: number,
  ownPorts: ReadonlySet<number>,
): Listener {
  const { tag, listen } = inbound;
  return listen.kind === 'unix'
    ? openUnix(sys, tag, listen, workers)
    : openTcp(sys, address, tag, listen, workers, ownPorts);
}

export function closeListener(sys: Sys, listener: Listener): void {
  if (listener.unix !== undefined) closeUnixListener(sys, listener.unix);
  else for (const fd of listener.fds) sys.close(fd);
}

function openUnix(sys: Sys, tag: string, listen: UnixEndpoint, workers: number): Listener {
  const opened = listenUnix(sys, listen.path, UNIX_MODE, BACKLOG);
  if (typeof opened === 'number') throw listenRefusal(tag, listen.text, opened);
  return {
    key: listenerKey(listen, tag),
    fds: Array.from({ length: workers }, () => opened.fd),
    text: listen.text,
    words: undefined,
    port: 0,
    unix: opened,
  };
}

function openTcp(
  sys: Sys,
  address: SocketAddress,
  tag: string,
  listen: IpEndpoint,
  workers: number,
  ownPorts: ReadonlySet<number>,
): Listener {
  if (listen.port !== 0 && !ownPorts.has(listen.port)) {
    const probe = bindOne(sys, address, listen.words, listen.port, false);
    if (probe < 0) throw listenRefusal(tag, listen.text, probe);
    sys.close(probe);
  }
  const fds: number[] = [];
  let port = listen.port;
  let failure = 0;
  for (let worker = 0; worker < workers && failure === 0; worker++) {
    const fd = bindOne(sys, address, listen.words, port, true);
    if (fd < 0) failure = fd;
    else {
      fds.push(fd);
      if (port === 0) {
        const actual = boundPort(sys, address, fd);
        if (actual < 0) failure = actual;
        else port = actual;
      }
    }
  }
  if (failure !== 0) {
    for (const fd of fds) sys.close(fd);
    throw listenRefusal(tag, listen.text, failure);
  }
  const key = listenerKey(listen, tag);
  return { key, fds, text: endpointText(listen.words, port), words: listen.words, port, unix: undefined };
}

/** @returns a listening socket, or a negative errno with nothing left open */
function bindOne(sys: Sys, address: SocketAddress, words: IpWords, port: number, shared: boolean): number {
  const isIpv4 = words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD;
  const fd = sys.socket(isIpv4 ? AF_INET : AF_INET6, SOCK_STREAM, IPPROTO_TCP);
  if (fd < 0) return fd;
  address.setIp(words[0], words[1], words[2], words[3], port);
  const steps = [
    () => sys.setOptionInt(fd, SOL_SOCKET, SO_REUSEADDR, 1),
    () => (shared ? sys.setOptionInt(fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0),
    // The wildcard takes both families, whatever the machine's default is.
    () => (isIpv4 ? 0 : sys.setOptionInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)),
    () => sys.setOptionInt(fd, IPPROTO_TCP, TCP_NODELAY, 1),
    () => sys.setOptionInt(fd, SOL_SOCKET, SO_OOBINLINE, 1),
    () => sys.bind(fd, address.address, address.length),
    () => sys.listen(fd, BACKLOG),
  ];
  for (const step of steps) {
    const result = step();
    if (result < 0) {
      sys.close(fd);
      return result;
    }
  }
  return fd;
}

function boundPort(sys: Sys, address: SocketAddress, fd: number): number {
  address.resetLength();
  const result = sys.getsockname(fd, address.address, address.lengthAddress);
  return result < 0 ? result : address.port;
}

function endpointText(words: IpWords, port: number): string {
  const ip = formatIp(Int32Array.from(words));
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

export function listenRefusal(tag: string, address: string, errno: number): SluiceError {
  return new SluiceError(
    'listen_failed',
    `inbound "${tag}" cannot listen on ${address}: ${errnoText(errno)}`,
    { inbound: tag, address, errno },
  );
}
