// The life of a data worker: warm, ready, turning until it is told to stop, closed. Owner worker only.
//
//   starting ──warm──► ready ──drain──► draining ──► stopped
//       └── told to drain while it warmed ──┘

import { WORKER_READY, WORKER_STARTING, WORKER_STOPPED } from './layout/worker.ts';
import type { DataWorker } from './path/data-worker.ts';
import { closeDataWorker, turn } from './path/start.ts';
import { warm } from './path/warm.ts';

const SLEEP_MS_MAX = 1_000;

export function runDataWorker(w: DataWorker): void {
  warm(w);
  // Warming ends with the first look into the mailbox: who was told to drain by then is no longer to look ready.
  if (w.row.life(w.index) === WORKER_STARTING) w.row.setLife(w.index, WORKER_READY);
  w.mailbox.post({ kind: 'ready' });
  while (!w.stopped) turn(w, SLEEP_MS_MAX);
  closeDataWorker(w);
  w.row.setLife(w.index, WORKER_STOPPED);
}
