// To which socket of this machine the other end of a connection belongs: its inode, by which /proc knows it, and the user
// who made it. The kernel is asked for this one socket (sock_diag), which costs microseconds and is answered at once; where
// that is refused (a sandbox), /proc/net/tcp is read through, piece by piece. Control thread.
//
// @source sock_diag(7), netlink(7); include/uapi/linux/inet_diag.h; proc(5)

import { open } from 'node:fs/promises';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  IPPROTO_TCP,
  NETLINK_SOCK_DIAG,
  SOCK_DGRAM,
} from '../sys/constants.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';
import type { Sys } from '../sys/sys.ts';

export interface SocketOwner {
  readonly inode: number;
  readonly userId: number;
}

/** An address, four words (IPv4 mapped), and a port. */
export interface Endpoint {
  readonly words: Int32Array;
  readonly port: number;
}

export interface SocketOwners {
  /** The socket whose own end is `own` and whose peer is `peer`. */
  find(own: Endpoint, peer: Endpoint): Promise<SocketOwner | undefined>;
  close(): void;
}

const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
// A request: nlmsghdr (16 bytes), inet_diag_req_v2 (8 and a socket id of 48).
const REQUEST_BYTES = 72;
const REQUEST_ID_AT = 24;
// Of an answer: nlmsghdr (16), inet_diag_msg.
const ANSWER_USER_AT = 80;
const ANSWER_INODE_AT = 84;
const ANSWER_BYTES = 88;
const BUFFER_BYTES = 4_096;
/** Answers to questions that were given up may lie before ours. */
const STALE_MAX = 8;

export interface SocketOwnersInit {
  readonly sys: Sys;
  /** False: as if the kernel refused. */
  readonly usesNetlink?: boolean;
}

export function createSocketOwners({ sys, usesNetlink = true }: SocketOwnersInit): SocketOwners {
  const bytes = new Uint8Array(new ArrayBuffer(BUFFER_BYTES));
  const view = new DataView(bytes.buffer);
  const address = sys.addressOf(bytes);
  const fd = usesNetlink ? sys.socket(AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG) : -1;
  let sequence = 0;

  /** The kernel answers before `send` returns. @returns the socket, undefined where there is none, or a negative errno */
  function ask(own: Endpoint, peer: Endpoint): SocketOwner | undefined | number {
    sequence = (sequence + 1) & 0x7fffffff;
    writeRequest(view, sequence, own, peer);
    const sent = sys.send(fd, address, REQUEST_BYTES, 0);
    if (sent < 0) return sent;
    for (let i = 0; i < STALE_MAX; i++) {
      const length = sys.recv(fd, address, BUFFER_BYTES, 0);
      if (length < 0) return length;
      if (view.getUint32(8, true) !== sequence) continue;
      if (view.getUint16(4, true) !== SOCK_DIAG_BY_FAMILY || length < ANSWER_BYTES) return undefined;
      return { inode: view.getUint32(ANSWER_INODE_AT, true), userId: view.getUint32(ANSWER_USER_AT, true) };
    }
    return undefined;
  }

  return {
    async find(own, peer) {
      const answer = fd < 0 ? fd : ask(own, peer);
      const owner = typeof answer === 'number' ? await readThrough(own, peer) : answer;
      // A socket that was closed already has no inode.
      return owner === undefined || owner.inode === 0 ? undefined : owner;
    },
    close() {
      if (fd >= 0) sys.close(fd);
    },
  };
}

function isIpv4({ words }: Endpoint): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD;
}

function writeRequest(view: DataView, sequence: number, own: Endpoint, peer: Endpoint): void {
  new Uint8Array(view.buffer, 0, REQUEST_BYTES).fill(0);
  view.setUint32(0, REQUEST_BYTES, true);
  view.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
  view.setUint16(6, NLM_F_REQUEST, true);
  view.setUint32(8, sequence, true);
  const isShort = isIpv4(own) && isIpv4(peer);
  view.setUint8(16, isShort ? AF_INET : AF_INET6);
  view.setUint8(17, IPPROTO_TCP);
  // Any state.
  view.setUint32(20, 0xffffffff, true);
  view.setUint16(REQUEST_ID_AT, own.port, false);
  view.setUint16(REQUEST_ID_AT + 2, peer.port, false);
  writeAddress(view, REQUEST_ID_AT + 4, own.words, isShort);
  writeAddress(view, REQUEST_ID_AT + 20, peer.words, isShort);
  // No interface; a cookie that says that there is none.
  view.setInt32(REQUEST_ID_AT + 40, -1, true);
  view.setInt32(REQUEST_ID_AT + 44, -1, true);
}

function writeAddress(view: DataView, at: number, words: Int32Array, isShort: boolean): void {
  if (isShort) {
    view.setInt32(at, words[3] as number, false);
    return;
  }
  for (let word = 0; word < 4; word++) view.setInt32(at + word * 4, words[word] as number, false);
}

const PIECE_BYTES = 65_536;

/** The slow way. Sockets of IPv6 that speak IPv4 stand in the second table. */
async function readThrough(own: Endpoint, peer: Endpoint): Promise<SocketOwner | undefined> {
  const found = isIpv4(own) ? await readTable('/proc/net/tcp', own, peer, true) : undefined;
  return found ?? (await readTable('/proc/net/tcp6', own, peer, false));
}

async function readTable(
  path: string,
  own: Endpoint,
  peer: Endpoint,
  isShort: boolean,
): Promise<SocketOwner | undefined> {
  const wanted = ` ${procAddress(own, isShort)} ${procAddress(peer, isShort)} `;
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const piece = Buffer.alloc(PIECE_BYTES);
    let rest = '';
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, PIECE_BYTES);
      if (bytesRead === 0) return undefined;
      const text = rest + piece.toString('latin1', 0, bytesRead);
      const at = text.indexOf(wanted);
      const lineEnd = at < 0 ? -1 : text.indexOf('\n', at);
      if (lineEnd >= 0) return ownerInLine(text.slice(at, lineEnd));
      rest = text.slice(text.lastIndexOf('\n') + 1);
    }
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/** Behind the addresses: state, queues, timer, retransmits, user, time-out, inode. */
function ownerInLine(line: string): SocketOwner | undefined {
  const fields = line.trim().split(/\s+/);
  const userId = Number(fields[6]);
  const inode = Number(fields[8]);
  return Number.isInteger(userId) && Number.isInteger(inode) ? { userId, inode } : undefined;
}

/** Words are written as the machine, which is little-endian, holds them; ports as numbers. */
function procAddress({ words, port }: Endpoint, isShort: boolean): string {
  const bytes = Buffer.alloc(16);
  for (let word = 0; word < 4; word++) bytes.writeInt32BE(words[word] as number, word * 4);
  const hex = bytes.swap32().toString('hex');
  return `${isShort ? hex.slice(24) : hex}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}
