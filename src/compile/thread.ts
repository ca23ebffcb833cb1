// The compiler's thread: takes jobs in their order and answers each. It owns the arena of rules: where blocks lie, and what
// is written there. An exception ends the thread; its successor is told which blocks are still read.

import type { CompilerAnswer, CompilerRequest, CompilerStart } from '../layout/compiler-messages.ts';
import { deriveNameKeys } from '../layout/name-hash.ts';
import { RULE_KEYS_MAX } from '../layout/tables.ts';
import { createBeyond } from './beyond.ts';
import { explain } from './explain.ts';
import { createGeoFiles } from './geo-files.ts';
import { compileJob } from './job.ts';
import type { CompilerState } from './job.ts';
import { createPlacement } from './placement.ts';
import { createRuleKeys } from './rule-keys.ts';

export interface Compiler {
  take(request: CompilerRequest): void;
}

/** @param over is called when it is told to stop */
export function createCompiler(
  start: CompilerStart,
  tell: (answer: CompilerAnswer) => void,
  over: () => void,
): Compiler {
  const arena = new Int32Array(start.arena);
  const state: CompilerState = {
    arena,
    placement: createPlacement(arena, start.kept),
    keys: createRuleKeys(RULE_KEYS_MAX, start.keys),
    geo: createGeoFiles(),
    nameKeys: deriveNameKeys(start.hashKey),
    rulesOf: new Map(),
    tell,
  };
  return {
    take(request) {
      switch (request.kind) {
        case 'compile':
          tell(compileJob(state, request));
          break;
        case 'release': {
          const { snapshotId } = request;
          state.placement.release(snapshotId);
          state.rulesOf.delete(snapshotId);
          tell({ kind: 'released', snapshotId, wordsUsed: state.placement.wordsUsed });
          break;
        }
        case 'explain':
          tell(answerFor(state, request));
          break;
        case 'stop':
          over();
          break;
      }
    },
  };
}

function answerFor(
  { rulesOf }: CompilerState,
  { job, snapshotId, connection }: Extract<CompilerRequest, { kind: 'explain' }>,
): CompilerAnswer {
  const said = rulesOf.get(snapshotId);
  if (said === undefined) {
    // Of a thread that has died: whoever asks has it compiled once more.
    const found = `snapshot ${snapshotId}`;
    return { kind: 'explain_failed', job, mistakes: [{ path: [], found, expected: 'one that is known' }] };
  }
  const answer = explain({ snapshotId, ...said, beyond: createBeyond(said.places) }, connection);
  return 'snapshot' in answer
    ? { kind: 'explained', job, explanation: answer }
    : { kind: 'explain_failed', job, mistakes: answer };
}
