// Why a connection ended, or was refused: small constants, one for each cause that an operator would act on
// differently. A worker carries the number; receipts, counters and metric labels carry the name. Numbers are stable
// within a release only, names always. Retire is the only consumer on the path.

/** `source`: whose doing it was. `ordinary` ends are not failures. */
type ReasonSource = 'client' | 'server' | 'operator' | 'kernel' | 'control';

interface Reason {
  readonly name: string;
  readonly source: ReasonSource;
  /** Number among the refusals, or -1: a service's use counts those by kind (layout/usage.ts). */
  readonly refusal: number;
}

/** How many kinds of refusals there may be. */
export const REFUSALS_MAX = 32;

const reasons: Reason[] = [{ name: 'none', source: 'kernel', refusal: -1 }];
/** By refusal: its reason. */
const refusals: number[] = [];

function reason(name: string, source: ReasonSource): number {
  return reasons.push({ name, source, refusal: -1 }) - 1;
}

/** A reason for which a connection of a known service never came to relay a byte. */
function refusal(name: string, source: ReasonSource): number {
  if (refusals.length === REFUSALS_MAX)
    throw new RangeError('more refusals than their counters have room for');
  const index = reasons.push({ name, source, refusal: refusals.length }) - 1;
  refusals.push(index);
  return index;
}

// Ordinary ends.
export const FINISHED = reason('finished', 'client');
export const CLIENT_CLOSED = reason('client_closed', 'client');
export const CLIENT_RESET = reason('client_reset', 'client');
export const SERVER_RESET = reason('server_reset', 'server');

// Deadlines.
export const HANDSHAKE_TIMEOUT = refusal('handshake_timeout', 'client');
export const CONNECT_TIMEOUT = refusal('connect_timeout', 'server');
export const IDLE_TIMEOUT = reason('idle_timeout', 'client');
export const HALF_CLOSE_TIMEOUT = reason('half_close_timeout', 'client');

// What a client sent.
export const MALFORMED_SOCKS = refusal('malformed_socks', 'client');
export const MALFORMED_HTTP = refusal('malformed_http', 'client');
export const MALFORMED_TLS = reason('malformed_tls', 'client');
export const MALFORMED_PROXY_HEADER = reason('malformed_proxy_header', 'client');
export const HEADER_TOO_LARGE = reason('header_too_large', 'client');
export const COMMAND_UNSUPPORTED = refusal('command_unsupported', 'client');
export const ADDRESS_TYPE_UNSUPPORTED = refusal('address_type_unsupported', 'client');
export const TRANSFER_CODING_UNSUPPORTED = refusal('transfer_coding_unsupported', 'client');
export const AUTH_REQUIRED = reason('auth_required', 'client');
export const AUTH_FAILED = reason('auth_failed', 'client');
export const AUTH_BUSY = reason('auth_busy', 'control');
export const SERVER_NAME_MISSING = reason('server_name_missing', 'client');
export const SERVER_NAME_UNKNOWN = reason('server_name_unknown', 'client');
export const TARGET_FORBIDDEN = refusal('target_forbidden', 'client');
export const TARGET_OWN_LISTENER = refusal('target_own_listener', 'client');

// What a target or the network did.
export const NAME_NOT_FOUND = refusal('name_not_found', 'server');
export const NAME_FAILED = refusal('name_failed', 'control');
export const CONNECT_REFUSED = refusal('connect_refused', 'server');
export const CONNECT_UNREACHABLE = refusal('connect_unreachable', 'server');
export const CONNECT_FAILED = refusal('connect_failed', 'server');

export const OUTBOUND_UNAVAILABLE = refusal('outbound_unavailable', 'operator');

// Bounds of this machine.
export const DESCRIPTORS_EXHAUSTED = reason('descriptors_exhausted', 'kernel');
export const SLOTS_EXHAUSTED = reason('slots_exhausted', 'kernel');
export const SOURCES_EXHAUSTED = refusal('sources_exhausted', 'kernel');
export const KERNEL_ERROR = reason('kernel_error', 'kernel');

// What an operator or the supervisor did.
export const SERVICE_DISABLED = refusal('service_disabled', 'operator');
export const SERVICE_REMOVED = reason('service_removed', 'operator');
export const CREDENTIAL_REMOVED = reason('credential_removed', 'operator');
export const INBOUND_REMOVED = reason('inbound_removed', 'operator');
export const OUTBOUND_REMOVED = reason('outbound_removed', 'operator');
export const SOURCE_NOT_ALLOWED = refusal('source_not_allowed', 'operator');
export const RULE_REJECTED = refusal('rule_rejected', 'operator');
/** A change of rules would send it elsewhere now. */
export const RULE_CHANGED = reason('rule_changed', 'operator');
export const LOOK_UP_TIMEOUT = refusal('look_up_timeout', 'control');
export const EVICTED = reason('evicted', 'operator');
export const DRAINED = reason('drained', 'operator');
export const STOPPED = reason('stopped', 'operator');
export const WORKER_DIED = reason('worker_died', 'control');

/** How many reasons there are; a table by reason has this many rows. */
export const REASONS_COUNT = reasons.length;

/** The stable name of a reason, as in receipts and metric labels. Control thread. */
export function reasonName(index: number): string {
  return reasons[index]?.name ?? 'unknown';
}

/** Who caused it. Control thread. */
export function reasonSource(index: number): ReasonSource {
  return reasons[index]?.source ?? 'kernel';
}

/** Refusals that the counters of a service tell apart: their reasons, in the order of the counters. Control thread. */
export function refusalReasons(): readonly number[] {
  return refusals;
}

/** By reason: its number among the refusals, or -1. Workers read it in place. */
export const REFUSAL_OF_REASON = Int8Array.from(reasons, ({ refusal: number }) => number);
