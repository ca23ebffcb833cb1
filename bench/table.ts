// The printed form of a work's figures: a line for each metric, a column for each subject, ratios to the reference in
// brackets, and what was to be reached.

import type { Row, Verdict } from './judge.ts';
import { DISTURBED_SHARE, type WorkRun } from './rounds.ts';
import { comparisonOf } from './work.ts';

const ABSENT = '-';

export function formatWork(run: WorkRun, rows: readonly Row[], rounds: number): string {
  const subjects = [...run.figures.keys()];
  const lines: string[][] = [['', ...subjects, '']];
  for (const row of rows) {
    const cells = subjects.map((subject) => formatCell(row, subject));
    lines.push([`${row.metric.name} (${row.metric.unit})`, ...cells, formatJudgement(row)]);
  }
  const rate = run.requestsPerSecond === 0 ? '' : `, at ${run.requestsPerSecond} a second`;
  const { reference } = comparisonOf(run.work);
  const ratio = reference === undefined ? '' : `, (ratio to ${reference})`;
  const heading = `${run.work.name}: ${run.work.title}${rate}; median of ${rounds}${ratio}`;
  const remarks = [...run.remarks, ...formatDisturbance(run)].map((remark) => `  ! ${remark}`);
  return [heading, ...align(lines), ...remarks, ''].join('\n');
}

function formatDisturbance(run: WorkRun): string[] {
  const shares = [...run.disturbed].filter(([, share]) => share > DISTURBED_SHARE);
  if (shares.length === 0) return [];
  const list = shares.map(([subject, share]) => `${subject} ${(share * 100).toFixed(0)} %`).join(', ');
  return [`others used a core meanwhile: ${list}`];
}

function formatCell(row: Row, subject: string): string {
  const cell = row.cells.get(subject);
  if (cell === undefined || !Number.isFinite(cell.median)) return ABSENT;
  const ratio = cell.ratio === undefined ? '' : ` (${cell.ratio.toFixed(2)})`;
  return `${cell.median.toFixed(row.metric.digits)}${ratio}`;
}

function formatJudgement(row: Row): string {
  const again = row.sameAgain === undefined ? [] : [`A/A p95 ${row.sameAgain.toFixed(2)}`];
  return [...row.verdicts.map((verdict) => formatVerdict(verdict, row.metric.digits)), ...again].join('; ');
}

function formatVerdict(verdict: Verdict, digits: number): string {
  const { against, limit, found, holds } = verdict;
  const what = against === 'absolute' ? found.toFixed(digits) : `${found.toFixed(2)} of ${against}`;
  return `${holds ? 'HOLDS' : 'MISSED'}: ${what}, limit ${limit}`;
}

function align(lines: readonly string[][]): string[] {
  const widths: number[] = [];
  for (const line of lines) {
    line.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return lines.map((line) => {
    const cells = line.map((cell, column) => {
      const width = widths[column] ?? 0;
      const last = column === line.length - 1;
      return column === 0 || last ? cell.padEnd(width) : cell.padStart(width);
    });
    return `  ${cells.join('  ')}`.trimEnd();
  });
}
