// Identify: which service, which target. A handshake is a walk through steps; each looks at what the client has sent
// (peek.ts), and either takes its message and goes on, or waits for more, or refuses. Owner worker only.
//
//   [PROXY header] ─► forward
//                 ─► socks greeting ─► [password] ─► request
//                 ─► http head
//                 ─► ClientHello
//
// On CONTINUE the slot has its service, and a target record, or `w.parsed` names what the client chose.

import { INBOUND_FORWARD, INBOUND_HTTP, INBOUND_SOCKS5 } from '../../layout/messages.ts';
import type { InboundDefinition } from '../../layout/messages.ts';
import { SERVER_NAME_KEY, WILDCARD_NAME_KEY } from '../../layout/name-hash.ts';
import { contains } from '../../layout/network-set.ts';
import {
  AUTH_FAILED,
  AUTH_REQUIRED,
  CLIENT_RESET,
  INBOUND_REMOVED,
  SERVER_NAME_UNKNOWN,
  SERVICE_REMOVED,
} from '../../layout/reasons.ts';
import { UNIDENTIFIED } from '../../layout/source.ts';
import { sipHash } from '../../memory/siphash.ts';
import { say } from '../answer.ts';
import type { DataWorker } from '../data-worker.ts';
import {
  CONTINUE,
  STEP_CLIENT_HELLO,
  STEP_FORWARD,
  STEP_HELLO_HEARD,
  STEP_HTTP_CONNECT_REPLY,
  STEP_HTTP_FORWARD_HEAD,
  STEP_HTTP_HEAD,
  STEP_NONE,
  STEP_PROXY_HEADER,
  STEP_SOCKS_GREETING,
  STEP_SOCKS_PASSWORD,
  STEP_SOCKS_REPLY,
  STEP_SOCKS_REQUEST,
} from '../flags.ts';
import { parseClientHello } from './client-hello.ts';
import { enroll, standAtSource } from '../enroll.ts';
import { authenticate } from './credentials.ts';
import { parseHttpHead } from './http.ts';
import { CREDENTIAL_NONE, CREDENTIAL_PASSWORD, HOST_IP } from './parsed.ts';
import { needMore, peekHead, takeHead } from './peek.ts';
import { parseProxyHeader } from './proxy-protocol.ts';
import {
  SOCKS_METHOD_NO_AUTH,
  SOCKS_METHOD_PASSWORD,
  writeSocksAuthStatus,
  writeSocksMethod,
} from './socks5-reply.ts';
import {
  OFFERS_NO_AUTH,
  OFFERS_PASSWORD,
  parseSocksGreeting,
  parseSocksPassword,
  parseSocksRequest,
} from './socks5.ts';

/** An HTTP head over this is refused with 431. */
export const HTTP_HEAD_BYTES_MAX = 16 * 1024;
const DOT = 0x2e;
/** What a step answers when the next one may begin at once. */
const NEXT = -2;

/** The step with which connections of an inbound begin. `source` is theirs, as accepted. */
export function firstStep(w: DataWorker, slot: number, inbound: InboundDefinition): number {
  const from = inbound.acceptProxyFrom;
  const table = w.table;
  if (
    from !== null &&
    contains(from, table.source(slot, 0), table.source(slot, 1), table.source(slot, 2), table.source(slot, 3))
  ) {
    return STEP_PROXY_HEADER;
  }
  return protocolStep(inbound);
}

function protocolStep(inbound: InboundDefinition): number {
  switch (inbound.type) {
    case INBOUND_FORWARD:
      return STEP_FORWARD;
    case INBOUND_SOCKS5:
      return STEP_SOCKS_GREETING;
    case INBOUND_HTTP:
      return STEP_HTTP_HEAD;
    default:
      return STEP_CLIENT_HELLO;
  }
}

/** Goes as far as the client's bytes allow. @returns CONTINUE, WAIT or a retire reason */
export function identify(w: DataWorker, slot: number): number {
  const inbound = w.inbounds[w.table.inbound(slot)];
  if (inbound === undefined || inbound.generation !== w.table.inboundGeneration(slot)) return INBOUND_REMOVED;
  for (;;) {
    const answer = oneStep(w, slot, inbound);
    if (answer !== NEXT) return answer;
  }
}

