// What Sluice asks of the operating system: one interface, two implementations (`libc/` and `simulated/`), one
// compliance suite (`sys.compliance.ts`). Everything above `sys/` runs unchanged on both; a production process
// holds exactly one.
//
// Conventions, for every call here:
//   - the answer is a number: `>= 0` is the result, `< 0` is a negative errno (constants.ts). Nothing throws.
//   - memory is passed as an address that `addressOf` gave out; an address is an integer below 2^53.
//   - descriptors that a call creates are non-blocking and close-on-exec.
//   - a call neither allocates nor keeps anything after it returned, but for those marked "slow path".

export interface Sys {
  /** True on the simulated network, where time is virtual and only what the seed says happens. */
  readonly simulated: boolean;
  /** Int32 words of one event record that `epollWait` writes (3 on x86-64, 4 elsewhere). Word 0 is the mask. */
  readonly eventWords: number;
  /** Index, in a record, of the low data word; the high one follows it. */
  readonly eventDataWord: number;

  /**
   * The address of the first byte of `bytes`. Slow path: once for each buffer, at start. The buffer must lie outside
   * V8's heap (a typed array over its own ArrayBuffer or SharedArrayBuffer) and stays referenced for ever.
   */
  addressOf(bytes: Uint8Array): number;

  /** Monotonic clock in milliseconds, whole. */
  nowMs(): number;
  /** Monotonic clock in microseconds, whole. */
  nowUs(): number;
  /** CPU that the calling thread has used, in microseconds. A system call: once in a while. */
  threadCpuUs(): number;
  /**
   * How long the calling thread may keep a core from threads of the same process that wake up meanwhile; threads that it
   * starts inherit it. A kernel that knows no such thing (before 6.12) ignores it. @returns 0 or a negative errno
   */
  setThreadSlice(us: number): number;

  epollCreate(): number;
  /**
   * Registers `fd` for `mask` (EPOLL*); events carry the two data words. There is deliberately no `modify`: one
   * registration serves a descriptor's whole life (edge-triggered), and `close` ends it.
   */
  epollAdd(epollFd: number, fd: number, mask: number, dataLow: number, dataHigh: number): number;
  /** Only for descriptors that live on elsewhere: listening sockets that a worker gives up. */
  epollRemove(epollFd: number, fd: number): number;
  /** @returns number of records written at `eventsAddress` (`eventWords` int32 each), 0 on time-out; -EINTR may happen. */
  epollWait(epollFd: number, eventsAddress: number, eventsMax: number, timeoutMs: number): number;

  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, sockaddr: number, sockaddrBytes: number): number;
  listen(fd: number, backlog: number): number;
  /**
   * accept4(2). `lengthAddress` holds an int32: room at `sockaddr` before, bytes written after.
   * Both 0: the peer's address is not wanted.
   */
  accept(fd: number, sockaddr: number, lengthAddress: number): number;
  connect(fd: number, sockaddr: number, sockaddrBytes: number): number;
  getsockname(fd: number, sockaddr: number, lengthAddress: number): number;
  getpeername(fd: number, sockaddr: number, lengthAddress: number): number;

  /** `flags`: MSG_PEEK or 0. 0 bytes answered means end of stream (where `length` > 0). */
  recv(fd: number, address: number, length: number, flags: number): number;
  /** MSG_NOSIGNAL is always added. */
  send(fd: number, address: number, length: number, flags: number): number;
  shutdown(fd: number, how: number): number;
  close(fd: number): number;

  setOptionInt(fd: number, level: number, name: number, value: number): number;
  setOptionBytes(fd: number, level: number, name: number, address: number, length: number): number;
  /** @returns the option's int value (never negative for the options used here), or a negative errno. */
  getOptionInt(fd: number, level: number, name: number): number;
  /** SO_LINGER on with 0 seconds: the next close sends RST and discards what the kernel still holds. */
  resetOnClose(fd: number): number;
  /** Bytes that the kernel still holds unacknowledged for the peer (SIOCOUTQ). */
  unsentBytes(fd: number): number;

  /** A counter that wakes an `epollWait`. */
  eventfd(): number;
  /** Adds 1 to an eventfd. */
  eventfdSignal(fd: number): number;
  /** Sets an eventfd back to 0. @returns 0, or -EAGAIN where it was 0 */
  eventfdDrain(fd: number): number;

  /** pipe2(2). Writes two int32 (read end, write end) at `address`. */
  pipe(address: number): number;
  /** splice(2) without offsets. `flags`: SPLICE_F_*; NONBLOCK is always added. @returns bytes moved, 0 at end of stream */
  splice(fdIn: number, fdOut: number, length: number, flags: number): number;
  fcntl(fd: number, command: number, argument: number): number;

  /** Slow path: unlinks the path of a Unix socket. */
  unlink(path: string): number;
  /** Slow path: chmod(2). */
  chmod(path: string, mode: number): number;
  /**
   * Slow path: which socket file stands at `path` (symbolic links not followed).
   * @returns its inode number, -ENOENT where there is nothing, -ENOTSOCK where it is another kind of file
   */
  socketInode(path: string): number;
  /** Slow path: raises RLIMIT_NOFILE to its hard limit. @returns the soft limit now in force */
  raiseDescriptorLimit(): number;
}
