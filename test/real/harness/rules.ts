// Changes rules of a daemon over its API, to the end: one that takes over a second, as on a busy machine, is followed.

import { expect } from 'vitest';
import type { RulesChangedAnswer } from '../../../src/api/rule-schemas.ts';
import type { Daemon } from './daemon.ts';
import { until } from './until.ts';

const TIMEOUT_MS = 60_000;

interface Followed {
  readonly id: number;
  readonly state: string;
  readonly result: RulesChangedAnswer | null;
  readonly problem: unknown;
}

/** @returns what the change came to */
export async function changeRules(
  daemon: Daemon,
  body: object,
  method = 'PUT',
  path = '/v1/rules',
): Promise<RulesChangedAnswer> {
  const { status, text } = await daemon.api(method, path, body);
  if (status !== 202) {
    expect([status, text]).toEqual([200, text]);
    return JSON.parse(text) as RulesChangedAnswer;
  }
  let followed = JSON.parse(text) as Followed;
  await until(
    'the rules are installed',
    async () => {
      const answer = await daemon.api('GET', `/v1/rules/installations/${followed.id}`);
      followed = JSON.parse(answer.text) as Followed;
      return followed.result !== null || followed.problem !== null;
    },
    TIMEOUT_MS,
  );
  expect(followed.problem).toBeNull();
  return followed.result as RulesChangedAnswer;
}
