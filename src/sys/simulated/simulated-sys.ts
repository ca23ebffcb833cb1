// `Sys` for one simulated process: descriptors to files, addresses to bytes, and waiting to virtual time. What each
// kind of file does is in its own file. Every wait costs at least a microsecond, so that a loop that never sleeps
// still sees time pass; a wait made from within a happening (an actor's callback) takes none and answers what is there.

import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EAFNOSUPPORT,
  EBADF,
  EFAULT,
  EINTR,
  EINVAL,
  ENOTSOCK,
  ESOCKTNOSUPPORT,
  F_GETFD,
  F_GETFL,
  F_GETPIPE_SZ,
  F_SETPIPE_SZ,
  SOCK_STREAM,
} from '../constants.ts';
import type { Sys } from '../sys.ts';
import { Descriptors } from './descriptors.ts';
import { EpollFile, EVENT_DATA_WORD, EVENT_WORDS } from './epoll.ts';
import { EventCounter } from './event-counter.ts';
import type { OpenFile } from './open-file.ts';
import { createPipe, PipeEnd } from './pipe.ts';
import { SocketFile } from './socket-file.ts';
import { spliceFiles } from './splice.ts';
import { TcpSocket } from './tcp-socket.ts';
import { UnixStream } from './unix-stream.ts';
import type { Process } from './world.ts';

const FD_CLOEXEC = 1;
const F_SETFL = 4;
const O_RDWR_NONBLOCK = 0x802;
const O_WRONLY_NONBLOCK = 0x801;
const O_RDONLY_NONBLOCK = 0x800;
const WAIT_US_MIN = 1;
/** How long a thread takes to wake up at most: what happens meanwhile is in the same batch. */
const WAKE_UP_US_MAX = 50;

export interface SimulatedSys extends Sys {
  /** How many descriptors are open now: what a test compares before and after. */
  openCount(): number;
  /** The open file behind a descriptor, for the network's own watchers. */
  fileOf(fd: number): OpenFile | undefined;
}

