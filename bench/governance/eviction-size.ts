// Evicting 32 connections of one (service, source) among ever more: what a registry's process measures, as a work.

import { type Comparison, EXTRA_MS, type Metric, type Work } from '../work.ts';
import type { RegistryFigures, RegistryOrder } from './registry/eviction-rounds.ts';
import { REGISTRY_SIZES, registryName } from './subjects.ts';

const SMALLEST = registryName(Math.min(...REGISTRY_SIZES));
const COMPARISON: Comparison = {
  judged: registryName(Math.max(...REGISTRY_SIZES)),
  reference: SMALLEST,
};

/** What the figure of this work is drawn from (draw.ts). */
export const EVICTION_METRIC = 'eviction';
export const SCAN_METRIC = 'scan';
export const SIZE_METRIC = 'registered';
export const EVICTION_SIZE_WORK = 'eviction-size';

const METRICS: readonly Metric[] = [
  { name: EVICTION_METRIC, unit: 'us of the worker, 32 evicted', digits: 0, limits: { [SMALLEST]: 1.3 } },
  { name: 'eviction p90', unit: 'us', digits: 0 },
  { name: SCAN_METRIC, unit: 'us of the worker, walk over all slots, counting', digits: 0 },
  { name: 'link', unit: 'ns a connection, into its lists', digits: 0, plain: true },
  { name: 'unlink', unit: 'ns a connection, out of them', digits: 0, plain: true },
  { name: 'memory', unit: 'B a connection', digits: 0, plain: true },
  { name: SIZE_METRIC, unit: 'connections', digits: 0, plain: true },
  { name: 'real', unit: 'of them are sockets', digits: 0, plain: true },
];

const FILL_MS_A_MILLION = 60_000;
/** Marks the runs apart; each is repeatable. */
let runs = 0;

export const evictionSize: Work = {
  name: EVICTION_SIZE_WORK,
  title: 'evict 32 connections of one (service, source) among 1,000 to 1,000,000',
  service: 0,
  subjects: REGISTRY_SIZES.map(registryName),
  comparison: COMPARISON,
  metrics: METRICS,
  async measure(_bench, running, { governance }, _rate, subject) {
    const size = Math.floor(Number(subject.slice(registryName(0).length - 1)) / governance.sizeDivisor);
    const order: RegistryOrder = {
      size,
      realMax: governance.realConnectionsMax,
      warmup: governance.evictionsWarmup,
      evictions: governance.evictions,
      scans: governance.scans,
      seed: ++runs,
    };
    const timeoutMs = 2 * EXTRA_MS + (size / 1e6) * FILL_MS_A_MILLION;
    const found = (await running.ask?.(order, timeoutMs)) as RegistryFigures;
    return {
      figures: {
        [EVICTION_METRIC]: found.evictionUs,
        'eviction p90': found.evictionP90Us,
        [SCAN_METRIC]: found.scanUs,
        link: found.linkNs,
        unlink: found.unlinkNs,
        memory: found.bytesEach,
        [SIZE_METRIC]: found.registered,
        real: found.real,
      },
    };
  },
};
