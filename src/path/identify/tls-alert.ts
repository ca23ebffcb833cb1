// What a TLS client is told before an `sni` inbound closes: one fatal alert in the clear, so that it can say why
// instead of reporting a broken connection.
//
// Built when the module loads; a data worker only picks.
// @source RFC 8446, sections 5.1 and 6.2; RFC 6066, section 3

import {
  HEADER_TOO_LARGE,
  MALFORMED_TLS,
  RULE_REJECTED,
  SERVER_NAME_MISSING,
  SERVER_NAME_UNKNOWN,
} from '../../layout/reasons.ts';

const HANDSHAKE_FAILURE = 40;
const ACCESS_DENIED = 49;
const DECODE_ERROR = 50;
const UNRECOGNIZED_NAME = 112;

function fatalAlert(description: number): Uint8Array {
  return Uint8Array.of(21, 3, 3, 0, 2, 2, description);
}

const handshakeFailure = fatalAlert(HANDSHAKE_FAILURE);
const accessDenied = fatalAlert(ACCESS_DENIED);
const decodeError = fatalAlert(DECODE_ERROR);
const unrecognizedName = fatalAlert(UNRECOGNIZED_NAME);

/** The alert for a reason; to be written, never changed. */
export function tlsAlert(reason: number): Uint8Array {
  if (reason === SERVER_NAME_MISSING || reason === SERVER_NAME_UNKNOWN) return unrecognizedName;
  if (reason === RULE_REJECTED) return accessDenied;
  return reason === MALFORMED_TLS || reason === HEADER_TOO_LARGE ? decodeError : handshakeFailure;
}