export function createSimulatedSys(process: Process, descriptorsMax: number): SimulatedSys {
  const { world } = process;
  const { clock, memory, paths, random } = world;
  const descriptors = new Descriptors(process, descriptorsMax);

  /** The socket behind `fd`; the caller asks `notSocket` for the error where there is none. */
  function socketOf(fd: number): SocketFile | undefined {
    const file = descriptors.get(fd);
    return file instanceof SocketFile ? file : undefined;
  }

  function notSocket(fd: number): number {
    return descriptors.get(fd) === undefined ? -EBADF : -ENOTSOCK;
  }

  function open(make: () => OpenFile): number {
    const reserved = descriptors.reserve(1);
    return reserved < 0 ? reserved : descriptors.add(make());
  }

  function createSocket(family: number, type: number): number {
    if (family !== AF_INET && family !== AF_INET6 && family !== AF_UNIX) return -EAFNOSUPPORT;
    if (type !== SOCK_STREAM) return -ESOCKTNOSUPPORT;
    return open(() =>
      family === AF_UNIX ? new UnixStream(process, family) : new TcpSocket(process, family),
    );
  }

  function accept(fd: number, sockaddr: number, lengthAddress: number): number {
    const listener = socketOf(fd);
    if (listener === undefined) return notSocket(fd);
    // Linux takes the descriptor before it looks whether anybody waits.
    const reserved = descriptors.reserve(1);
    if (reserved < 0) return reserved;
    const child = listener.accept();
    if (typeof child === 'number') return child;
    if (sockaddr !== 0) child.peerName(sockaddr, lengthAddress);
    return descriptors.add(child);
  }

  function epollWait(epollFd: number, eventsAddress: number, eventsMax: number, timeoutMs: number): number {
    const epoll = descriptors.get(epollFd);
    if (!(epoll instanceof EpollFile)) return epoll === undefined ? -EBADF : -EINVAL;
    if (eventsMax <= 0) return -EINVAL;
    if (memory.bytesAt(eventsAddress, eventsMax * EVENT_WORDS * 4) === undefined) return -EFAULT;
    if (clock.running) return epoll.collect(memory, eventsAddress, eventsMax);
    const deadlineUs = timeoutMs < 0 ? Infinity : clock.nowUs + timeoutMs * 1000;
    clock.runUntil(clock.nowUs + WAIT_US_MIN);
    if (random.chance(process.faults.interrupt)) return -EINTR;
    for (;;) {
      if (random.chance(process.faults.reorder)) epoll.shuffle(random);
      const count = epoll.collect(memory, eventsAddress, eventsMax);
      if (count > 0 || clock.nowUs >= deadlineUs) return count;
      const nextUs = clock.nextUs;
      if (nextUs === Infinity && deadlineUs === Infinity) {
        throw new Error('epollWait would never return: nothing is going to happen in this simulation');
      }
      clock.runUntil(nextUs > deadlineUs ? deadlineUs : nextUs + random.below(WAKE_UP_US_MAX));
    }
  }

  function pipe(address: number): number {
    const reserved = descriptors.reserve(2);
    if (reserved < 0) return reserved;
    if (memory.bytesAt(address, 8) === undefined) return -EFAULT;
    const { readEnd, writeEnd } = createPipe();
    memory.writeInt32(address, descriptors.add(readEnd as PipeEnd));
    memory.writeInt32(address + 4, descriptors.add(writeEnd as PipeEnd));
    return 0;
  }

  function fcntl(fd: number, command: number, argument: number): number {
    const file = descriptors.get(fd);
    if (file === undefined) return -EBADF;
    if (command === F_GETFD) return FD_CLOEXEC;
    if (command === F_SETFL) return 0;
    if (file instanceof PipeEnd) {
      if (command === F_GETPIPE_SZ) return file.shared.capacityBytes;
      if (command === F_SETPIPE_SZ) return file.resize(argument);
      if (command === F_GETFL) return file.writes ? O_WRONLY_NONBLOCK : O_RDONLY_NONBLOCK;
    }
    return command === F_GETFL ? O_RDWR_NONBLOCK : -EINVAL;
  }

  return {
    simulated: true,
    eventWords: EVENT_WORDS,
    eventDataWord: EVENT_DATA_WORD,
    openCount: () => descriptors.count,
    fileOf: (fd) => descriptors.get(fd),
    addressOf: (bytes) => memory.addressOf(bytes),
    nowMs: () => Math.floor(clock.nowUs / 1000),
    nowUs: () => clock.nowUs,
    // Nothing computes there, so that every way to wait costs the same.
    threadCpuUs: () => 0,
    setThreadSlice: () => 0,

    epollCreate: () => open(() => new EpollFile()),
    epollAdd(epollFd, fd, mask, dataLow, dataHigh) {
      const epoll = descriptors.get(epollFd);
      const file = descriptors.get(fd);
      if (epoll === undefined || file === undefined) return -EBADF;
      if (!(epoll instanceof EpollFile) || file === epoll) return -EINVAL;
      return epoll.add(file, mask, dataLow, dataHigh);
    },
    epollRemove(epollFd, fd) {
      const epoll = descriptors.get(epollFd);
      const file = descriptors.get(fd);
      if (epoll === undefined || file === undefined) return -EBADF;
      return epoll instanceof EpollFile ? epoll.remove(file) : -EINVAL;
    },
    epollWait,

    socket: createSocket,
    bind: (fd, sockaddr, sockaddrBytes) => socketOf(fd)?.bind(sockaddr, sockaddrBytes) ?? notSocket(fd),
    listen: (fd, backlog) => socketOf(fd)?.listen(backlog) ?? notSocket(fd),
    accept,
    connect: (fd, sockaddr, sockaddrBytes) => socketOf(fd)?.connect(sockaddr, sockaddrBytes) ?? notSocket(fd),
    getsockname: (fd, sockaddr, length) => socketOf(fd)?.localName(sockaddr, length) ?? notSocket(fd),
    getpeername: (fd, sockaddr, length) => socketOf(fd)?.peerName(sockaddr, length) ?? notSocket(fd),

    recv(fd, address, length, flags) {
      const socket = socketOf(fd);
      if (socket === undefined) return notSocket(fd);
      const bytes = memory.bytesAt(address, length);
      return bytes === undefined ? -EFAULT : socket.recv(bytes, memory.offsetOf(address), length, flags);
    },
    send(fd, address, length, flags) {
      const socket = socketOf(fd);
      if (socket === undefined) return notSocket(fd);
      const bytes = memory.bytesAt(address, length);
      return bytes === undefined ? -EFAULT : socket.send(bytes, memory.offsetOf(address), length, flags);
    },
    shutdown: (fd, how) => socketOf(fd)?.shutdown(how) ?? notSocket(fd),
    close(fd) {
      const file = descriptors.remove(fd);
      file?.close();
      return file === undefined ? -EBADF : 0;
    },

    setOptionInt: (fd, level, name, value) => socketOf(fd)?.setOption(level, name, value) ?? notSocket(fd),
    setOptionBytes(fd, level, name, address, length) {
      const socket = socketOf(fd);
      if (socket === undefined) return notSocket(fd);
      const bytes = memory.bytesAt(address, length);
      if (bytes === undefined) return -EFAULT;
      return socket.setOption(level, name, length >= 4 ? memory.readInt32(address) : 1);
    },
    getOptionInt: (fd, level, name) => socketOf(fd)?.getOption(level, name) ?? notSocket(fd),
    resetOnClose(fd) {
      const socket = socketOf(fd);
      if (socket === undefined) return notSocket(fd);
      socket.resetsOnRelease = true;
      return 0;
    },
    unsentBytes: (fd) => socketOf(fd)?.unsentBytes() ?? notSocket(fd),

    eventfd: () => open(() => new EventCounter()),
    eventfdSignal(fd) {
      const file = descriptors.get(fd);
      if (file === undefined) return -EBADF;
      return file instanceof EventCounter ? file.signal() : -EINVAL;
    },
    eventfdDrain(fd) {
      const file = descriptors.get(fd);
      if (file === undefined) return -EBADF;
      return file instanceof EventCounter ? file.drain() : -EINVAL;
    },

    pipe,
    splice(fdIn, fdOut, length) {
      const from = descriptors.get(fdIn);
      const to = descriptors.get(fdOut);
      return from === undefined || to === undefined ? -EBADF : spliceFiles(process, from, to, length);
    },
    fcntl,

    unlink: (path) => paths.unlink(path),
    chmod: (path, mode) => paths.chmod(path, mode),
    socketInode: (path) => paths.socketInode(path),
    raiseDescriptorLimit: () => descriptorsMax,
  };
}
