// What happens between a connect that came through and the relay: the way is told of, first the server (PROXY header,
// rewritten request head), then the client. Owner worker only.

import { CLIENT_RESET, KERNEL_ERROR, SERVER_RESET } from '../layout/reasons.ts';
import { CLIENT, SERVER } from '../layout/slot.ts';
import { AF_UNIX } from '../sys/constants.ts';
import { sayConnected } from './answer.ts';
import type { DataWorker } from './data-worker.ts';
import { READABLE, SENT_ONCE, STEP_HTTP_FORWARD_HEAD, STEP_NONE } from './flags.ts';
import { HOST_IP, HOST_NONE } from './identify/parsed.ts';
import { writeProxyV1, writeProxyV2 } from './identify/proxy-protocol.ts';
import { startRequest } from './relay/request-head.ts';

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
    const failed = startRequest(w, slot);
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
    // A Unix client has no address that the protocol could name.
    if (address.family === AF_UNIX) parsed.sourceKind = HOST_NONE;
    parsed.destinationPort = address.port;
    for (let word = 0; word < 4; word++) parsed.destinationWords[word] = address.word(word);
  }
  const length = version === 1 ? writeProxyV1(w.headOut, parsed) : writeProxyV2(w.headOut, parsed);
  // The first bytes on a new socket: its empty queue takes them, or the server is gone.
  table.setFlags(slot, table.flags(slot) | SENT_ONCE);
  return w.sys.send(table.fd(slot, SERVER), w.headOutAddress, length, 0) === length ? 0 : SERVER_RESET;
}
