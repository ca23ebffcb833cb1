// The works of governance (issue 3): what must be reached is in each one's metrics.

import type { Work } from '../work.ts';
import { evictionChurn } from './eviction-churn.ts';
import { evictionSize } from './eviction-size.ts';
import { indexCost } from './index-cost.ts';
import { servicesLoad } from './services-load.ts';

export const GOVERNANCE_WORKS: readonly Work[] = [evictionSize, evictionChurn, ...indexCost, ...servicesLoad];
