// What rules have decided of the connection in hand: where it goes, or how it is refused. Copied out of the snapshot at the
// moment of the verdict, so that whoever carries it out reads no snapshot. One object a worker, filled by the stage of rules
// for each connection, read by the stages behind it in the same call. Owner worker only.

import {
  ACTION_ROUTE,
  OVERRIDE_ADDRESS,
  OVERRIDE_NAME,
  OVERRIDE_NONE,
  REJECT_REPLY,
  RULE_ACTION,
  RULE_KEY,
  RULE_KEY_FINAL,
  RULE_METHOD,
  RULE_OUTBOUND,
  RULE_OUTBOUND_GENERATION,
  RULE_OVERRIDE,
  RULE_OVERRIDE_ADDRESS,
  RULE_OVERRIDE_PORT,
  RULE_OVERRIDE_TEXT_AT,
  RULE_OVERRIDE_TEXT_BYTES,
} from '../layout/rules.ts';
import type { DataWorker } from './data-worker.ts';

const NAME_BYTES_MAX = 256;
/** Multiplier and start of a 32-bit FNV-1a hash. @source draft-eastlake-fnv */
const HASH_FACTOR = 0x01000193;
const HASH_START = 0x811c9dc5 | 0;

export class Route {
  /** List key of the rule that has decided; RULE_KEY_FINAL: none has. */
  key: number = RULE_KEY_FINAL;
  /** REJECT_*: how a connection that a rule rejects is told so. */
  method: number = REJECT_REPLY;
  /** -1: the service's, or `final`. */
  outbound: number = -1;
  outboundGeneration: number = 0;
  /** OVERRIDE_*: what takes the place of the target. */
  override: number = OVERRIDE_NONE;
  readonly address = new Int32Array(4);
  readonly name = new Uint8Array(NAME_BYTES_MAX);
  nameBytes: number = 0;
  /** 0: as it is. */
  port: number = 0;

  /** No rule says anything of it. */
  clear(): void {
    this.key = RULE_KEY_FINAL;
    this.method = REJECT_REPLY;
    this.outbound = -1;
    this.outboundGeneration = 0;
    this.override = OVERRIDE_NONE;
    this.nameBytes = 0;
    this.port = 0;
  }

  /** @param record where the rule's record begins in the arena */
  read(arena: Int32Array, record: number): void {
    this.clear();
    this.key = arena[record + RULE_KEY] as number;
    this.method = arena[record + RULE_METHOD] as number;
    if (arena[record + RULE_ACTION] !== ACTION_ROUTE) return;
    this.outbound = arena[record + RULE_OUTBOUND] as number;
    this.outboundGeneration = arena[record + RULE_OUTBOUND_GENERATION] as number;
    this.override = arena[record + RULE_OVERRIDE] as number;
    this.port = arena[record + RULE_OVERRIDE_PORT] as number;
    if (this.override === OVERRIDE_ADDRESS) {
      for (let word = 0; word < 4; word++)
        this.address[word] = arena[record + RULE_OVERRIDE_ADDRESS + word] as number;
    } else if (this.override === OVERRIDE_NAME) {
      const at = arena[record + RULE_OVERRIDE_TEXT_AT] as number;
      this.nameBytes = arena[record + RULE_OVERRIDE_TEXT_BYTES] as number;
      for (let i = 0; i < this.nameBytes; i++)
        this.name[i] = ((arena[at + (i >> 2)] as number) >>> ((i & 3) * 8)) & 0xff;
    }
  }

  /** What the override says, in one word, never 0; without one: 0. Two that differ are taken for equal once in 2^32. */
  overrideHash(): number {
    if (this.override === OVERRIDE_NONE && this.port === 0) return 0;
    let hash = mix(mix(HASH_START, this.override), this.port);
    if (this.override === OVERRIDE_ADDRESS)
      for (let word = 0; word < 4; word++) hash = mix(hash, this.address[word] as number);
    if (this.override === OVERRIDE_NAME)
      for (let i = 0; i < this.nameBytes; i++) hash = mix(hash, this.name[i] as number);
    return hash === 0 ? 1 : hash;
  }
}

/** The outbound of a connection that no rule sends anywhere: its service's, else `final`. */
export function defaultOutbound(w: DataWorker, slot: number): number {
  const ofService = w.tables.services.outbound(w.table.service(slot));
  return ofService >= 0 ? ofService : w.final;
}

/** A word is mixed in as its four bytes. */
function mix(hash: number, word: number): number {
  let mixed = hash;
  for (let shift = 0; shift < 32; shift += 8)
    mixed = Math.imul(mixed ^ ((word >>> shift) & 0xff), HASH_FACTOR);
  return mixed;
}
