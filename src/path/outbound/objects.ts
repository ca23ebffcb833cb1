// Outbounds as a worker holds them: their options compiled into what setsockopt takes, once, when the plan comes. Owner
// worker only; made at control rate.

import type { OutboundDefinition } from '../../layout/messages.ts';
import {
  AF_UNIX,
  IP_BIND_ADDRESS_NO_PORT,
  IPPROTO_IP,
  IPPROTO_TCP,
  SO_BINDTODEVICE,
  SO_KEEPALIVE,
  SO_MARK,
  SOL_SOCKET,
  TCP_CONGESTION,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_USER_TIMEOUT,
} from '../../sys/constants.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';
import type { Sys } from '../../sys/sys.ts';

export interface Outbound {
  readonly definition: OutboundDefinition;
  /** Integer options of every socket: triples of level, name, value. */
  readonly options: Int32Array;
  /** Text options and where they lie; 0 bytes: none. */
  readonly interfaceAddress: number;
  readonly interfaceBytes: number;
  readonly congestionAddress: number;
  readonly congestionBytes: number;
  /** Source addresses by family, four words each, taken in turn. */
  readonly bind4: Int32Array;
  readonly bind6: Int32Array;
  bindNext: number;
}

/** Compiles a definition. Allocates: once a plan and outbound that changed. */
export function createOutbound(sys: Sys, definition: OutboundDefinition): Outbound {
  const options: number[] = [];
  const bound: [number[], number[]] = [[], []];
  for (let at = 0; at < definition.bind.length; at += 4) {
    const words = [...definition.bind.subarray(at, at + 4)];
    bound[words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD ? 0 : 1].push(...words);
  }
  if (definition.bind.length > 0) options.push(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  if (definition.fwmark !== 0) options.push(SOL_SOCKET, SO_MARK, definition.fwmark);
  if (definition.keepaliveIdleS > 0) {
    options.push(SOL_SOCKET, SO_KEEPALIVE, 1);
    options.push(IPPROTO_TCP, TCP_KEEPIDLE, definition.keepaliveIdleS);
    options.push(IPPROTO_TCP, TCP_KEEPINTVL, definition.keepaliveIntervalS);
    options.push(IPPROTO_TCP, TCP_KEEPCNT, definition.keepaliveCount);
  }
  if (definition.userTimeoutMs > 0) options.push(IPPROTO_TCP, TCP_USER_TIMEOUT, definition.userTimeoutMs);
  const device = keepText(sys, definition.interface);
  const congestion = keepText(sys, definition.congestion);
  return {
    definition: ownDefinition(definition),
    options: Int32Array.from(options),
    interfaceAddress: device.address,
    interfaceBytes: device.bytes,
    congestionAddress: congestion.address,
    congestionBytes: congestion.bytes,
    bind4: Int32Array.from(bound[0]),
    bind6: Int32Array.from(bound[1]),
    bindNext: 0,
  };
}

/** A copy of one hidden class, wherever the definition came from (see `ownInbound` in mail.ts). */
function ownDefinition(definition: OutboundDefinition): OutboundDefinition {
  return {
    index: definition.index,
    generation: definition.generation,
    kind: definition.kind,
    allowDestinations: definition.allowDestinations,
    bind: definition.bind,
    interface: definition.interface,
    fwmark: definition.fwmark,
    keepaliveIdleS: definition.keepaliveIdleS,
    keepaliveIntervalS: definition.keepaliveIntervalS,
    keepaliveCount: definition.keepaliveCount,
    userTimeoutMs: definition.userTimeoutMs,
    congestion: definition.congestion,
    ipVersion: definition.ipVersion,
  };
}

/**
 * Sets what the outbound asks of a new socket.
 * @returns 0, or the negative errno of the option that the kernel refused: the connection must not go out without it
 */
export function applyOptions(sys: Sys, outbound: Outbound, fd: number, family: number): number {
  if (family === AF_UNIX) return 0;
  const options = outbound.options;
  for (let at = 0; at < options.length; at += 3) {
    const answer = sys.setOptionInt(
      fd,
      options[at] as number,
      options[at + 1] as number,
      options[at + 2] as number,
    );
    if (answer < 0) return answer;
  }
  if (outbound.interfaceBytes > 0) {
    const answer = sys.setOptionBytes(
      fd,
      SOL_SOCKET,
      SO_BINDTODEVICE,
      outbound.interfaceAddress,
      outbound.interfaceBytes,
    );
    if (answer < 0) return answer;
  }
  if (outbound.congestionBytes > 0) {
    return sys.setOptionBytes(
      fd,
      IPPROTO_TCP,
      TCP_CONGESTION,
      outbound.congestionAddress,
      outbound.congestionBytes,
    );
  }
  return 0;
}

interface KeptText {
  readonly address: number;
  readonly bytes: number;
}

const NO_TEXT: KeptText = { address: 0, bytes: 0 };

/**
 * Text that system calls read, kept for ever as `addressOf` asks, so equal text is kept once a worker: it grows with the
 * names of interfaces and congestion controls that the operator has ever written, not with the number of reloads.
 */
const keptTexts = new WeakMap<Sys, Map<string, KeptText>>();

function keepText(sys: Sys, text: string): KeptText {
  if (text === '') return NO_TEXT;
  let ofWorker = keptTexts.get(sys);
  if (ofWorker === undefined) {
    ofWorker = new Map();
    keptTexts.set(sys, ofWorker);
  }
  const known = ofWorker.get(text);
  if (known !== undefined) return known;
  const encoded = Buffer.from(text, 'utf8');
  const bytes = new Uint8Array(new ArrayBuffer(encoded.length));
  bytes.set(encoded);
  const kept = { address: sys.addressOf(bytes), bytes: bytes.length };
  ofWorker.set(text, kept);
  return kept;
}
