// `Sys` over the real kernel. Each thread that calls `createLibc` must have loaded this module itself (workers do),
// because errno and the scratch words below belong to one thread.
//
// Invariants: no call allocates but those that sys.ts marks "slow path"; every address handed to the kernel is either
// one that `addressOf` gave out (and pinned) or one of the scratch words here.

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { getPriority } from 'node:os';
import { EINVAL, ENOTSOCK, MSG_NOSIGNAL, SO_LINGER, SOL_SOCKET, SPLICE_F_NONBLOCK } from '../constants.ts';
import type { Sys } from '../sys.ts';
import {
  accept4Call,
  addressOfArray,
  bindCall,
  clockGettimeCall,
  schedSetattrCall,
  closeCall,
  connectCall,
  epollCreate1Call,
  epollCtlCall,
  epollWaitCall,
  errnoWord,
  eventfdCall,
  fcntlCall,
  getpeernameCall,
  getrlimitCall,
  getsocknameCall,
  getsockoptCall,
  ioctlCall,
  listenCall,
  pipe2Call,
  readCall,
  recvCall,
  sendCall,
  setrlimitCall,
  setsockoptCall,
  shutdownCall,
  socketCall,
  spliceCall,
  writeCall,
} from './library.ts';

const CLOCK_MONOTONIC = 1;
const CLOCK_THREAD_CPUTIME_ID = 3;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
/** SOCK_NONBLOCK | SOCK_CLOEXEC; eventfd and pipe2 use the same two bits (O_NONBLOCK, O_CLOEXEC). */
const NONBLOCK_CLOEXEC = 0x80800;
const EPOLL_CLOEXEC = 0x80000;
const SIOCOUTQ = 0x5411;
const RLIMIT_NOFILE = 7;

/** struct epoll_event is packed on x86-64 (12 bytes: mask, data) and padded elsewhere (16: mask, hole, data). */
const EVENT_WORDS = process.arch === 'x64' ? 3 : 4;
const EVENT_DATA_WORD = EVENT_WORDS - 2;

/** Buffers whose addresses were given out: a collected one would be a hole that the kernel writes into. */
const pinned = new Set<ArrayBufferLike>();

function pinnedWords(words: number): Int32Array {
  const array = new Int32Array(new ArrayBuffer(words * 4));
  pinned.add(array.buffer);
  return array;
}

const eventRecord = pinnedWords(EVENT_WORDS);
const eventRecordAddress = addressOfArray(eventRecord);
const optionValue = pinnedWords(1);
const optionValueAddress = addressOfArray(optionValue);
const optionLength = pinnedWords(1);
const optionLengthAddress = addressOfArray(optionLength);
const lingerReset = pinnedWords(2);
const lingerResetAddress = addressOfArray(lingerReset);
lingerReset[0] = 1;
const counterValue = pinnedWords(2);
const counterValueAddress = addressOfArray(counterValue);

/** The kernel's answer, or its errno as a negative number. Inlined by V8 into each call below. */
function answer(result: number): number {
  return result < 0 ? -(errnoWord[0] as number) : result;
}

/**
 * performance.now() (47 ns) costs less than clock_gettime through koffi (57 ns) but counts from the thread's own start.
 * The offset makes both clocks the same CLOCK_MONOTONIC, so that threads may compare times; it is taken from the
 * tightest of a few readings, which leaves them less than a microsecond or two apart.
 */
const clockOffsetMs = measureClockOffsetMs();

function measureClockOffsetMs(): number {
  const timespec = pinnedWords(4);
  const timespecAddress = addressOfArray(timespec);
  let offsetMs = 0;
  let tightestMs = Infinity;
  for (let round = 0; round < 32; round++) {
    const before = performance.now();
    clockGettimeCall(CLOCK_MONOTONIC, timespecAddress);
    const after = performance.now();
    if (after - before >= tightestMs) continue;
    tightestMs = after - before;
    offsetMs = (timespec[0] as number) * 1000 + (timespec[2] as number) / 1e6 - (before + after) / 2;
  }
  return offsetMs;
}

