// A hundred thousand services: how long they take to load, from a file and over the API; how long a change of one takes among
// them; and what they cost while nothing happens.

import { setTimeout as delay } from 'node:timers/promises';
import { median, quantile } from '../judge.ts';
import { ECHO } from '../load/origin.ts';
import { ProcessorTime } from '../process/processor-time.ts';
import type { Running } from '../subjects/subject.ts';
import type { Comparison, Work } from '../work.ts';
import { ApiClient } from './api-client.ts';
import { serviceName, serviceNumber } from './service-definitions.ts';

const ALONE: Comparison = { judged: 'services' };
const BESIDE_ONE: Comparison = { judged: 'services-many', direct: 'services-1' };
const MERGE_PATCH = 'application/merge-patch+json';
const SETTLE_MS = 2000;

function clientOf(running: Running): ApiClient {
  if (running.governed === undefined) throw new Error('the subject has no API');
  return new ApiClient(running.governed.socketPath);
}

const overApi: Work = {
  name: 'services-load',
  title: '100,000 services over the API, and changes of one among them',
  service: ECHO,
  subjects: ['services'],
  comparison: ALONE,
  metrics: [
    { name: 'load', unit: 's, POST /v1/services', digits: 2, plain: true, limits: { absolute: 3 } },
    { name: 'patch p50', unit: 'ms', digits: 2, plain: true },
    { name: 'patch p99', unit: 'ms', digits: 2, plain: true, limits: { absolute: 10 } },
    { name: 'in force p50', unit: 'ms, as the answer says', digits: 3, plain: true },
    { name: 'in force p99', unit: 'ms, as the answer says', digits: 3, plain: true },
  ],
  async measure(_bench, running, { governance }) {
    const client = clientOf(running);
    try {
      const services = Array.from({ length: governance.services }, (_, number) => serviceNumber(number));
      const load = await client.send('POST', '/v1/services', JSON.stringify({ services }));
      const patches: number[] = [];
      const inForce: number[] = [];
      for (let i = 0; i < governance.patches; i++) {
        const path = `/v1/services/${serviceName((i * 7919) % governance.services)}`;
        const answer = await client.send('PATCH', path, patchNumber(i), MERGE_PATCH);
        patches.push(answer.milliseconds);
        const { effective_us: effectiveUs } = JSON.parse(answer.text) as { effective_us: number };
        inForce.push(effectiveUs / 1000);
      }
      return {
        figures: {
          load: load.milliseconds / 1000,
          'patch p50': median(patches),
          'patch p99': quantile(patches, 0.99),
          'in force p50': median(inForce),
          'in force p99': quantile(inForce, 0.99),
        },
      };
    } finally {
      client.close();
    }
  },
};

/** Policy of every kind, in turn. */
function patchNumber(number: number): string {
  const kinds = [
    { sources: ['10.0.0.0/8', `192.0.2.${number & 0xff}`] },
    { enabled: number % 8 < 4 },
    { outbound: 'direct' },
    { outbound: null },
  ];
  return JSON.stringify(kinds[number % kinds.length]);
}

const fromFile: Work = {
  name: 'services-start',
  title: 'from the start of the process until it is ready, with 100,000 services in its file, and with one',
  service: ECHO,
  subjects: ['services-many', 'services-1'],
  comparison: BESIDE_ONE,
  metrics: [
    { name: 'ready', unit: 's', digits: 2, plain: true },
    {
      name: 'ready',
      unit: 's beyond one service',
      digits: 2,
      plain: true,
      beyondDirect: true,
      limits: { absolute: 3 },
    },
  ],
  measure: async (_bench, running) => ({
    figures: { ready: (running.governed?.startMs ?? Number.NaN) / 1000 },
  }),
};

const idle: Work = {
  name: 'services-idle',
  title: 'CPU of a daemon to which nothing happens, with 100,000 services, and with one',
  service: ECHO,
  subjects: ['services-many', 'services-1'],
  comparison: BESIDE_ONE,
  metrics: [
    { name: 'cpu', unit: 'ms a second', digits: 3, plain: true },
    {
      name: 'cpu',
      unit: 'ms a second beyond one service',
      digits: 3,
      plain: true,
      beyondDirect: true,
      limits: { absolute: 1 },
    },
  ],
  async measure(_bench, running, { governance }) {
    // What starting left behind (collections of garbage, timers of libraries) is over by then.
    await delay(Math.min(SETTLE_MS, governance.idleMs));
    const processor = new ProcessorTime(running.pids);
    processor.start();
    const beganMs = performance.now();
    await delay(governance.idleMs);
    const cpuNs = processor.stop();
    return { figures: { cpu: cpuNs / 1e6 / ((performance.now() - beganMs) / 1000) } };
  },
};

export const servicesLoad: readonly Work[] = [overApi, fromFile, idle];
