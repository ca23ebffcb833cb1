// All works, in the order of a whole run.

import { GOVERNANCE_WORKS } from './governance/works.ts';
import { RULES_WORKS } from './rules/works.ts';
import type { Work } from './work.ts';
import { WORKS } from './works.ts';

export const EVERY_WORK: readonly Work[] = [...WORKS, ...GOVERNANCE_WORKS, ...RULES_WORKS];
