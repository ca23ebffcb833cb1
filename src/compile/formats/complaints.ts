// What is wrong with a rule-set file, gathered while it is read. A file of a million bad lines is told about by the first
// hundred and a count: neither memory nor whoever reads the answer has room for the rest. Compiler's thread and CLI.

import type { RuleComplaint } from '../../layout/compiler-messages.ts';

/** Told one by one; of those behind only the number. */
const COMPLAINTS_TOLD_MAX = 100;

export interface Complaints {
  readonly fileName: string;
  readonly told: RuleComplaint[];
  untold: number;
}

export function newComplaints(fileName: string): Complaints {
  return { fileName, told: [], untold: 0 };
}

export function complain(complaints: Complaints, complaint: RuleComplaint): void {
  if (complaints.told.length >= COMPLAINTS_TOLD_MAX) complaints.untold++;
  else complaints.told.push({ ...complaint, fileName: complaints.fileName });
}

/** @param what of the untold: `mistakes`, `warnings` */
export function allComplaints(complaints: Complaints, what: string): RuleComplaint[] {
  if (complaints.untold === 0) return complaints.told;
  const message = `and ${complaints.untold} more ${what}, which are not told`;
  const rest = { path: [], found: `${complaints.untold} more`, expected: 'none', message };
  return [...complaints.told, { ...rest, fileName: complaints.fileName }];
}
