// `sluice reload`: POST /v1/reload. What was wrong is printed as `sluice check` does.

import type { Static } from 'typebox';
import type { Problem } from '../api/problem.ts';
import type { reloadedSchema } from '../api/reload.ts';
import { formatMistakes } from '../config/mistakes.ts';
import type { Mistake, RequestMistake } from '../config/mistakes.ts';
import { ask } from './client.ts';
import type { DaemonOptions } from './client.ts';
import { EXIT_OK, EXIT_REFUSED } from './exit-codes.ts';
import { mistakeLine, reasonOf } from './refusal.ts';

type Reloaded = Static<typeof reloadedSchema>;

export async function reloadCommand(options: DaemonOptions & { readonly json?: boolean }): Promise<number> {
  const { status, body } = await ask({ method: 'POST', path: '/v1/reload' }, options);
  const isDone = status === 200;
  if (options.json) process.stdout.write(`${JSON.stringify(body, undefined, 2)}\n`);
  else if (isDone) process.stdout.write(formatReloaded(body as Reloaded));
  else process.stderr.write(formatRefusal(body as Problem));
  return isDone ? EXIT_OK : EXIT_REFUSED;
}

function formatReloaded(reloaded: Reloaded): string {
  const lines: string[] = [];
  for (const kind of ['inbounds', 'outbounds', 'services'] as const) {
    for (const change of ['added', 'changed', 'removed'] as const) {
      const names = reloaded[kind][change];
      if (names.length > 0) lines.push(`${kind} ${change}: ${shortened(names)}`);
    }
  }
  for (const change of ['added', 'changed', 'removed'] as const) {
    if (reloaded.users[change] > 0) lines.push(`users ${change}: ${reloaded.users[change]}`);
  }
  for (const change of ['added', 'removed'] as const) {
    if (reloaded.server_names[change] > 0)
      lines.push(`server names ${change}: ${reloaded.server_names[change]}`);
  }
  const { ended, last_gone_us: lastGoneUs } = reloaded.reconciled;
  if (ended > 0)
    lines.push(`connections no longer allowed: ${ended}, gone after ${Math.round(lastGoneUs / 1_000)} ms`);
  if (lines.length === 0) lines.push('nothing has changed');
  if (reloaded.restart_needed.length > 0) {
    lines.push(`waits for a restart: ${reloaded.restart_needed.join(', ')}`);
  }
  lines.push(...reloaded.warnings.map((warning) => `warning: ${warning}`));
  return `plan ${reloaded.plan} in force after ${reloaded.duration_ms} ms\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

const NAMES_SHOWN_MAX = 20;

function shortened(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN_MAX;
  return names.slice(0, NAMES_SHOWN_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** Mistakes of the file have a place in it; those of rules, also of the API's, and of rule sets have none. */
type Refusal = Problem & {
  readonly mistakes?: readonly (Mistake | RequestMistake)[];
  readonly fileName?: string;
};

function formatRefusal(problem: Problem): string {
  const { mistakes = [], fileName = '' } = problem as Refusal;
  const details = mistakes.map((mistake) =>
    'line' in mistake ? formatMistakes([mistake], fileName) : mistakeLine(mistake),
  );
  // Only then has something changed: the file is in force, but a worker has not said so.
  const verdict =
    problem.code === 'plan_not_applied' ? 'reload incomplete' : 'reload refused, nothing has changed';
  return `${details.join('')}sluice: ${verdict}: ${reasonOf(problem)}\n`;
}
