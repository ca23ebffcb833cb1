// No proxy: what the generator, the origin and the kernel between them cost alone.

import type { Subject } from './subject.ts';

export const direct: Subject = {
  name: 'direct',
  missing: () => undefined,
  version: () => 'none',
  start: async (setting) => ({ port: setting.target, pids: [], output: () => '', stop: async () => {} }),
};
