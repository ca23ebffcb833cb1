// The access log: one JSON line for each receipt that the filters let through, in the order in which connections ended on
// their worker. Absent values are null, and every line has every field. Keeper thread.

import { pino } from 'pino';
import { formatIp } from '../layout/ip-address.ts';
import type { AccessLog } from '../layout/keeper-messages.ts';
import type { NameBook } from '../layout/name-book.ts';
import { reasonName, reasonSource } from '../layout/reasons.ts';
import type { ReceiptTable } from '../layout/receipt.ts';
import type { LineSink } from './line-sink.ts';

export interface AccessLogWriter {
  /** @returns whether the filters let it through. The receipt may be given back afterwards. */
  write(receipts: ReceiptTable, worker: number, receipt: number): boolean;
}

/** @param monotonicToWallMs what to add to CLOCK_MONOTONIC to get the time of day; asked for each line */
export function createAccessLogWriter(
  { reasons, services }: AccessLog,
  names: NameBook,
  sink: LineSink,
  monotonicToWallMs: () => number,
): AccessLogWriter {
  const wantedReasons = new Set(reasons);
  const wantedServices = new Set(services);
  const words = new Int32Array(4);
  let endedAt = '';
  // The level of pino would be one field more that says nothing; without it `time` is first, and has no comma before it.
  const log = pino(
    { base: null, timestamp: () => `"time":"${endedAt}"`, formatters: { level: () => ({}) } },
    { write: (line: string) => sink.write(line) },
  );

  function endpoint(word: (index: number) => number, port: number): string | null {
    for (let index = 0; index < 4; index++) words[index] = word(index);
    if (words.every((one) => one === 0)) return null;
    const text = formatIp(words);
    return text.includes(':') ? `[${text}]:${port}` : `${text}:${port}`;
  }

  return {
    write(r, worker, at) {
      const reason = reasonName(r.reason(at));
      if (wantedReasons.size > 0 && !wantedReasons.has(reason)) return false;
      const service = names.find('service', r.service(at), r.serviceGeneration(at));
      if (wantedServices.size > 0 && (service === null || !wantedServices.has(service))) return false;
      const startedMs = r.startedMs(at) + monotonicToWallMs();
      const byOperator = names.find('target', r.targetIndex(at), r.targetGeneration(at));
      endedAt = new Date(startedMs + Math.max(0, r.totalMs(at))).toISOString();
      log.info({
        id: `${worker}-${r.slot(at)}-${r.generation(at)}`,
        service,
        user: names.find('user', r.credential(at), r.credentialGeneration(at)),
        source: endpoint((index) => r.source(at, index), r.sourcePort(at)),
        inbound: names.find('inbound', r.inbound(at), r.inboundGeneration(at)),
        outbound: names.find('outbound', r.outbound(at), r.outboundGeneration(at)),
        // Of a rule that has gone long ago nobody knows the id; a null says as much as nothing.
        rule: names.find('rule', r.rule(at), 0),
        snapshot: reached(r.snapshot(at)),
        target: byOperator ?? endpoint((index) => r.target(at, index), r.targetPort(at)),
        bytes_up: r.upBytes(at),
        bytes_down: r.downBytes(at),
        started: new Date(startedMs).toISOString(),
        gate_ms: reached(r.gateMs(at)),
        handshake_ms: reached(r.handshakeMs(at)),
        connect_ms: reached(r.connectMs(at)),
        total_ms: reached(r.totalMs(at)),
        reason,
        ended_by: reasonSource(r.reason(at)),
        eviction: r.eviction(at) === 0 ? null : r.eviction(at),
      });
      return true;
    },
  };
}

/** -1: it never came so far. */
function reached(value: number): number | null {
  return value < 0 ? null : value;
}
