// What an HTTP client is told before a connection that came to nothing is closed: one response for every reason, as
// bytes that wait ready. The body is one line with the reason's name, the same as in receipts and metrics, so that a
// user's report can be found there.
//
// Built when the module loads; a data worker only picks. Never answered after bytes of a server were passed on.
// @source RFC 9110, section 15; RFC 9112, section 9.6

import {
  AUTH_FAILED,
  AUTH_REQUIRED,
  COMMAND_UNSUPPORTED,
  CONNECT_TIMEOUT,
  CREDENTIAL_REMOVED,
  HANDSHAKE_TIMEOUT,
  HEADER_TOO_LARGE,
  LOOK_UP_TIMEOUT,
  NAME_FAILED,
  REASONS_COUNT,
  RULE_REJECTED,
  reasonName,
  reasonSource,
  SERVICE_DISABLED,
  SERVICE_REMOVED,
  SOURCE_NOT_ALLOWED,
  SOURCES_EXHAUSTED,
  TARGET_FORBIDDEN,
  TARGET_OWN_LISTENER,
  TRANSFER_CODING_UNSUPPORTED,
} from '../../layout/reasons.ts';
import { ascii } from './wire.ts';

/** The answer to CONNECT once the target is connected. */
export const HTTP_ESTABLISHED = ascii('HTTP/1.1 200 Connection established\r\n\r\n');

const phrases = {
  400: 'Bad Request',
  403: 'Forbidden',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
} as const;

export type RefusalStatus = keyof typeof phrases;

/** Where whose doing it was does not decide. */
const statusOfReason: readonly (readonly [reason: number, status: RefusalStatus])[] = [
  [HANDSHAKE_TIMEOUT, 408],
  [HEADER_TOO_LARGE, 431],
  [AUTH_REQUIRED, 407],
  [AUTH_FAILED, 407],
  [CREDENTIAL_REMOVED, 407],
  [TARGET_FORBIDDEN, 403],
  [TARGET_OWN_LISTENER, 403],
  [SERVICE_DISABLED, 403],
  [SOURCE_NOT_ALLOWED, 403],
  [SOURCES_EXHAUSTED, 503],
  [SERVICE_REMOVED, 403],
  [COMMAND_UNSUPPORTED, 501],
  [TRANSFER_CODING_UNSUPPORTED, 501],
  [NAME_FAILED, 502],
  [CONNECT_TIMEOUT, 504],
  [RULE_REJECTED, 403],
  [LOOK_UP_TIMEOUT, 504],
];

/** A whole response that refuses, ending the connection. While modules load. */
export function refusalResponse(status: RefusalStatus, reasonText: string): Uint8Array {
  const body = `sluice: ${reasonText}\n`;
  const challenge = status === 407 ? 'Proxy-Authenticate: Basic realm="sluice"\r\n' : '';
  return ascii(
    `HTTP/1.1 ${status} ${phrases[status]}\r\n${challenge}Content-Type: text/plain\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const responses: Uint8Array[] = [];
for (let reason = 0; reason < REASONS_COUNT; reason++) {
  const source = reasonSource(reason);
  const bySource = source === 'client' ? 400 : source === 'server' ? 502 : 503;
  const status = statusOfReason.find(([known]) => known === reason)?.[1] ?? bySource;
  responses.push(refusalResponse(status, reasonName(reason)));
}
const unknown = refusalResponse(503, 'unknown');

/** The response for a reason; to be written, never changed. */
export function httpRefusal(reason: number): Uint8Array {
  return reason >= 0 && reason < REASONS_COUNT ? (responses[reason] as Uint8Array) : unknown;
}
