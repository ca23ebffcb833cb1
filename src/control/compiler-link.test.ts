import { expect, it } from 'vitest';
import type { CompilerAnswer, CompilerRequest } from '../layout/compiler-messages.ts';
import { createCompilerLink } from './compiler-link.ts';
import type { CompilerThread } from './compiler-link.ts';

/** A thread that answers nothing, and takes nothing that can't be copied. */
function setUp() {
  const requests: CompilerRequest[] = [];
  const logged: object[] = [];
  let end: (code: number) => void = () => {};
  const thread: CompilerThread = {
    on(event: string, listener: (code: number & CompilerAnswer & Error) => void) {
      if (event === 'exit') end = listener as (code: number) => void;
    },
    postMessage: (request) => void requests.push(structuredClone(request)),
    async terminate() {
      end(1);
    },
  };
  const note = (facts: object) => void logged.push(facts);
  const link = createCompilerLink({
    spawn: () => thread,
    known: () => ({ kept: [], keys: [] }),
    released: () => {},
    log: { info: note, warn: note, error: note },
  });
  const compile = (rule: unknown) =>
    link.compile({
      snapshotId: 1,
      apiRules: [rule],
      fileRules: [],
      ruleSets: [],
      geo: [],
      outbounds: [],
      inbounds: [],
      freedRules: [],
      changing: 'api',
      load: async () => [],
      progress: () => {},
    });
  return { link, compile, requests, logged, die: () => end(1) };
}

it('remembers nothing of a job that could not be sent', async () => {
  const { compile, requests, logged, die } = setUp();
  await expect(compile({ port: () => 1 })).rejects.toThrow('could not be cloned');
  expect(requests).toEqual([]);
  const sent = compile({ port: 1 });
  die();
  await expect(sent).rejects.toMatchObject({ code: 'compiler_failed' });
  expect(logged).toMatchObject([{ event: 'compiler_died', jobs: 1 }]);
});
