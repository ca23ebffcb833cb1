// What is known of the last installations of rules, for whoever waits for a large one. Control thread.

import type { InstallationProgress } from './rules-control.ts';

const KEPT = 64;

export type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
export type Progress = Mutable<InstallationProgress>;

export interface RuleInstallations {
  begin(cause: InstallationProgress['cause']): Progress;
  find(id: number): InstallationProgress | undefined;
  /** The newest first. */
  list(): InstallationProgress[];
}

export function createRuleInstallations(): RuleInstallations {
  const kept = new Map<number, Progress>();
  let lastId = 0;
  return {
    begin(cause) {
      const progress: Progress = {
        id: ++lastId,
        cause,
        state: 'queued',
        startedAtMs: Date.now(),
        compiling: undefined,
        snapshot: undefined,
        result: undefined,
        error: undefined,
      };
      kept.set(progress.id, progress);
      for (const [id, { state }] of kept) {
        if (kept.size <= KEPT) break;
        // Those under way are looked for by somebody.
        if (state === 'done' || state === 'failed') kept.delete(id);
      }
      return progress;
    },
    find: (id) => kept.get(id),
    list: () => [...kept.values()].reverse(),
  };
}