function addressOf(bytes: Uint8Array): number {
  pinned.add(bytes.buffer);
  return addressOfArray(bytes);
}

function nowMs(): number {
  return Math.floor(performance.now() + clockOffsetMs);
}

function nowUs(): number {
  return Math.floor((performance.now() + clockOffsetMs) * 1000);
}

const cpuTimespec = pinnedWords(4);
const cpuTimespecAddress = addressOfArray(cpuTimespec);

function threadCpuUs(): number {
  clockGettimeCall(CLOCK_THREAD_CPUTIME_ID, cpuTimespecAddress);
  return (cpuTimespec[0] as number) * 1_000_000 + Math.floor((cpuTimespec[2] as number) / 1_000);
}

/** struct sched_attr, its first version: size, policy, flags, nice, priority, runtime, deadline, period. */
const schedAttr = pinnedWords(12);
const schedAttrAddress = addressOfArray(schedAttr);
const SYS_SCHED_SETATTR = process.arch === 'arm64' ? 274 : 314;

/** @source sched_setattr(2); of SCHED_OTHER the runtime is the slice, since Linux 6.12 */
function setThreadSlice(us: number): number {
  schedAttr.fill(0);
  schedAttr[0] = schedAttr.byteLength;
  schedAttr[4] = getPriority();
  schedAttr[6] = us * 1_000;
  return answer(schedSetattrCall(SYS_SCHED_SETATTR, 0, schedAttrAddress, 0));
}

function epollCreate(): number {
  return answer(epollCreate1Call(EPOLL_CLOEXEC));
}

function epollAdd(epollFd: number, fd: number, mask: number, dataLow: number, dataHigh: number): number {
  eventRecord[0] = mask;
  eventRecord[EVENT_DATA_WORD] = dataLow;
  eventRecord[EVENT_DATA_WORD + 1] = dataHigh;
  return answer(epollCtlCall(epollFd, EPOLL_CTL_ADD, fd, eventRecordAddress));
}

function epollRemove(epollFd: number, fd: number): number {
  return answer(epollCtlCall(epollFd, EPOLL_CTL_DEL, fd, eventRecordAddress));
}

function epollWait(epollFd: number, eventsAddress: number, eventsMax: number, timeoutMs: number): number {
  return answer(epollWaitCall(epollFd, eventsAddress, eventsMax, timeoutMs));
}

function socket(family: number, type: number, protocol: number): number {
  return answer(socketCall(family, type | NONBLOCK_CLOEXEC, protocol));
}

function bind(fd: number, sockaddr: number, sockaddrBytes: number): number {
  return answer(bindCall(fd, sockaddr, sockaddrBytes));
}

function listen(fd: number, backlog: number): number {
  return answer(listenCall(fd, backlog));
}

function accept(fd: number, sockaddr: number, lengthAddress: number): number {
  return answer(accept4Call(fd, sockaddr, lengthAddress, NONBLOCK_CLOEXEC));
}

function connect(fd: number, sockaddr: number, sockaddrBytes: number): number {
  return answer(connectCall(fd, sockaddr, sockaddrBytes));
}

function getsockname(fd: number, sockaddr: number, lengthAddress: number): number {
  return answer(getsocknameCall(fd, sockaddr, lengthAddress));
}

function getpeername(fd: number, sockaddr: number, lengthAddress: number): number {
  return answer(getpeernameCall(fd, sockaddr, lengthAddress));
}

function recv(fd: number, address: number, length: number, flags: number): number {
  return answer(recvCall(fd, address, length, flags));
}

function send(fd: number, address: number, length: number, flags: number): number {
  return answer(sendCall(fd, address, length, flags | MSG_NOSIGNAL));
}

function shutdown(fd: number, how: number): number {
  return answer(shutdownCall(fd, how));
}

function close(fd: number): number {
  return answer(closeCall(fd));
}

function setOptionInt(fd: number, level: number, name: number, value: number): number {
  optionValue[0] = value;
  return answer(setsockoptCall(fd, level, name, optionValueAddress, 4));
}

