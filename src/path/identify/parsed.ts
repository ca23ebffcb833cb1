// What the parsers of identify/ found in a client's first bytes. One object a worker, made at start and filled again
// for every parse: it is read, or copied into the slot, before the next parse begins. Whatever a client named is
// copied into fixed byte arrays here, so that a reader need not know whether the input was fragmented (TLS records),
// encoded (Basic) or mixed in case (names), and the input buffer may be reused at once.
//
// Owner: one data worker. Invariants: every field has its type from construction on (one hidden class); addresses
// live in Int32Arrays because words may use all 32 bits; a name is lower case and without a trailing dot.
// Every parser answers: 0 needs more bytes (call again from the start), > 0 complete and this many bytes belong to
// it, < 0 minus a reason of layout/reasons.ts. The fields mean something only after a positive answer.

/** What `hostKind` may be. */
export const HOST_NONE = 0;
export const HOST_IP = 1;
export const HOST_NAME = 2;

/** What `credentialKind` may be. Unusable: another scheme than Basic, or bytes that no credential can equal. */
export const CREDENTIAL_NONE = 0;
export const CREDENTIAL_PASSWORD = 1;
export const CREDENTIAL_UNUSABLE = 2;

/** What `bodyKind` may be. */
export const BODY_NONE = 0;
export const BODY_LENGTH = 1;
export const BODY_CHUNKED = 2;

/** A domain name as text, without the root's dot. @source RFC 1035, section 2.3.4 */
const NAME_BYTES_MAX = 253;
/** User and password of SOCKS5 have 255 bytes each; Basic may use the sum. */
export const CREDENTIAL_BYTES_MAX = 512;
/** Names that a Connection header may list, beyond which the request is refused. */
export const CONNECTION_OPTIONS_MAX = 16;
/** A ClientHello, with the four bytes before it. The largest seen with post-quantum keys is about 2 KiB. */
export const CLIENT_HELLO_BYTES_MAX = 16 * 1024;

export class Parsed {
  /** The target (SOCKS5, HTTP) or the server name (TLS). */
  hostKind = HOST_NONE;
  /** With HOST_IP: the address as IPv6 in network order, IPv4 as 0, 0, 0xffff, v4. */
  readonly hostWords = new Int32Array(4);
  /** With HOST_NAME: `name[0 .. nameLength)`. */
  readonly name = new Uint8Array(NAME_BYTES_MAX + 1);
  nameLength = 0;
  port = 0;

  credentialKind = CREDENTIAL_NONE;
  /** User and password, decoded; the starts and lengths point into it. */
  readonly credential = new Uint8Array(CREDENTIAL_BYTES_MAX);
  userStart = 0;
  userLength = 0;
  passwordStart = 0;
  passwordLength = 0;

  /** SOCKS5: authentication methods offered, a set of the OFFERS_ bits of socks5.ts. */
  methodsOffered = 0;

  /** PROXY header: both ends of the connection it speaks of. HOST_NONE: it names none, keep the socket's own. */
  sourceKind = HOST_NONE;
  readonly sourceWords = new Int32Array(4);
  sourcePort = 0;
  readonly destinationWords = new Int32Array(4);
  destinationPort = 0;

  /** HTTP: 1 for CONNECT, 0 for a request to forward in absolute form. */
  isConnect = 0;
  /** HTTP: the minor version of the request, 0 or 1. */
  minorVersion = 1;
  /** HTTP: spans in the input that the rewriter copies from. */
  methodStart = 0;
  methodLength = 0;
  authorityStart = 0;
  authorityLength = 0;
  pathStart = 0;
  pathLength = 0;
  fieldsStart = 0;
  headBytes = 0;
  /** HTTP: start and length of each name that Connection lists, without close and keep-alive. */
  readonly connectionOptions = new Int32Array(CONNECTION_OPTIONS_MAX * 2);
  connectionOptionsCount = 0;
  bodyKind = BODY_NONE;

  /** TLS: where a ClientHello that spans records is put together. */
  readonly fragments = new Uint8Array(CLIENT_HELLO_BYTES_MAX + 4);

  // A Float64Array, because a field that turns from small integer to double would change the hidden class.
  private readonly lengths = new Float64Array(1);

  /** HTTP with BODY_LENGTH: bytes that follow the head, up to 2^53 - 1. */
  get bodyBytes(): number {
    return this.lengths[0] as number;
  }

  set bodyBytes(bytes: number) {
    this.lengths[0] = bytes;
  }

  /** Forgets the target, credential and request; the PROXY header's ends stay, since they come before. */
  resetRequest(): void {
    this.hostKind = HOST_NONE;
    this.nameLength = 0;
    this.port = 0;
    this.credentialKind = CREDENTIAL_NONE;
    this.userStart = 0;
    this.userLength = 0;
    this.passwordStart = 0;
    this.passwordLength = 0;
    this.methodsOffered = 0;
    this.isConnect = 0;
    this.minorVersion = 1;
    this.methodStart = 0;
    this.methodLength = 0;
    this.authorityStart = 0;
    this.authorityLength = 0;
    this.pathStart = 0;
    this.pathLength = 0;
    this.fieldsStart = 0;
    this.headBytes = 0;
    this.connectionOptionsCount = 0;
    this.bodyKind = BODY_NONE;
    this.bodyBytes = 0;
  }
}
