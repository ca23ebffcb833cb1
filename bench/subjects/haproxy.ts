// HAProxy in TCP mode, one thread; copying as it does by default, or with `option splice-auto`.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { firstLine } from '../machine.ts';
import { freePort } from '../process/ports.ts';
import { startProxy } from './start.ts';
import type { Subject } from './subject.ts';

const PROGRAM = '/usr/sbin/haproxy';
/** Each takes two descriptors (splicing: and up to two pipes), and 20,000 are what common hard limits allow. */
const CONNECTIONS_MAX = 9900;
const SPLICED_CONNECTIONS_MAX = 2000;

export function haproxy(name: string, splice: boolean): Subject {
  return {
    name,
    missing: () =>
      existsSync(PROGRAM) ? undefined : `${PROGRAM} is not installed (apt-get install haproxy)`,
    version: () => firstLine([PROGRAM, '-v'], /HAProxy version \S+/),
    async start(setting) {
      const port = await freePort();
      const file = join(setting.directory, 'haproxy.cfg');
      const connectionsMax = splice ? SPLICED_CONNECTIONS_MAX : CONNECTIONS_MAX;
      writeFileSync(
        file,
        `global
  nbthread 1
  maxconn ${connectionsMax}
defaults
  mode tcp
  maxconn ${connectionsMax}
  timeout connect 10s
  timeout client 1h
  timeout server 1h
${splice ? '  option splice-auto\n' : ''}listen bench
  bind 127.0.0.1:${port} backlog 4096
  server origin 127.0.0.1:${setting.target}
`,
      );
      return startProxy(setting, port, [PROGRAM, '-db', '-f', file]);
    },
  };
}