function setOptionBytes(fd: number, level: number, name: number, address: number, length: number): number {
  return answer(setsockoptCall(fd, level, name, address, length));
}

function getOptionInt(fd: number, level: number, name: number): number {
  optionValue[0] = 0;
  optionLength[0] = 4;
  const result = getsockoptCall(fd, level, name, optionValueAddress, optionLengthAddress);
  return result < 0 ? answer(result) : (optionValue[0] as number);
}

function resetOnClose(fd: number): number {
  return answer(setsockoptCall(fd, SOL_SOCKET, SO_LINGER, lingerResetAddress, 8));
}

function unsentBytes(fd: number): number {
  const result = ioctlCall(fd, SIOCOUTQ, optionValueAddress);
  return result < 0 ? answer(result) : (optionValue[0] as number);
}

function eventfd(): number {
  return answer(eventfdCall(0, NONBLOCK_CLOEXEC));
}

function eventfdSignal(fd: number): number {
  counterValue[0] = 1;
  counterValue[1] = 0;
  const result = writeCall(fd, counterValueAddress, 8);
  return result < 0 ? answer(result) : 0;
}

function eventfdDrain(fd: number): number {
  const result = readCall(fd, counterValueAddress, 8);
  return result < 0 ? answer(result) : 0;
}

function pipe(address: number): number {
  return answer(pipe2Call(address, NONBLOCK_CLOEXEC));
}

function splice(fdIn: number, fdOut: number, length: number, flags: number): number {
  return answer(spliceCall(fdIn, 0, fdOut, 0, length, flags | SPLICE_F_NONBLOCK));
}

function fcntl(fd: number, command: number, argument: number): number {
  return answer(fcntlCall(fd, command, argument));
}

/** Runs a call of node:fs and answers as `Sys` does; node's errors carry the negative errno. Slow path. */
function fileCall(call: () => number): number {
  try {
    return call();
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).errno;
    return errno !== undefined && errno < 0 ? errno : -EINVAL;
  }
}

function unlink(path: string): number {
  return fileCall(() => {
    unlinkSync(path);
    return 0;
  });
}

function chmod(path: string, mode: number): number {
  return fileCall(() => {
    chmodSync(path, mode);
    return 0;
  });
}

function socketInode(path: string): number {
  return fileCall(() => {
    const status = lstatSync(path);
    return status.isSocket() ? status.ino : -ENOTSOCK;
  });
}

function raiseDescriptorLimit(): number {
  const limits = new BigUint64Array(new ArrayBuffer(16));
  const limitsAddress = addressOfArray(limits);
  let result = getrlimitCall(RLIMIT_NOFILE, limitsAddress);
  if (result < 0) return answer(result);
  const soft = limits[0] as bigint;
  limits[0] = limits[1] as bigint;
  result = setrlimitCall(RLIMIT_NOFILE, limitsAddress);
  // A refusal (a sandbox may forbid it) leaves the soft limit in force, which is then the answer.
  const inForce = result < 0 ? soft : (limits[0] as bigint);
  return Number(inForce > 0x7fffffffn ? 0x7fffffffn : inForce);
}

/** The real kernel. Call it in the thread that will use it. */
export function createLibc(): Sys {
  return {
    simulated: false,
    eventWords: EVENT_WORDS,
    eventDataWord: EVENT_DATA_WORD,
    addressOf,
    nowMs,
    nowUs,
    threadCpuUs,
    setThreadSlice,
    epollCreate,
    epollAdd,
    epollRemove,
    epollWait,
    socket,
    bind,
    listen,
    accept,
    connect,
    getsockname,
    getpeername,
    recv,
    send,
    shutdown,
    close,
    setOptionInt,
    setOptionBytes,
    getOptionInt,
    resetOnClose,
    unsentBytes,
    eventfd,
    eventfdSignal,
    eventfdDrain,
    pipe,
    splice,
    fcntl,
    unlink,
    chmod,
    socketInode,
    raiseDescriptorLimit,
  };
}
