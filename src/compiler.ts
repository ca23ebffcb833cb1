// The entry of the compiler's thread (compile/thread.ts). It is never in a hurry: data workers, and the rest of the control
// plane, go first. An exception ends the thread, and nothing else: the control thread starts another.

import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { createCompiler } from './compile/thread.ts';
import type { CompilerRequest, CompilerStart } from './layout/compiler-messages.ts';

if (parentPort === null) throw new Error('this is a thread of the daemon');
const port = parentPort;
const start = workerData as CompilerStart;
try {
  setPriority(start.nice);
} catch {
  // Nothing forbids a thread to step back; without /proc it stays where it is.
}
const compiler = createCompiler(
  start,
  (answer) => port.postMessage(answer),
  () => port.close(),
);
port.on('message', (request: CompilerRequest) => compiler.take(request));
