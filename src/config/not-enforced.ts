// What this build accepts but cannot carry out yet. An operator who wrote a limit believes in it, so each such key is a
// warning until the day it holds; whoever builds the feature takes its line out of here.

import type { Complaint, Path } from './mistakes.ts';
import type { WrittenConfiguration } from './schema.ts';
import type { Partly } from './shape.ts';

const SERVICE_KEYS = ['gate', 'rate', 'devices'] as const;
const OUTBOUND_TYPES: ReadonlySet<string | undefined> = new Set(['socks5', 'group']);

export function notEnforced(written: Partly<WrittenConfiguration>): Complaint[] {
  const warnings: Complaint[] = [];
  const warn = (path: Path, what: string, instead = ''): void => {
    const message = `${what} is accepted but not enforced yet${instead}`;
    warnings.push({ path, atKey: true, found: what, expected: 'what this build can carry out', message });
  };
  for (const [index, inbound] of (written.inbounds ?? []).entries()) {
    if (inbound?.type === 'forward' && inbound.network === 'udp') {
      warn(['inbounds', index, 'network'], 'network udp');
    }
  }
  for (const [index, outbound] of (written.outbounds ?? []).entries()) {
    if (OUTBOUND_TYPES.has(outbound?.type)) {
      warn(['outbounds', index, 'type'], `type ${outbound?.type}`, '; connections sent to it are refused');
    }
  }
  for (const [index, service] of (written.services ?? []).entries()) {
    for (const key of SERVICE_KEYS) {
      if (service?.[key] !== undefined) warn(['services', index, key], `"${key}"`);
    }
  }
  if ((written.rule_sets?.length ?? 0) > 0) warn(['rule_sets'], '"rule_sets"');
  if ((written.rules?.length ?? 0) > 0) warn(['rules'], '"rules"');
  return warnings;
}