function oneStep(w: DataWorker, slot: number, inbound: InboundDefinition): number {
  const step = w.table.step(slot);
  if (step === STEP_FORWARD) return forward(w, slot, inbound);
  const length = peekHead(w, slot);
  if (length < 0) return -length;
  if (length === 0) return needMore(w, slot, 0);
  switch (step) {
    case STEP_PROXY_HEADER:
      return proxyHeader(w, slot, inbound, length);
    case STEP_SOCKS_GREETING:
      return socksGreeting(w, slot, inbound, length);
    case STEP_SOCKS_PASSWORD:
      return socksPassword(w, slot, inbound, length);
    case STEP_SOCKS_REQUEST:
      return socksRequest(w, slot, length);
    case STEP_HTTP_HEAD:
      return httpHead(w, slot, inbound, length);
    case STEP_CLIENT_HELLO:
      return clientHello(w, slot, length);
    default:
      throw new Error(`identify: no such step: ${step}`);
  }
}

function forward(w: DataWorker, slot: number, inbound: InboundDefinition): number {
  const enrolled = enrollFree(w, slot, inbound.service);
  if (enrolled !== CONTINUE) return enrolled;
  const target = inbound.target >= 0 ? inbound.target : w.tables.services.target(inbound.service);
  // Nobody has said where to, and nobody else's words are to be taken for it.
  if (target < 0) return SERVICE_REMOVED;
  leadTo(w, slot, target);
  return CONTINUE;
}

/** An operator wrote where it goes; nothing is owed to the client. */
function leadTo(w: DataWorker, slot: number, target: number): void {
  w.table.setTargetIndex(slot, target);
  if (target >= 0) w.table.setTargetGeneration(slot, w.tables.targets.generation(target));
  w.table.setStep(slot, STEP_NONE);
}

/** Where nobody is asked who they are. */
function enrollFree(w: DataWorker, slot: number, service: number): number {
  return enroll(w, slot, service, -1, 0);
}

function proxyHeader(w: DataWorker, slot: number, inbound: InboundDefinition, length: number): number {
  const parsed = w.parsed;
  const taken = parseProxyHeader(w.head, length, parsed);
  if (taken < 0) return -taken;
  if (taken === 0) return needMore(w, slot, length);
  const failed = takeHead(w, slot, taken);
  if (failed !== 0) return failed;
  const table = w.table;
  if (parsed.sourceKind === HOST_IP) {
    for (let word = 0; word < 4; word++) {
      table.setSource(slot, word, parsed.sourceWords[word] as number);
      table.setDestination(slot, word, parsed.destinationWords[word] as number);
    }
    table.setSourcePort(slot, parsed.sourcePort);
    table.setDestinationPort(slot, parsed.destinationPort);
  }
  const step = protocolStep(inbound);
  table.setStep(slot, step);
  if (step === STEP_FORWARD || parsed.sourceKind !== HOST_IP) return NEXT;
  const stands = standAtSource(w, slot, UNIDENTIFIED);
  return stands === CONTINUE ? NEXT : stands;
}

function socksGreeting(w: DataWorker, slot: number, inbound: InboundDefinition, length: number): number {
  const parsed = w.parsed;
  const taken = parseSocksGreeting(w.head, length, parsed);
  if (taken < 0) return -taken;
  if (taken === 0) return needMore(w, slot, length);
  const failed = takeHead(w, slot, taken);
  if (failed !== 0) return failed;
  if (inbound.service >= 0 && (parsed.methodsOffered & OFFERS_NO_AUTH) !== 0) {
    const enrolled = enrollFree(w, slot, inbound.service);
    if (enrolled !== CONTINUE) return enrolled;
    w.table.setStep(slot, STEP_SOCKS_REQUEST);
    return say(w, slot, writeSocksMethod(w.headOut, SOCKS_METHOD_NO_AUTH)) ? NEXT : CLIENT_RESET;
  }
  if ((parsed.methodsOffered & OFFERS_PASSWORD) !== 0) {
    w.table.setStep(slot, STEP_SOCKS_PASSWORD);
    return say(w, slot, writeSocksMethod(w.headOut, SOCKS_METHOD_PASSWORD)) ? NEXT : CLIENT_RESET;
  }
  return AUTH_REQUIRED;
}

