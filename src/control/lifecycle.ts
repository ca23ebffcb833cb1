// How the daemon ends. Control thread.
//
//   starting ──ready──► ready ──terminate──► draining ──empty or time over──► stopping ──► over
//      └── asked to end: it does, as soon as it has started      └── asked again ─┘
//
// Each step happens at most once, whatever signals arrive in whatever order.

import { DRAINED, STOPPED } from '../layout/reasons.ts';
import type { Log } from './log.ts';
import type { Supervisor } from './supervisor.ts';

export type Phase = 'starting' | 'ready' | 'draining' | 'stopping';

export interface LifecycleInit {
  readonly log: Log;
  readonly supervisor: Pick<Supervisor, 'beginDrain' | 'drained' | 'stop'>;
  /** How long connections may take to end by themselves. */
  readonly drainMs: () => number;
  readonly closeListeners: () => void;
  /** Once, at the first sign of the end. */
  readonly announceEnd: () => void;
  /** Everything that is neither worker nor listener; last. */
  readonly closeRest: () => Promise<void>;
  readonly over: () => void;
}

export interface Lifecycle {
  readonly phase: Phase;
  /** All has started. */
  ready(): void;
  /** SIGTERM: end in order; asked again: now. */
  terminate(): void;
  /** SIGINT: end now. */
  interrupt(): void;
}

export function createLifecycle(init: LifecycleInit): Lifecycle {
  const { log, supervisor } = init;
  let phase: Phase = 'starting';
  let endWanted = false;

  async function drain(): Promise<void> {
    phase = 'draining';
    init.announceEnd();
    const timeoutMs = init.drainMs();
    log.info({ event: 'drain', timeout_ms: timeoutMs }, 'draining: no new connections');
    await supervisor.beginDrain();
    init.closeListeners();
    const isEmpty = await supervisor.drained(timeoutMs);
    if ((phase as Phase) === 'stopping') return;
    log.info(
      { event: 'drain_over', complete: isEmpty },
      isEmpty ? 'all connections ended' : 'drain timed out',
    );
    await stop(DRAINED);
  }

  async function stop(reason: number): Promise<void> {
    phase = 'stopping';
    await supervisor.stop(reason);
    init.closeListeners();
    await init.closeRest();
    log.info({ event: 'stopped' }, 'stopped');
    init.over();
  }

  function interrupt(): void {
    if (phase === 'starting') {
      endWanted = true;
      return;
    }
    if (phase === 'stopping') return;
    if (phase === 'ready') init.announceEnd();
    log.info({ event: 'stop' }, 'stopping now');
    void stop(STOPPED);
  }

  return {
    get phase() {
      return phase;
    },
    ready() {
      phase = 'ready';
      if (endWanted) interrupt();
    },
    terminate() {
      if (phase === 'ready') void drain();
      else interrupt();
    },
    interrupt,
  };
}
