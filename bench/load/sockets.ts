// Opening sockets for the load generator and the origin: everything on loopback, clients spread over many source
// addresses, since one pair of addresses has only some 28,000 ports and a closed connection holds its own for a minute.

import {
  AF_INET,
  EINPROGRESS,
  IP_BIND_ADDRESS_NO_PORT,
  IPPROTO_IP,
  IPPROTO_TCP,
  SO_REUSEADDR,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from '../../src/sys/constants.ts';
import { MAPPED_WORD, SocketAddress } from '../../src/sys/socket-address.ts';
import type { Sys } from '../../src/sys/sys.ts';

const LOOPBACK_NET = 0x7f00_0000;
const LOOPBACK = 0x7f00_0001;
const BACKLOG = 4096;

/** Loopback addresses that clients come from, one after the other. */
export interface SourceRange {
  readonly first: number;
  readonly count: number;
}

/** 127.0.1.1 to 127.0.1.64. */
const USUAL_SOURCES: SourceRange = { first: LOOPBACK_NET + 0x0101, count: 64 };

/** Opens connections to one port of 127.0.0.1, each from the next source address. */
export class Dialler {
  private readonly sys: Sys;
  private readonly target: SocketAddress;
  private readonly source: SocketAddress;
  private readonly sources: SourceRange;
  private dialled = 0;

  constructor(sys: Sys, port: number, sources: SourceRange = USUAL_SOURCES) {
    this.sys = sys;
    this.sources = sources;
    this.target = new SocketAddress(sys);
    this.target.setIp(0, 0, MAPPED_WORD, LOOPBACK, port);
    this.source = new SocketAddress(sys);
  }

  /** Where the next connection will come from. */
  get nextSource(): number {
    return this.sources.first + (this.dialled % this.sources.count);
  }

  /** @returns a descriptor on which the connection was begun, or a negative errno */
  dial(): number {
    const sys = this.sys;
    const fd = sys.socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) return fd;
    sys.setOptionInt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    sys.setOptionInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    const length = this.source.setIp(0, 0, MAPPED_WORD, this.nextSource, 0);
    this.dialled++;
    let error = sys.bind(fd, this.source.address, length);
    if (error === 0) error = sys.connect(fd, this.target.address, this.target.length);
    if (error === 0 || error === -EINPROGRESS) return fd;
    sys.close(fd);
    return error;
  }
}

/** A listening socket on a free port of 127.0.0.1; what it accepts inherits TCP_NODELAY. Throws where it can't. */
export function openListener(sys: Sys): { fd: number; port: number } {
  const fd = sys.socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) throw new Error(`socket: errno ${-fd}`);
  sys.setOptionInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  sys.setOptionInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  const address = new SocketAddress(sys);
  let error = sys.bind(fd, address.address, address.setIp(0, 0, MAPPED_WORD, LOOPBACK, 0));
  if (error === 0) error = sys.listen(fd, BACKLOG);
  address.resetLength();
  if (error === 0) error = sys.getsockname(fd, address.address, address.lengthAddress);
  if (error < 0) throw new Error(`listening on 127.0.0.1: errno ${-error}`);
  return { fd, port: address.port };
}