function socksPassword(w: DataWorker, slot: number, inbound: InboundDefinition, length: number): number {
  const taken = parseSocksPassword(w.head, length, w.parsed);
  if (taken < 0) return -taken;
  if (taken === 0) return needMore(w, slot, length);
  // Where nobody is asked, whatever a client insists on showing is as good as nothing. Else it is not taken out of the
  // socket before it is judged: after a wait for the control thread it is read again.
  const judged = inbound.service >= 0 ? enrollFree(w, slot, inbound.service) : authenticate(w, slot);
  if (judged !== CONTINUE) return judged;
  const failed = takeHead(w, slot, taken);
  if (failed !== 0) return failed;
  w.table.setStep(slot, STEP_SOCKS_REQUEST);
  return say(w, slot, writeSocksAuthStatus(w.headOut, true)) ? NEXT : CLIENT_RESET;
}

function socksRequest(w: DataWorker, slot: number, length: number): number {
  const taken = parseSocksRequest(w.head, length, w.parsed);
  if (taken < 0) return -taken;
  if (taken === 0) return needMore(w, slot, length);
  w.table.setStep(slot, STEP_SOCKS_REPLY);
  return takeHead(w, slot, taken);
}

function httpHead(w: DataWorker, slot: number, inbound: InboundDefinition, length: number): number {
  const parsed = w.parsed;
  const taken = parseHttpHead(w.head, length, HTTP_HEAD_BYTES_MAX, parsed);
  if (taken < 0) return -taken;
  if (taken === 0) return needMore(w, slot, length);
  if (inbound.service >= 0) {
    const enrolled = enrollFree(w, slot, inbound.service);
    if (enrolled !== CONTINUE) return enrolled;
  } else {
    if (parsed.credentialKind === CREDENTIAL_NONE) return AUTH_REQUIRED;
    if (parsed.credentialKind !== CREDENTIAL_PASSWORD) return AUTH_FAILED;
    const judged = authenticate(w, slot);
    if (judged !== CONTINUE) return judged;
  }
  if (parsed.isConnect === 1) {
    w.table.setStep(slot, STEP_HTTP_CONNECT_REPLY);
    return takeHead(w, slot, taken);
  }
  // The head stays in the socket until the server is there to take it.
  w.table.setHeadBytes(slot, taken);
  w.table.setStep(slot, STEP_HTTP_FORWARD_HEAD);
  return CONTINUE;
}

function clientHello(w: DataWorker, slot: number, length: number): number {
  const parsed = w.parsed;
  const taken = parseClientHello(w.head, length, parsed);
  if (taken < 0) return -taken;
  if (taken === 0) return needMore(w, slot, length);
  const service = serviceByName(w);
  if (service < 0) return SERVER_NAME_UNKNOWN;
  const target = w.tables.services.target(service);
  if (target < 0) return SERVER_NAME_UNKNOWN;
  const enrolled = enrollFree(w, slot, service);
  if (enrolled !== CONTINUE) return enrolled;
  leadTo(w, slot, target);
  w.table.setStep(slot, STEP_HELLO_HEARD);
  return CONTINUE;
}

/**
 * The whole name first, then `*.` and ever less of it, so that the most specific wildcard wins: a wildcard stands for one
 * or more labels. A name has at most 127 of them.
 */
function serviceByName(w: DataWorker): number {
  const { name, nameLength } = w.parsed;
  const names = w.tables.serverNames;
  sipHash(w.nameKeys, SERVER_NAME_KEY, name, 0, nameLength, w.hash, 0);
  const exact = names.get(w.hash, 0);
  if (exact >= 0) return exact;
  for (let dot = 0; dot < nameLength - 1; dot++) {
    if (name[dot] !== DOT) continue;
    const start = dot + 1;
    sipHash(w.nameKeys, WILDCARD_NAME_KEY, name, start, nameLength - start, w.hash, 0);
    const wildcard = names.get(w.hash, 0);
    if (wildcard >= 0) return wildcard;
  }
  return -1;
}
