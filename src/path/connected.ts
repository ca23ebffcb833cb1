// What happens between a connect that came through and the relay: the way is told of, first the server (PROXY header,
// rewritten request head), then the client. Owner worker only.

import {
  BUFFERS_EXHAUSTED,
  CLIENT_RESET,
  KERNEL_ERROR,
  MALFORMED_HTTP,
  SERVER_RESET,
} from '../layout/reasons.ts';
import { CLIENT, SERVER, UP } from '../layout/slot.ts';
import { account } from './account.ts';
import { sayConnected } from './answer.ts';
import type { DataWorker } from './data-worker.ts';
import {
  FRAMED_CHUNKED,
  FRAMED_LENGTH,
  READABLE,
  REQUEST_OVER,
  SENT_ONCE,
  SLOW,
  STEP_HTTP_FORWARD_HEAD,
  STEP_NONE,
} from './flags.ts';
import { rewriteHead } from './identify/http-rewrite.ts';
import { parseHttpHead } from './identify/http.ts';
import { HTTP_HEAD_BYTES_MAX } from './identify/identify.ts';
import { BODY_CHUNKED, BODY_LENGTH, HOST_IP } from './identify/parsed.ts';
import { takeHead } from './identify/peek.ts';
import { writeProxyV1, writeProxyV2 } from './identify/proxy-protocol.ts';
import { keepLeft } from './relay/leftovers.ts';
import { block } from './relay/turn.ts';

/** @returns 0 (the relay may start) or a retire reason */
export function connected(w: DataWorker, slot: number): number {
  const table = w.table;
  const inbound = w.inbounds[table.inbound(slot)];
  if (inbound !== undefined && inbound.sendProxy !== 0) {
    const failed = sendProxyHeader(w, slot, inbound.sendProxy);
    if (failed !== 0) return failed;
  }
  const step = table.step(slot);
  if (step === STEP_HTTP_FORWARD_HEAD) {
    const failed = forwardHead(w, slot);
    if (failed !== 0) return failed;
  } else if (!sayConnected(w, slot)) {
    return CLIENT_RESET;
  }
  // What a client sent together with its handshake raises no edge any more.
  if (step !== STEP_NONE || (table.flags(slot) & (READABLE << CLIENT)) !== 0) {
    table.setFlags(slot, table.flags(slot) | (READABLE << CLIENT));
  }
  table.setStep(slot, STEP_NONE);
  return 0;
}

function sendProxyHeader(w: DataWorker, slot: number, version: number): number {
  const table = w.table;
  const parsed = w.parsed;
  parsed.sourceKind = HOST_IP;
  parsed.sourcePort = table.sourcePort(slot);
  for (let word = 0; word < 4; word++) parsed.sourceWords[word] = table.source(slot, word);
  if (table.destinationPort(slot) >= 0) {
    parsed.destinationPort = table.destinationPort(slot);
    for (let word = 0; word < 4; word++) parsed.destinationWords[word] = table.destination(slot, word);
  } else {
    const address = w.address;
    address.resetLength();
    if (w.sys.getsockname(table.fd(slot, CLIENT), address.address, address.lengthAddress) < 0)
      return KERNEL_ERROR;
    parsed.destinationPort = address.port;
    for (let word = 0; word < 4; word++) parsed.destinationWords[word] = address.word(word);
  }
  const length = version === 1 ? writeProxyV1(w.headOut, parsed) : writeProxyV2(w.headOut, parsed);
  // The first bytes on a new socket: its empty queue takes them, or the server is gone.
  table.setFlags(slot, table.flags(slot) | SENT_ONCE);
  return w.sys.send(table.fd(slot, SERVER), w.headOutAddress, length, 0) === length ? 0 : SERVER_RESET;
}

/** Takes the request's head out of the client's socket, and gives the server its own form of it. */
function forwardHead(w: DataWorker, slot: number): number {
  const table = w.table;
  const headBytes = table.headBytes(slot);
  const failed = takeHead(w, slot, headBytes);
  if (failed !== 0) return failed;
  const parsed = w.parsed;
  if (parseHttpHead(w.head, headBytes, HTTP_HEAD_BYTES_MAX, parsed) !== headBytes) return MALFORMED_HTTP;
  const length = rewriteHead(w.head, parsed, w.headOut);
  if (length < 0) return -length;
  frame(w, slot);
  return sendHead(w, slot, length);
}

/** Up to where the client's bytes belong to this request. */
function frame(w: DataWorker, slot: number): void {
  const table = w.table;
  const parsed = w.parsed;
  let flag = REQUEST_OVER;
  if (parsed.bodyKind === BODY_CHUNKED) {
    flag = FRAMED_CHUNKED;
    for (let word = 0; word < w.chunked.length; word++) table.setChunked(slot, word, 0);
  } else if (parsed.bodyKind === BODY_LENGTH && parsed.bodyBytes > 0) {
    flag = FRAMED_LENGTH;
    table.setFramedRemaining(slot, parsed.bodyBytes);
  }
  table.setFlags(slot, table.flags(slot) | flag | (SLOW << UP));
}

function sendHead(w: DataWorker, slot: number, length: number): number {
  const table = w.table;
  const sent = w.sys.send(table.fd(slot, SERVER), w.headOutAddress, length, 0);
  table.setFlags(slot, table.flags(slot) | SENT_ONCE);
  if (sent > 0) account(w, slot, UP, sent);
  if (sent === length) return 0;
  if (sent < 0) return SERVER_RESET;
  if (w.buffers.exhausted) return BUFFERS_EXHAUSTED;
  const left = w.buffers.addressOf(w.buffers.current) - w.buffers.baseAddress;
  for (let i = sent; i < length; i++) w.buffers.bytes[left + i] = w.headOut[i] as number;
  keepLeft(w, slot, UP, sent, length);
  block(w, slot, UP);
  return 0;
}
