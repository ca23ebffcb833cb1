// The C library's functions as koffi binds them: the only file that loads it. Nothing is compiled or shipped; the
// symbols are those that the running node process has linked already.
//
// Call form, measured (ns a call, FACTS.md): pointers travel as `uint64` holding an address computed once, sizes as
// `int`, results as `int`. A typed array passed per call costs as much again, an int64 result allocates above 2^31.
// Variadic functions (fcntl, ioctl) are called with fixed integers, which the x86-64 and arm64 Linux ABIs allow.

import koffi from 'koffi';

const library = koffi.load(null);

type Call = (...integers: number[]) => number;

function bind(name: string, parameters: string[]): Call {
  return library.func(name, 'int', parameters) as unknown as Call;
}

export const epollCreate1Call = bind('epoll_create1', ['int']);
export const epollCtlCall = bind('epoll_ctl', ['int', 'int', 'int', 'uint64']);
export const epollWaitCall = bind('epoll_wait', ['int', 'uint64', 'int', 'int']);
export const socketCall = bind('socket', ['int', 'int', 'int']);
export const bindCall = bind('bind', ['int', 'uint64', 'int']);
export const listenCall = bind('listen', ['int', 'int']);
export const accept4Call = bind('accept4', ['int', 'uint64', 'uint64', 'int']);
export const connectCall = bind('connect', ['int', 'uint64', 'int']);
export const getsocknameCall = bind('getsockname', ['int', 'uint64', 'uint64']);
export const getpeernameCall = bind('getpeername', ['int', 'uint64', 'uint64']);
export const recvCall = bind('recv', ['int', 'uint64', 'int', 'int']);
export const sendCall = bind('send', ['int', 'uint64', 'int', 'int']);
export const shutdownCall = bind('shutdown', ['int', 'int']);
export const closeCall = bind('close', ['int']);
export const setsockoptCall = bind('setsockopt', ['int', 'int', 'int', 'uint64', 'int']);
export const getsockoptCall = bind('getsockopt', ['int', 'int', 'int', 'uint64', 'uint64']);
export const ioctlCall = bind('ioctl', ['int', 'uint64', 'uint64']);
export const eventfdCall = bind('eventfd', ['uint32', 'int']);
export const readCall = bind('read', ['int', 'uint64', 'int']);
export const writeCall = bind('write', ['int', 'uint64', 'int']);
export const pipe2Call = bind('pipe2', ['uint64', 'int']);
export const spliceCall = bind('splice', ['int', 'uint64', 'int', 'uint64', 'int', 'uint32']);
export const fcntlCall = bind('fcntl', ['int', 'int', 'int64']);
export const getrlimitCall = bind('getrlimit', ['int', 'uint64']);
export const setrlimitCall = bind('setrlimit', ['int', 'uint64']);
/** sched_setattr(2), which has no function of its own in the C library. */
export const schedSetattrCall = bind('syscall', ['int64', 'int', 'uint64', 'int']);
export const clockGettimeCall = bind('clock_gettime', ['int', 'uint64']);

/** Where the calling thread keeps errno; another thread's view would read another thread's errors. */
const errnoPointer = (library.func('__errno_location', 'void *', []) as unknown as () => bigint)();

/** errno of the thread that loaded this module: a worker loads its own instance. Reading it costs 7 ns. */
export const errnoWord = new Int32Array(koffi.view(errnoPointer, 4));

/**
 * The address of a typed array's first byte. Asking for `.buffer` first moves a small array off V8's heap, where a
 * garbage collection could move it again.
 */
export function addressOfArray(array: Uint8Array | Int32Array | BigUint64Array): number {
  if (array.buffer.byteLength === 0) return 0;
  return Number(koffi.address(array));
}
