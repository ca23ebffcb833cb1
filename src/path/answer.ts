// What we say to a client in its own protocol: that the way is open, or why it is not. Owner worker only. A client gets
// at most a few hundred bytes here, on a socket whose queue is all but empty, so a send that is cut short is treated as a
// client that is gone.

import {
  AUTH_REQUIRED,
  CLIENT_CLOSED,
  CLIENT_RESET,
  HANDSHAKE_TIMEOUT,
  LOOK_UP_TIMEOUT,
  MALFORMED_PROXY_HEADER,
  RULE_REJECTED,
} from '../layout/reasons.ts';
import { CLIENT, SERVER } from '../layout/slot.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';
import type { DataWorker } from './data-worker.ts';
import {
  STEP_CLIENT_HELLO,
  STEP_HELLO_HEARD,
  STEP_HTTP_CONNECT_REPLY,
  STEP_HTTP_FORWARD_HEAD,
  STEP_HTTP_HEAD,
  STEP_SOCKS_GREETING,
  STEP_SOCKS_PASSWORD,
  STEP_SOCKS_REPLY,
  STEP_SOCKS_REQUEST,
  STEP_TOLD,
} from './flags.ts';
import { HTTP_ESTABLISHED, httpRefusal } from './identify/http-refusals.ts';
import {
  SOCKS_METHOD_NONE,
  SOCKS_SUCCEEDED,
  socksReplyCode,
  writeSocksAuthStatus,
  writeSocksMethod,
  writeSocksReply,
} from './identify/socks5-reply.ts';
import { tlsAlert } from './identify/tls-alert.ts';

/** Sends `length` bytes of `w.headOut` to the client. @returns whether all went out */
export function say(w: DataWorker, slot: number, length: number): boolean {
  return w.sys.send(w.table.fd(slot, CLIENT), w.headOutAddress, length, 0) === length;
}

/** The target is connected: says so where the protocol wants it. @returns whether the client still hears */
export function sayConnected(w: DataWorker, slot: number): boolean {
  switch (w.table.step(slot)) {
    case STEP_SOCKS_REPLY: {
      const address = w.address;
      address.resetLength();
      w.sys.getsockname(w.table.fd(slot, SERVER), address.address, address.lengthAddress);
      const length = writeSocksReply(
        w.headOut,
        SOCKS_SUCCEEDED,
        address.word(0),
        address.word(1),
        address.word(2),
        address.word(3),
        address.port,
      );
      return say(w, slot, length);
    }
    case STEP_HTTP_CONNECT_REPLY:
      w.headOut.set(HTTP_ESTABLISHED);
      return say(w, slot, HTTP_ESTABLISHED.length);
    default:
      return true;
  }
}

/**
 * Says that the way is open before it is, where the client's protocol makes it wait for that: nothing is owed to it then,
 * and a refusal has no words any more. @returns whether the client still hears
 */
export function sayOpen(w: DataWorker, slot: number): boolean {
  let length = 0;
  switch (w.table.step(slot)) {
    case STEP_SOCKS_REPLY:
      length = writeSocksReply(w.headOut, SOCKS_SUCCEEDED, 0, 0, MAPPED_WORD, 0, 0);
      break;
    case STEP_HTTP_CONNECT_REPLY:
      length = copyIn(w, HTTP_ESTABLISHED);
      break;
    default:
      return true;
  }
  w.table.setStep(slot, STEP_TOLD);
  return say(w, slot, length);
}

/**
 * Tells the client why not, as far as its protocol has words for it.
 * @returns whether something was said that the client should have the time to read
 */
export function sayRefused(w: DataWorker, slot: number, reason: number): boolean {
  if (reason === CLIENT_CLOSED || reason === CLIENT_RESET || reason === MALFORMED_PROXY_HEADER) return false;
  const length = writeRefusal(w, w.table.step(slot), reason);
  return length > 0 && say(w, slot, length);
}

/** Writes the refusal into `w.headOut`. @returns its bytes; 0: the protocol has none at this step */
function writeRefusal(w: DataWorker, step: number, reason: number): number {
  switch (step) {
    case STEP_SOCKS_GREETING:
      return reason === AUTH_REQUIRED ? writeSocksMethod(w.headOut, SOCKS_METHOD_NONE) : 0;
    case STEP_SOCKS_PASSWORD:
      return writeSocksAuthStatus(w.headOut, false);
    case STEP_SOCKS_REQUEST:
    case STEP_SOCKS_REPLY:
      // A client that never finished its request has asked nothing yet.
      if (reason === HANDSHAKE_TIMEOUT) return 0;
      return writeSocksReply(w.headOut, socksReplyCode(reason, w.connectErrno), 0, 0, 0xffff, 0, 0);
    case STEP_HTTP_HEAD:
    case STEP_HTTP_CONNECT_REPLY:
    case STEP_HTTP_FORWARD_HEAD:
      return copyIn(w, httpRefusal(reason));
    case STEP_CLIENT_HELLO:
      return reason === HANDSHAKE_TIMEOUT ? 0 : copyIn(w, tlsAlert(reason));
    case STEP_HELLO_HEARD:
      return reason === RULE_REJECTED || reason === LOOK_UP_TIMEOUT ? copyIn(w, tlsAlert(reason)) : 0;
    default:
      return 0;
  }
}

function copyIn(w: DataWorker, bytes: Uint8Array): number {
  w.headOut.set(bytes);
  return bytes.length;
}
