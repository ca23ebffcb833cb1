// `npm run bench`: measures Sluice and its peers side by side, prints tables, and writes what was found, with the
// machine's facts, to bench/results/. README.md in this folder says what the figures mean.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openBench } from './bench.ts';
import { CHECKOUT } from './checkout.ts';
import { judge, type Row } from './judge.ts';
import { describeMachine } from './machine.ts';
import { EVERY_WORK } from './every-work.ts';
import { GOVERNANCE_SUBJECTS } from './governance/subjects.ts';
import { runWork, type WorkRun } from './rounds.ts';
import { RULES_SUBJECTS } from './rules/subjects.ts';
import { direct } from './subjects/direct.ts';
import { haproxy } from './subjects/haproxy.ts';
import { nginx } from './subjects/nginx.ts';
import { nodeNet } from './subjects/node-net.ts';
import { sluice } from './subjects/sluice.ts';
import type { Subject } from './subjects/subject.ts';
import { formatWork } from './table.ts';
import { fullScale, TINY_SCALE, type Work } from './work.ts';

const SUBJECTS: readonly Subject[] = [
  sluice,
  haproxy('haproxy', false),
  haproxy('haproxy-again', false),
  haproxy('haproxy-splice', true),
  nginx,
  nodeNet,
  direct,
  ...GOVERNANCE_SUBJECTS,
  ...RULES_SUBJECTS,
];

const USAGE = `node dist/bench/main.js [options]
  --only NAMES      works, by comma: ${EVERY_WORK.map((work) => work.name).join(' ')}
  --subjects NAMES  subjects, by comma: ${SUBJECTS.map((subject) => subject.name).join(' ')}
  --rounds N        runs of each subject in each work (5)
  --seconds N       measured time of a run (3)
  --patience N      how often a run that others disturbed is repeated (2)
  --name NAME       of the file of results (bench)
  --results FOLDER  where the file goes (bench/results)
  --tiny            a moment of everything, to see that it runs`;

function parseCommand() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      subjects: { type: 'string' },
      rounds: { type: 'string' },
      patience: { type: 'string' },
      seconds: { type: 'string', default: '3' },
      name: { type: 'string', default: 'bench' },
      results: { type: 'string', default: join(CHECKOUT, 'bench/results') },
      tiny: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds ?? (values.tiny ? 1 : 5));
  const seconds = Number(values.seconds);
  const patience = Number(values.patience ?? (values.tiny ? 0 : 2));
  if (!Number.isInteger(rounds) || rounds < 1 || !(seconds > 0))
    throw new Error('rounds and seconds are above 0');
  return {
    help: values.help,
    works: choose(EVERY_WORK, values.only, 'work'),
    subjects: choose(SUBJECTS, values.subjects, 'subject'),
    scale: values.tiny ? TINY_SCALE : fullScale(seconds),
    rounds,
    patience,
    name: values.name,
    folder: values.results,
  };
}

function choose<T extends { readonly name: string }>(
  all: readonly T[],
  names: string | undefined,
  what: string,
) {
  if (names === undefined) return all;
  return names.split(',').map((name) => {
    const found = all.find((each) => each.name === name);
    if (found === undefined) {
      throw new Error(`no ${what} is named "${name}"; there are ${all.map((each) => each.name).join(', ')}`);
    }
    return found;
  });
}

function presentSubjects(subjects: readonly Subject[]): Subject[] {
  return subjects.filter((subject) => {
    const reason = subject.missing();
    if (reason !== undefined) process.stdout.write(`! ${subject.name} skipped: ${reason}\n`);
    return reason === undefined;
  });
}

interface Finding {
  readonly run: WorkRun;
  readonly rows: readonly Row[];
}

/** Results as plain JSON: every round's figures, the medians, the verdicts. */
function toJson({ run, rows }: Finding): unknown {
  return {
    work: run.work.name,
    title: run.work.title,
    requestsPerSecond: run.requestsPerSecond === 0 ? undefined : run.requestsPerSecond,
    remarks: run.remarks,
    disturbed: Object.fromEntries(run.disturbed),
    metrics: rows.map((row) => ({
      metric: row.metric.name,
      unit: row.metric.unit,
      subjects: Object.fromEntries(row.cells),
      sameAgainP95: row.sameAgain,
      verdicts: row.verdicts,
    })),
  };
}

async function main(): Promise<void> {
  const command = parseCommand();
  if (command.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const { works } = command;
  const subjects = presentSubjects(
    command.subjects.filter(({ name }) => works.some((work) => work.subjects.includes(name))),
  );
  const machine = describeMachine(Object.fromEntries(subjects.map((each) => [each.name, each.version()])));
  process.stdout.write(`${JSON.stringify(machine)}\n\n`);
  const bench = await openBench();
  const findings: Finding[] = [];
  try {
    for (const work of works) findings.push(await measure(work));
  } finally {
    await bench.close();
  }
  async function measure(work: Work): Promise<Finding> {
    const chosen = subjects.filter((subject) => work.subjects.includes(subject.name));
    const run = await runWork(bench, work, chosen, command.scale, command.rounds, command.patience);
    const rows = judge(run);
    process.stdout.write(`${formatWork(run, rows, command.rounds)}\n`);
    return { run, rows };
  }
  const date = new Date().toISOString();
  const file = join(command.folder, `${date.slice(0, 16).replace(':', '')}Z-${command.name}.json`);
  mkdirSync(command.folder, { recursive: true });
  const { scale, rounds } = command;
  writeFileSync(
    file,
    `${JSON.stringify({ date, machine, pinned: bench.cores, scale, rounds, works: findings.map(toJson) }, null, 2)}\n`,
  );
  process.stdout.write(`written to ${file}\n`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Exiting ends every child, see process/child.ts.
  process.once(signal, () => process.exit(130));
}
main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
