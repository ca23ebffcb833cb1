// Why a connection ended, or was refused: small constants, one for each cause that an operator would act on
// differently. A worker carries the number; receipts, counters and metric labels carry the name. Numbers are stable
// within a release only, names always. Retire is the only consumer on the path.

/** `source`: whose doing it was. `ordinary` ends are not failures. */
type ReasonSource = 'client' | 'server' | 'operator' | 'kernel' | 'control';

interface Reason {
  readonly name: string;
  readonly source: ReasonSource;
}

const reasons: Reason[] = [{ name: 'none', source: 'kernel' }];

function reason(name: string, source: ReasonSource): number {
  return reasons.push({ name, source }) - 1;
}

// Ordinary ends.
export const FINISHED = reason('finished', 'client');
export const CLIENT_CLOSED = reason('client_closed', 'client');
export const CLIENT_RESET = reason('client_reset', 'client');
export const SERVER_RESET = reason('server_reset', 'server');

// Deadlines.
export const HANDSHAKE_TIMEOUT = reason('handshake_timeout', 'client');
export const CONNECT_TIMEOUT = reason('connect_timeout', 'server');
export const IDLE_TIMEOUT = reason('idle_timeout', 'client');
export const HALF_CLOSE_TIMEOUT = reason('half_close_timeout', 'client');

// What a client sent.
export const MALFORMED_SOCKS = reason('malformed_socks', 'client');
export const MALFORMED_HTTP = reason('malformed_http', 'client');
export const MALFORMED_TLS = reason('malformed_tls', 'client');
export const MALFORMED_PROXY_HEADER = reason('malformed_proxy_header', 'client');
export const HEADER_TOO_LARGE = reason('header_too_large', 'client');
export const COMMAND_UNSUPPORTED = reason('command_unsupported', 'client');
export const ADDRESS_TYPE_UNSUPPORTED = reason('address_type_unsupported', 'client');
export const TRANSFER_CODING_UNSUPPORTED = reason('transfer_coding_unsupported', 'client');
export const AUTH_REQUIRED = reason('auth_required', 'client');
export const AUTH_FAILED = reason('auth_failed', 'client');
export const AUTH_BUSY = reason('auth_busy', 'control');
export const SERVER_NAME_MISSING = reason('server_name_missing', 'client');
export const SERVER_NAME_UNKNOWN = reason('server_name_unknown', 'client');
export const TARGET_FORBIDDEN = reason('target_forbidden', 'client');
export const TARGET_OWN_LISTENER = reason('target_own_listener', 'client');

// What a target or the network did.
export const NAME_NOT_FOUND = reason('name_not_found', 'server');
export const NAME_FAILED = reason('name_failed', 'control');
export const CONNECT_REFUSED = reason('connect_refused', 'server');
export const CONNECT_UNREACHABLE = reason('connect_unreachable', 'server');
export const CONNECT_FAILED = reason('connect_failed', 'server');

export const OUTBOUND_UNAVAILABLE = reason('outbound_unavailable', 'operator');

// Bounds of this machine.
export const DESCRIPTORS_EXHAUSTED = reason('descriptors_exhausted', 'kernel');
export const SLOTS_EXHAUSTED = reason('slots_exhausted', 'kernel');
export const KERNEL_ERROR = reason('kernel_error', 'kernel');

// What an operator or the supervisor did.
export const SERVICE_DISABLED = reason('service_disabled', 'operator');
export const SERVICE_REMOVED = reason('service_removed', 'operator');
export const CREDENTIAL_REMOVED = reason('credential_removed', 'operator');
export const INBOUND_REMOVED = reason('inbound_removed', 'operator');
export const OUTBOUND_REMOVED = reason('outbound_removed', 'operator');
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
