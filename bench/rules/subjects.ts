// What the works of rules start, beside proxies with lists (connection-subjects.ts): matchers in processes of the benchmark's own.

import { existsSync } from 'node:fs';
import { compiled } from '../checkout.ts';
import { nextMessage, startChild } from '../process/child.ts';
import { sluice } from '../subjects/sluice.ts';
import type { Subject } from '../subjects/subject.ts';
import { CONNECTION_SUBJECTS } from './connection-subjects.ts';
import { rulesDaemon } from './daemon.ts';

/** Room for young objects, so that a run whose decisions allocated would show all of it, and no collection in between. */
const NODE_OPTIONS = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=256'];

/** A process that waits for the order to decide. */
function matcher(name: string): Subject {
  const program = compiled('./rules/matcher/matcher-process.js');
  return {
    name,
    missing: () => (existsSync(program) ? undefined : `${program} is not built (npm run build)`),
    version: sluice.version,
    async start(setting) {
      const child = startChild(setting.core, [process.execPath, ...NODE_OPTIONS, program], {
        channel: true,
        directory: setting.directory,
      });
      return {
        port: 0,
        pids: [child.pid],
        output: child.output,
        stop: child.stop,
        async ask(order, timeoutMs) {
          child.process.send(order);
          const reply = await nextMessage<{ answer: unknown } | { error: string }>(child, timeoutMs);
          if ('error' in reply) throw new Error(`the matcher failed: ${reply.error}`);
          return reply.answer;
        },
      };
    },
  };
}

export const RULES_SUBJECTS: readonly Subject[] = [
  ...['snapshot', 'linear', 'interpreter'].map(matcher),
  ...CONNECTION_SUBJECTS,
  rulesDaemon('compiled', false),
  ...['swaps', 'unpublished', 'unpublished-again'].map((name) => rulesDaemon(name, true)),
];
