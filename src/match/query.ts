// What a connection is, for rules to judge: filled by whoever asks (a worker for each connection, the compiler's thread for
// an explanation), read by the matcher. One object a thread, used again for every question; no field changes its type.

/** Addresses of a resolved name that are judged. */
export const ADDRESSES_MAX = 8;
/** 127 labels and the root (RFC 1035). */
const LEVELS_MAX = 128;
const NAME_BYTES_MAX = 256;

export class Query {
  /** Keyed hashes of the inbound's tag, the service's name, the user's name: two words each; 0, 0: none. */
  readonly inbound = new Int32Array(2);
  readonly service = new Int32Array(2);
  readonly user = new Int32Array(2);
  /** NETWORK_*, PROTOCOL_*, DEVICE_* (layout/rules.ts). */
  network = 0;
  protocol = 0;
  device = 0;
  minuteOfWeek = 0;
  /** Four words, IPv4 mapped; all zero: none (a Unix socket). */
  readonly source = new Int32Array(4);
  sourcePort = 0;
  /** The target's name, lower case, without the root's dot; 0 bytes: it has none. `setName` hashes it. */
  readonly name = new Uint8Array(NAME_BYTES_MAX);
  nameBytes = 0;
  /** Addresses of the target: what the client named, or what its name resolves to where that was asked. Four words each. */
  readonly addresses = new Int32Array(ADDRESSES_MAX * 4);
  addressesCount = 0;
  port = 0;
  /** NEED_* bits that have been looked up, also in vain. */
  known = 0;
  /** Of NEED_PROCESS: keyed hashes, 0, 0: not found; the user id, a word of which all bits may be in use. */
  readonly processName = new Int32Array(2);
  readonly processPath = new Int32Array(2);
  userId = 0;
  hasUserId = false;
  /** Bits by judgement. */
  externalsKnown = 0;
  externalsTrue = 0;

  /** Hashes of the name's ends, by labels from the right; filled by the matcher when it is first asked for. */
  readonly levelHashes = new Int32Array(LEVELS_MAX);
  readonly levelStarts = new Int32Array(LEVELS_MAX);
  /** -1: not hashed yet. */
  levelsCount = -1;

  /** Forgets everything. */
  clear(): void {
    this.inbound.fill(0);
    this.service.fill(0);
    this.user.fill(0);
    this.source.fill(0);
    this.processName.fill(0);
    this.processPath.fill(0);
    this.network = 0;
    this.protocol = 0;
    this.device = 0;
    this.minuteOfWeek = 0;
    this.sourcePort = 0;
    this.nameBytes = 0;
    this.addressesCount = 0;
    this.port = 0;
    this.known = 0;
    this.userId = 0;
    this.hasUserId = false;
    this.externalsKnown = 0;
    this.externalsTrue = 0;
    this.levelsCount = -1;
  }
}
