// The one error of the control thread: a stable code, whose doing it is, whether trying again may help, and the facts as
// typed fields. Workers never see it; they answer integers (sys.ts, reasons.ts).

import { getSystemErrorMap } from 'node:util';
import type { Mistake, RequestMistake } from '../config/mistakes.ts';

/** Facts of each code. Codes are stable: they are documented, and label metrics and answers of the API. */
interface Facts {
  /** The file cannot be read at all. */
  configuration_unreadable: { readonly fileName: string };
  /** The file was read and has mistakes. */
  configuration_invalid: { readonly fileName: string; readonly mistakes: readonly Mistake[] };
  /** What was asked over the API has mistakes; nothing has changed. */
  request_invalid: { readonly mistakes: readonly RequestMistake[] };
  eviction_invalid: { readonly mistakes: readonly RequestMistake[] };
  /** Workers did not walk the connections that a change concerned in time: those that contradict it may still live. */
  reconcile_late: { readonly workers: readonly number[] };
  /** File and API claim the same name, user name, server name or outbound; nothing has changed. */
  owner_conflict: { readonly mistakes: readonly RequestMistake[] };
  /** A change by the API of what the configuration file owns. */
  owned_by_file: { readonly service: string };
  service_unknown: { readonly service: string; readonly nearest: string | undefined };
  /** `If-Match` or `If-None-Match` does not hold; `revision`: the one in force, null where there is no such service. */
  revision_conflict: { readonly service: string; readonly revision: number | null };
  /** What the store holds of services makes no sense to this build. */
  stored_services_invalid: { readonly mistakes: readonly RequestMistake[] };
  /** Rules, or rule sets, that have mistakes; nothing has changed. */
  rules_invalid: { readonly mistakes: readonly RequestMistake[] };
  /** A change by the API of a rule that the configuration file owns. */
  rule_owned_by_file: { readonly rule: string };
  rule_unknown: { readonly rule: string; readonly nearest: string | undefined };
  rules_revision_conflict: { readonly revision: number };
  /** There is no such snapshot, or what it was made of is no longer known; or there is none in force. */
  snapshot_unknown: { readonly snapshot: number | null };
  /** As many snapshots as there may be are still read. */
  rules_busy: { readonly snapshots: number };
  /** The compiler's thread ended before it had answered; the rules in force have not changed. */
  compiler_failed: Readonly<Record<string, never>>;
  /** A rule set can't be read or fetched, and there is no copy of before. */
  rule_set_unavailable: { readonly ruleSet: string; readonly from: string };
  /** As many evictions as there may be are under way. */
  evictions_busy: { readonly running: number };
  /** More objects than the shared tables have room for. */
  table_full: { readonly table: string; readonly wanted: number; readonly room: number };
  listen_failed: { readonly inbound: string; readonly address: string; readonly errno: number };
  admin_listen_failed: { readonly address: string };
  /** The token file cannot be used or made. */
  token_unusable: { readonly fileName: string };
  worker_failed: { readonly worker: number };
  /** The workers did not take the new plan in time. */
  plan_not_applied: { readonly version: number; readonly workers: readonly number[] };
  /** The daemon is about to end. */
  stopping: Readonly<Record<string, never>>;
  /** The descriptor limit leaves none for connections. `needed`: the least that would do. */
  descriptors_too_few: { readonly limit: number; readonly needed: number };
  /** The store's file cannot be used at all: not ours, damaged, newer, not writable. */
  store_unusable: { readonly fileName: string };
  /** The store did not take a change now. */
  store_failed: { readonly fileName: string };
  keeper_failed: Readonly<Record<string, never>>;
  /** A mistake of ours, caught where it must not end the daemon. */
  internal: Readonly<Record<string, never>>;
  /** The kernel refused a descriptor that the daemon cannot do without. */
  descriptor_failed: { readonly what: string; readonly errno: number };
}

export type SluiceErrorCode = keyof Facts;
export type ErrorSource = 'client' | 'server' | 'operator' | 'kernel' | 'control';

const KINDS: Readonly<Record<SluiceErrorCode, { source: ErrorSource; retryable: boolean }>> = {
  configuration_unreadable: { source: 'operator', retryable: false },
  configuration_invalid: { source: 'operator', retryable: false },
  request_invalid: { source: 'operator', retryable: false },
  eviction_invalid: { source: 'operator', retryable: false },
  evictions_busy: { source: 'control', retryable: true },
  rules_invalid: { source: 'operator', retryable: false },
  rule_owned_by_file: { source: 'operator', retryable: false },
  rule_unknown: { source: 'operator', retryable: false },
  rules_revision_conflict: { source: 'operator', retryable: false },
  snapshot_unknown: { source: 'operator', retryable: false },
  rules_busy: { source: 'control', retryable: true },
  compiler_failed: { source: 'control', retryable: true },
  rule_set_unavailable: { source: 'operator', retryable: true },
  reconcile_late: { source: 'control', retryable: true },
  owner_conflict: { source: 'operator', retryable: false },
  owned_by_file: { source: 'operator', retryable: false },
  service_unknown: { source: 'operator', retryable: false },
  revision_conflict: { source: 'operator', retryable: false },
  stored_services_invalid: { source: 'operator', retryable: false },
  table_full: { source: 'operator', retryable: false },
  listen_failed: { source: 'operator', retryable: true },
  admin_listen_failed: { source: 'operator', retryable: true },
  token_unusable: { source: 'operator', retryable: false },
  worker_failed: { source: 'control', retryable: true },
  plan_not_applied: { source: 'control', retryable: true },
  stopping: { source: 'operator', retryable: false },
  descriptors_too_few: { source: 'operator', retryable: false },
  store_unusable: { source: 'operator', retryable: false },
  store_failed: { source: 'control', retryable: true },
  keeper_failed: { source: 'control', retryable: true },
  internal: { source: 'control', retryable: false },
  descriptor_failed: { source: 'kernel', retryable: true },
};

export class SluiceError<C extends SluiceErrorCode = SluiceErrorCode> extends Error {
  override readonly name = 'SluiceError';
  readonly code: C;
  readonly source: ErrorSource;
  readonly retryable: boolean;
  readonly facts: Facts[C];

  constructor(code: C, message: string, facts: Facts[C], cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.source = KINDS[code].source;
    this.retryable = KINDS[code].retryable;
    this.facts = facts;
  }
}

/** `address already in use (EADDRINUSE)`. @param errno negative, as Sys answers it */
export function errnoText(errno: number): string {
  const [name, text] = getSystemErrorMap().get(errno) ?? [`errno ${-errno}`, 'unknown error'];
  return `${text} (${name})`;
}
