// nginx's stream module, one worker process.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { firstLine } from '../machine.ts';
import { freePort } from '../process/ports.ts';
import { startProxy } from './start.ts';
import type { Subject } from './subject.ts';

const PROGRAM = '/usr/sbin/nginx';
const MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

export const nginx: Subject = {
  name: 'nginx',
  missing() {
    for (const path of [PROGRAM, MODULE]) {
      if (!existsSync(path))
        return `${path} is not installed (apt-get install nginx-light libnginx-mod-stream)`;
    }
    return undefined;
  },
  version: () => firstLine([PROGRAM, '-v'], /nginx\/\S+/),
  async start(setting) {
    const port = await freePort();
    const file = join(setting.directory, 'nginx.conf');
    writeFileSync(
      file,
      `load_module ${MODULE};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${setting.directory}/nginx.pid;
error_log stderr crit;
events { worker_connections 19900; }
stream {
  server {
    listen 127.0.0.1:${port} backlog=4096;
    proxy_pass 127.0.0.1:${setting.target};
    proxy_connect_timeout 10s;
    proxy_timeout 1h;
    proxy_half_close on;
  }
}
`,
    );
    return startProxy(setting, port, [PROGRAM, '-e', 'stderr', '-p', setting.directory, '-c', file]);
  },
};
