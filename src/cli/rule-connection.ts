// The connection that `sluice rules explain` and `test` ask about, as its options say; and what comes of it, for people.

import type { ExplainedBody, ExplanationAnswer } from '../api/rule-explain.ts';
import { formatTable } from './table.ts';

export interface ConnectionOptions {
  readonly target: string;
  readonly port: number;
  readonly address?: readonly string[];
  readonly inbound?: string;
  readonly service?: string;
  readonly user?: string;
  readonly network?: 'tcp' | 'udp';
  readonly protocol?: string;
  readonly source?: string;
  readonly sourcePort?: number;
  readonly processName?: string;
  readonly processPath?: string;
  readonly userId?: number;
  readonly device?: string;
  readonly time?: string;
  readonly judgement?: Readonly<Record<string, boolean>>;
}

export function connectionOf(options: ConnectionOptions): ExplainedBody {
  const asked: Record<keyof ExplainedBody, unknown> = {
    target: options.target,
    port: options.port,
    addresses: options.address,
    inbound: options.inbound,
    service: options.service,
    user: options.user,
    network: options.network,
    protocol: options.protocol,
    source: options.source,
    source_port: options.sourcePort,
    process_name: options.processName,
    process_path: options.processPath,
    user_id: options.userId,
    device: options.device,
    time: options.time,
    externals: options.judgement,
  };
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as unknown as ExplainedBody;
}

/** Every rule that was looked at, in its order, and what of it was. */
export function formatExplanation({ rule, action, outbound, needs, rules }: ExplanationAnswer): string {
  const by = outbound === null ? '' : ` by ${outbound}`;
  const lines = [`${rule === null ? 'no rule' : `rule ${rule}`}: ${action}${by}\n`];
  if (needs.length > 0) lines.push(`not known: ${needs.join(', ')}\n`);
  const rows = rules.flatMap(({ id, path, result, items }) =>
    items.length === 0
      ? [[id, path, shownResult(result), '-', '-', '-']]
      : items.map((item, index) => [
          index === 0 ? id : '',
          index === 0 ? path : '',
          index === 0 ? shownResult(result) : '',
          item.item,
          shownResult(item.result),
          item.matched ?? '-',
        ]),
  );
  if (rows.length > 0) {
    lines.push('\n', formatTable(['RULE', 'WRITTEN AT', 'RESULT', 'ITEM', 'RESULT', 'MATCHED'], rows));
  }
  return lines.join('');
}

function shownResult(result: string): string {
  return result === 'no_match' ? 'no match' : result === 'needs' ? 'not known' : 'match';
}
