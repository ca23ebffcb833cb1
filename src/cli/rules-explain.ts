// `sluice rules explain`: POST /v1/rules/explain. Nothing is looked up for it: what the line does not say is not known.

import type { ExplanationAnswer } from '../api/rule-explain.ts';
import { ask, type DaemonOptions } from './client.ts';
import { type OutputOptions, printAnswer } from './refusal.ts';
import { type ConnectionOptions, connectionOf, formatExplanation } from './rule-connection.ts';

export async function explainCommand(
  options: ConnectionOptions & DaemonOptions & OutputOptions,
): Promise<number> {
  const body = connectionOf(options);
  const answer = await ask({ method: 'POST', path: '/v1/rules/explain', body }, options);
  return printAnswer(answer, options, () => {
    const explanation = answer.body as ExplanationAnswer;
    return `snapshot ${explanation.snapshot}, ${formatExplanation(explanation)}`;
  });
}
