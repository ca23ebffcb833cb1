// The configuration as the rest of the program sees it: checked, every default filled in, every unit a number, every
// address parsed, every reference known to lead somewhere. `check.ts` is the only producer. Values are plain, immutable
// and comparable by structure, so that the plan of a reload can tell what changed. Control thread only.

import type { RuleSetFormat } from '../layout/compiler-messages.ts';
import type { AccessLog } from '../layout/keeper-messages.ts';

/** Four int32 words of an IPv6 address in network order; IPv4 is mapped (0, 0, 0xffff, v4), as in `sys/socket-address`. */
export type IpWords = readonly [number, number, number, number];

export interface IpEndpoint {
  readonly kind: 'ip';
  readonly words: IpWords;
  /** [0, 65535]; 0 only in listen addresses, where it means any free port. */
  readonly port: number;
  /** Canonical, with the port: `10.0.0.5:5432`, `[2001:db8::1]:80`. */
  readonly text: string;
}

interface NameEndpoint {
  readonly kind: 'name';
  /** Lower case ASCII, without a trailing dot. */
  readonly name: string;
  readonly port: number;
  readonly text: string;
}

export interface UnixEndpoint {
  readonly kind: 'unix';
  /** Absolute, shorter than UNIX_PATH_BYTES_MAX. */
  readonly path: string;
  /** `unix:/path` */
  readonly text: string;
}

export type Target = IpEndpoint | NameEndpoint | UnixEndpoint;
export type Listen = IpEndpoint | UnixEndpoint;

/** One IP address without a port. */
export interface IpAddress {
  readonly words: IpWords;
  readonly text: string;
}

/** A network in canonical text, `10.0.0.0/8`, as `layout/network-set` compiles it. */
export type Prefix = string;

export interface Timeouts {
  readonly handshakeMs: number;
  readonly connectMs: number;
  readonly idleMs: number;
  readonly halfCloseMs: number;
  readonly drainMs: number;
}

export type InboundType = 'socks5' | 'http' | 'sni' | 'forward';
type Network = 'tcp' | 'udp';
type ProxyProtocolVersion = 'v1' | 'v2';

export interface Inbound {
  readonly tag: string;
  readonly type: InboundType;
  readonly network: Network;
  readonly listen: Listen;
  /**
   * The service of all its connections, always the name of one in `services`. undefined: each connection finds its own,
   * by user name and password (socks5, http: clients must show them) or by server name (sni).
   */
  readonly service: string | undefined;
  /** Defined for `forward` only, and always: its own, or its service's. */
  readonly target: Target | undefined;
  /** Sent to the target before the first byte. */
  readonly proxyProtocol: ProxyProtocolVersion | undefined;
  /** Connections from these networks must begin with a PROXY header, v1 or v2; from others they must not. */
  readonly acceptProxyProtocol: readonly Prefix[];
  /** Of a proxy with neither `service` nor `ask_users`: `service` is the implicit one only while nobody has users. */
  readonly asksOnceThereAreUsers: boolean;
}

export type IpVersionPreference = 'prefer4' | 'prefer6' | 'only4' | 'only6';

export interface Keepalive {
  /** Whole seconds, as the kernel takes them. */
  readonly idleSeconds: number;
  readonly intervalSeconds: number;
  readonly count: number;
}

export interface DirectOutbound {
  readonly type: 'direct';
  readonly tag: string;
  /** Local addresses to connect from, taken in turn; empty: the kernel chooses. */
  readonly bind: readonly IpAddress[];
  readonly interfaceName: string | undefined;
  readonly fwmark: number | undefined;
  readonly keepalive: Keepalive | undefined;
  readonly tcpUserTimeoutMs: number | undefined;
  /** The kernel's name of a congestion control: `bbr`. */
  readonly congestion: string | undefined;
  /** Special-purpose networks that targets chosen by clients may lie in after all. */
  readonly allowDestinations: readonly Prefix[];
  readonly ipVersion: IpVersionPreference;
}

