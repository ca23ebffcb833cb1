// The proxy that anyone would write with Node's own `net`: what a reactor of one's own has to be worth.

import { compiled } from '../checkout.ts';
import { freePort } from '../process/ports.ts';
import { startProxy } from './start.ts';
import type { Subject } from './subject.ts';

export const nodeNet: Subject = {
  name: 'node-net',
  missing: () => undefined,
  version: () => `Node ${process.version}`,
  async start(setting) {
    const port = await freePort();
    const program = compiled('./subjects/node-net-proxy.js');
    return startProxy(setting, port, [process.execPath, program, String(port), String(setting.target)]);
  },
};
