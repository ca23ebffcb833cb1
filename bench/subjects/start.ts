// How a subject that is a program gets going.

import { type Child, startChild } from '../process/child.ts';
import { waitUntilAccepts } from '../process/ports.ts';
import { processTree } from '../process/processor-time.ts';
import type { Running, Setting } from './subject.ts';

/** Starts `command` and waits until it accepts on `port`, or until `isReady` says so. */
export async function startProxy(
  setting: Setting,
  port: number,
  command: readonly string[],
  isReady: (child: Child) => Promise<void> = (child) => waitUntilAccepts(port, child),
): Promise<Running> {
  const child = startChild(setting.core, command, { directory: setting.directory });
  try {
    await isReady(child);
  } catch (error) {
    await child.stop();
    throw error;
  }
  return { port, pids: processTree(child.pid), output: child.output, stop: child.stop };
}
