// How long the reference set takes through a running daemon: a reload that brings rule sets and rules, all of them new; and changes
// of all 1,000 rules over the API, beside which the rule sets stay. Whose CPU it is, by thread.

import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ApiClient } from '../governance/api-client.ts';
import { median } from '../judge.ts';
import { ECHO } from '../load/origin.ts';
import { difference, threadTimes } from '../process/thread-times.ts';
import type { Comparison, Work } from '../work.ts';
import { LATER_FILE, rulesOf } from './daemon.ts';

const ALONE: Comparison = { judged: 'compiled' };
const CHANGES = 10;

interface Changed {
  readonly effective_us: number;
  readonly compile: { readonly duration_us: number; readonly cpu_us: number } | null;
}

export const rulesCompile: Work = {
  name: 'rules-compile',
  title: 'the reference set through a running daemon',
  service: ECHO,
  subjects: ['compiled'],
  comparison: ALONE,
  metrics: [
    { name: 'load', unit: 's, POST /v1/reload', digits: 2, plain: true, limits: { absolute: 1.5 } },
    { name: 'compiler', unit: 's CPU of its thread meanwhile', digits: 2, plain: true },
    { name: 'control', unit: 's CPU of control, keeper, V8 and libuv', digits: 2, plain: true },
    { name: 'workers', unit: 'ms CPU', digits: 2, plain: true, limits: { absolute: 10 } },
    { name: 'change', unit: 's, PUT of 1,000 other rules', digits: 3, plain: true },
    { name: 'change compiles', unit: 's of it, CPU of the compiler', digits: 3, plain: true },
  ],
  async measure(_bench, running, { rules }) {
    const { governed, file, pids } = running;
    if (governed === undefined || file === undefined) throw new Error('the subject has no API');
    const bodies = Array.from({ length: CHANGES }, (_, generation) =>
      JSON.stringify({ rules: rulesOf({ reference: rules.size }, generation + 1) }),
    );
    const client = new ApiClient(governed.socketPath);
    try {
      copyFileSync(join(dirname(file), LATER_FILE), file);
      const before = threadTimes(pids);
      const load = await client.send('POST', '/v1/reload', '{}');
      const times = difference(before, threadTimes(pids));
      const changes: number[] = [];
      const compiles: number[] = [];
      for (const body of bodies) {
        const answer = await client.send('PUT', '/v1/rules', body);
        const { compile } = JSON.parse(answer.text) as Changed;
        changes.push(answer.milliseconds / 1000);
        compiles.push((compile?.cpu_us ?? Number.NaN) / 1e6);
      }
      return {
        figures: {
          load: load.milliseconds / 1000,
          compiler: times.compilerNs / 1e9,
          control: times.controlNs / 1e9,
          workers: times.workersNs / 1e6,
          change: median(changes),
          'change compiles': median(compiles),
        },
      };
    } finally {
      client.close();
    }
  },
};
