// What looking a connection up in large lists costs, beside HAProxy with the same lists, and beside both without any. Every
// connection's verdict is compared with what the lists say: one that is wrong is a failure, which stands below the table.

import { ECHO } from '../load/origin.ts';
import { timeWaitCount, waitForTimeWaitRoom } from '../process/ports.ts';
import { busy, type Comparison, CPU_BUSY, EXTRA_MS, type Metric, type Work } from '../work.ts';
import { comersTo, connectionLists } from './connection-lists.ts';
import { WITH_LISTS, WITHOUT_LISTS } from './connection-subjects.ts';

const COMPARISON: Comparison = {
  judged: 'rules',
  reference: 'haproxy-tree',
  again: 'haproxy-tree-again',
};

const METRICS: readonly Metric[] = [
  {
    name: 'cpu',
    unit: 'us CPU a connection',
    digits: 2,
    sameAgainShown: true,
    limits: { 'haproxy-tree': 1 },
  },
  { name: 'p50', unit: 'us from dialling to the end', digits: 0, plain: true },
  { name: 'rate', unit: 'connections/s', digits: 0, plain: true },
  CPU_BUSY,
];

const IN_FLIGHT = 32;

export const rulesConnection: Work = {
  name: 'rules-connection',
  title: 'connect, ClientHello and back, close: its name among 100,000, its source among 50,000 networks',
  service: ECHO,
  subjects: [...WITH_LISTS, ...WITHOUT_LISTS],
  comparison: COMPARISON,
  metrics: METRICS,
  async measure(bench, running, { rules }, _rate, subject) {
    const { warmupConnections, measuredConnections } = rules;
    await waitForTimeWaitRoom(2 * (warmupConnections + measuredConnections));
    const { names, listed } = comersTo(connectionLists(rules.size));
    const areRefused = WITH_LISTS.some((name) => name === subject);
    const work = {
      port: running.port,
      pids: running.pids,
      inFlight: Math.min(IN_FLIGHT, measuredConnections),
      warmupConnections,
      measuredConnections,
      names,
      refused: areRefused ? listed : '0'.repeat(names.length),
    };
    const result = await bench.order({ kind: 'hello-connects', work }, 4 * EXTRA_MS);
    return {
      figures: {
        cpu: result.cpuNs / 1000 / result.operations,
        p50: result.p50Us,
        rate: result.operations / result.seconds,
        busy: busy(result),
      },
      ...(result.failures === 0
        ? {}
        : {
            remark: `${result.failures} of ${warmupConnections + measuredConnections} connections failed or were judged wrongly (${timeWaitCount()} sockets in TIME_WAIT)`,
          }),
    };
  },
};