export interface Socks5Outbound {
  readonly type: 'socks5';
  readonly tag: string;
  readonly server: Target;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

type GroupStrategy =
  | 'round_robin'
  | 'least_connections'
  | 'source_hash'
  | 'first_available'
  | 'lowest_latency';

export interface GroupOutbound {
  readonly type: 'group';
  readonly tag: string;
  readonly members: readonly string[];
  readonly strategy: GroupStrategy;
  readonly healthCheck: { readonly intervalMs: number } | undefined;
}

export type Outbound = DirectOutbound | Socks5Outbound | GroupOutbound;

export interface User {
  readonly username: string;
  /** Plain text, or a scrypt hash that `policy/scrypt-hash` parses. Never to be printed. */
  readonly password: string;
}

export interface Gate {
  readonly eventsPerSecond: number;
  readonly burst: number;
}

/** undefined: unlimited. */
export interface Rate {
  readonly upBytesPerSecond: number | undefined;
  readonly downBytesPerSecond: number | undefined;
}

export interface Devices {
  readonly limit: number;
  readonly per: 'source' | 'user';
  readonly ipv6PrefixBits: number;
  readonly lingerMs: number;
  readonly graceMs: number;
  readonly whenFull: 'refuse' | 'replace_oldest' | 'replace_idlest';
  /** `local`, or the http(s) address that judges. */
  readonly check: string;
  readonly onFailure: 'allow' | 'deny' | 'last';
}

export interface Service {
  readonly name: string;
  readonly enabled: boolean;
  /** Not written in the file: declared by being named in an inbound, or the `default` of unauthenticated clients. */
  readonly implicit: boolean;
  readonly users: readonly User[];
  /** Lower case; a leading `*.` stands for one or more labels. */
  readonly serverNames: readonly string[];
  readonly target: Target | undefined;
  readonly gate: Gate | undefined;
  readonly rate: Rate;
  readonly devices: Devices | undefined;
  /** Empty: every source. */
  readonly sources: readonly Prefix[];
  /** A tag in `outbounds`; undefined: what the rules or `final` say. */
  readonly outbound: string | undefined;
}

interface RuleSetOfAnySource {
  readonly tag: string;
  /** undefined: found out from the content. */
  readonly format: Exclude<RuleSetFormat, 'mmdb'> | undefined;
}

/** From a file, which is watched. */
export interface RuleSetFile extends RuleSetOfAnySource {
  /** Absolute. */
  readonly path: string;
}

/** From the network: https, or http of this machine. */
export interface RuleSetUrl extends RuleSetOfAnySource {
  /** Without user name and password; may hold a token. */
  readonly url: string;
  readonly intervalMs: number;
}

export type RuleSet = RuleSetFile | RuleSetUrl;

/** mmdb files, absolute paths. */
export interface Geo {
  readonly country: string | undefined;
  readonly asn: string | undefined;
}

export interface Admin {
  /** Absent: no TCP listener, the Unix socket only. */
  readonly listen: IpEndpoint | undefined;
  /** Absolute. Made with mode 0600 if missing; needed for TCP. */
  readonly tokenFile: string;
  /** Absolute. */
  readonly socketPath: string;
}

type LogLevel = 'debug' | 'info' | 'warn' | 'error';

interface Limits {
  readonly connectionsPerWorker: number;
}

export interface Configuration {
  /** Absolute path of the file; relative paths in it start from its directory. */
  readonly fileName: string;
  readonly workers: number | 'auto';
  readonly admin: Admin;
  /** Absolute path of the SQLite file. */
  readonly storePath: string;
  readonly timeouts: Timeouts;
  readonly log: { readonly level: LogLevel };
  /** null: none. */
  readonly accessLog: AccessLog | null;
  readonly limits: Limits;
  readonly inbounds: readonly Inbound[];
  /** At least one: a `direct` is added where the file defines none at all. */
  readonly outbounds: readonly Outbound[];
  readonly services: readonly Service[];
  readonly ruleSets: readonly RuleSet[];
  /** As written: the rules' compiler gives them their meaning. */
  readonly rules: readonly Readonly<Record<string, unknown>>[];
  readonly geo: Geo;
  /** A tag in `outbounds`. */
  readonly final: string;
}
