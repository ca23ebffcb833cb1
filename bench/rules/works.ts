// The works of rules (issue 4): what must be reached is in each one's metrics.

import type { Work } from '../work.ts';
import { rulesCompile } from './rules-compile.ts';
import { rulesConnection } from './rules-connection.ts';
import { rulesMatch } from './rules-match.ts';
import { rulesSwaps } from './rules-swaps.ts';

export const RULES_WORKS: readonly Work[] = [rulesMatch, rulesConnection, rulesCompile, rulesSwaps];
