// The origin as a process of its own: answers its parent once with the port of its control service, then stays in the
// loop until it is killed or its parent is gone. It never returns to Node's event loop.

import { createLibc } from '../../src/sys/libc/libc.ts';
import { CONTROL, Origin } from './origin.ts';
import { Poll } from './poll.ts';

const PARENT_CHECK_MS = 500;

function serve(origin: Origin, poll: Poll): never {
  const parent = process.ppid;
  for (;;) {
    const count = poll.wait(origin.readyCount > 0 ? 0 : PARENT_CHECK_MS);
    for (let index = 0; index < count; index++) {
      origin.handle(poll.role(index), poll.token(index), poll.mask(index));
    }
    origin.runReady();
    if (count === 0 && process.ppid !== parent) process.exit(0);
  }
}

const sys = createLibc();
sys.raiseDescriptorLimit();
const poll = new Poll(sys);
const origin = new Origin(sys, poll);
const controlPort = origin.listen(CONTROL);
if (process.send === undefined) throw new Error('the origin is started by the benchmark, over a channel');
process.send({ controlPort }, () => serve(origin, poll));
