// What goes through the mailboxes between the control thread and a worker: rare things, structured-cloned.
//
// Index and generation are an object's identity: both stay while an object of that tag and type lives, also when its
// definition changes (workers just take the new one, and connections that stand go on). A removed object's index may be
// used again, with another generation: a connection whose generation is not the current one belongs to something removed.

import type { MessagePort } from 'node:worker_threads';
import { EVICTED } from './reasons.ts';
import type { SharedTables } from './tables.ts';

export const INBOUND_FORWARD = 1;
export const INBOUND_SOCKS5 = 2;
export const INBOUND_HTTP = 3;
export const INBOUND_SNI = 4;

export const OUTBOUND_DIRECT = 1;
/** A kind that this build cannot carry out: connections are refused, never sent elsewhere. */
export const OUTBOUND_UNAVAILABLE = 2;

// Order of address families of a name (RFC 8305, section 4).
export const PREFER_IPV6 = 0;
export const PREFER_IPV4 = 1;
export const ONLY_IPV6 = 2;
export const ONLY_IPV4 = 3;

/** How a worker is to treat the connections of one inbound. */
export interface InboundDefinition {
  readonly index: number;
  readonly generation: number;
  /** INBOUND_*. */
  readonly type: number;
  /** Keyed hash of the tag (RULE_INBOUND_KEY), two words: what rules know it by. */
  readonly tagHash: Int32Array;
  /** The receiving worker's own listening descriptors (SO_REUSEPORT). */
  readonly listenFds: readonly number[];
  /** Service row of all clients, of whom none is asked for a password; -1: credentials say which. */
  readonly service: number;
  /** Target record of a forward inbound; -1: its service's. */
  readonly target: number;
  /** PROXY protocol version sent to the target; 0: none. */
  readonly sendProxy: number;
  /** Networks (layout/network-set.ts) whose connections begin with a PROXY header; null: none. */
  readonly acceptProxyFrom: Int32Array | null;
}

/** How a worker dials. */
export interface OutboundDefinition {
  readonly index: number;
  readonly generation: number;
  /** OUTBOUND_*. */
  readonly kind: number;
  /** Special-purpose networks that clients may choose all the same; null: none. */
  readonly allowDestinations: Int32Array | null;
  /** Source addresses, four words each; empty: the kernel chooses. */
  readonly bind: Int32Array;
  /** SO_BINDTODEVICE, SO_MARK; '' and 0: not set. */
  readonly interface: string;
  readonly fwmark: number;
  /** TCP_KEEPIDLE, TCP_KEEPINTVL in seconds and TCP_KEEPCNT; idle 0: off. */
  readonly keepaliveIdleS: number;
  readonly keepaliveIntervalS: number;
  readonly keepaliveCount: number;
  /** TCP_USER_TIMEOUT; 0: not set. */
  readonly userTimeoutMs: number;
  /** TCP_CONGESTION; '': not set. */
  readonly congestion: string;
  /** PREFER_* or ONLY_*. */
  readonly ipVersion: number;
}

/** Everything of a configuration that workers hold themselves; services are in shared memory. */
export interface Plan {
  readonly version: number;
  readonly inbounds: readonly InboundDefinition[];
  readonly outbounds: readonly OutboundDefinition[];
  /** Outbound index of connections that nothing else decides. */
  readonly final: number;
  readonly handshakeMs: number;
  readonly connectMs: number;
  readonly idleMs: number;
  readonly halfCloseMs: number;
  /** Our own listeners, which no client may choose as a target: five words each, address and port. */
  readonly ownListeners: Int32Array;
  /** Addresses of this machine's interfaces, four words each: where a listener on a wildcard address is met. */
  readonly localAddresses: Int32Array;
}

// What an eviction does with the connections that it finds.
/** Ends those that match, with the reason given. */
export const EVICT_END = 1;
/** Counts those that match (`dry_run`). */
export const EVICT_COUNT = 2;
/** Ends those that match and contradict what is in force now, each with its own reason. */
export const EVICT_RECONCILE = 3;

// Whom a change of rules concerns.
export const REJUDGE_NOT = 0;
/** Whoever would be rejected now. */
export const REJUDGE_REJECT = 1;
/** Whoever would be treated otherwise in any way. */
export const REJUDGE_ALL = 2;

/** Connections that a dry run names, of each worker. */
export const SAMPLE_MAX = 256;

/** Index of all that a breakdown has no room for. */
export const OTHERS = -2;

/** `list` of an eviction that walks all connections of a worker. */
export const EVERY_CONNECTION = -1;

/**
 * An eviction, as one worker carries it out: the lists of `keys` are walked, bounded work a turn, and whoever does not
 * match the rest is left alone. Of the filters, -1 is any; an index goes with its generation.
 */
export interface EvictionJob {
  readonly id: number;
  /** EVICT_*. */
  readonly action: number;
  /** Retire reason; of EVICT_END. */
  readonly reason: number;
  /** Close with FIN instead of a reset. */
  readonly orderly: boolean;
  /** Connections a second that this worker may end; 0: no limit. */
  readonly ratePerSecond: number;
  /** LIST_* or EVERY_CONNECTION. */
  readonly list: number;
  readonly keys: Int32Array;
  readonly service: number;
  readonly serviceGeneration: number;
  readonly credential: number;
  readonly credentialGeneration: number;
  readonly inbound: number;
  readonly inboundGeneration: number;
  readonly outbound: number;
  readonly outboundGeneration: number;
  readonly rule: number;
  /**
   * Of those that match, only whom the rules of this snapshot row would treat otherwise, by REJUDGE_*; and with that reason.
   * REJUDGE_NOT: whoever matches.
   */
  readonly rejudge: number;
  readonly snapshotRow: number;
  /** Networks (layout/network-set.ts) that the source must lie in; null: any. */
  readonly source: Int32Array | null;
  /** Of one connection only: its slot and generation; -1: any. */
  readonly slot: number;
  readonly generation: number;
}

/** An eviction of every connection, which whoever means less narrows. */
export const EVERYTHING: Omit<EvictionJob, 'id'> = {
  action: EVICT_END,
  reason: EVICTED,
  orderly: false,
  ratePerSecond: 0,
  list: EVERY_CONNECTION,
  keys: new Int32Array(0),
  service: -1,
  serviceGeneration: 0,
  credential: -1,
  credentialGeneration: 0,
  inbound: -1,
  inboundGeneration: 0,
  outbound: -1,
  outboundGeneration: 0,
  rule: -1,
  rejudge: 0,
  snapshotRow: -1,
  source: null,
  slot: -1,
  generation: 0,
};

export type ControlMessage =
  | { readonly kind: 'plan'; readonly plan: Plan }
  /** Take no more from the listening sockets (the control thread closes them) and go on with what is open. */
  | { readonly kind: 'drain' }
  /** End everything now, with this reason. */
  | { readonly kind: 'stop'; readonly reason: number }
  /** `addresses`: four words each, in the order to try. None: `reason` says why. */
  | {
      readonly kind: 'resolved';
      readonly slot: number;
      readonly generation: number;
      /** As in the question; without it: false. An answer that came too late for rules is not taken for one to dial. */
      readonly forRules?: boolean;
      /** As in the question; without it: not compared. */
      readonly question?: number;
      readonly addresses: Int32Array;
      readonly reason: number;
    }
  /** 0: the password is right. Else the reason of the refusal. */
  | { readonly kind: 'verified'; readonly slot: number; readonly generation: number; readonly reason: number }
  | { readonly kind: 'evict'; readonly job: EvictionJob }
  /** What a connection's rules wanted to know; `found` is false where nobody could say. */
  | {
      readonly kind: 'looked_up';
      readonly slot: number;
      readonly generation: number;
      /** As in the question. */
      readonly question: number;
      /** NEED_* (layout/rules.ts). */
      readonly need: number;
      /** Of NEED_EXTERNAL: number of the judgement. */
      readonly external: number;
      readonly found: boolean;
      /** Of NEED_EXTERNAL. */
      readonly isTrue: boolean;
      /** Of NEED_PROCESS: keyed hashes (RULE_PROCESS_*_KEY) of name and path, two words each, and the user id or -1. */
      readonly processName: Int32Array;
      readonly processPath: Int32Array;
      readonly userId: number;
    }
  /** Leave the rest of an eviction alone; it is answered as done. */
  | { readonly kind: 'cancel_eviction'; readonly id: number }
  /** Those (slot and generation each) that still wait in rules which are not in force start over in those that are. */
  | { readonly kind: 'end_waits'; readonly connections: Int32Array }
  /** Throw on purpose: the test of replacement. The supervisor sends it only with SLUICE_TEST_FAULTS=1. */
  | { readonly kind: 'fail' };

/** What a new worker's thread finds in `workerData`. */
export interface WorkerStart {
  readonly tables: SharedTables;
  readonly worker: number;
  /** The worker's end of its mailbox. */
  readonly port: MessagePort;
  /** eventfd that says that there is mail; stays the supervisor's. */
  readonly wakeFd: number;
  /** Niceness of data workers. */
  readonly nice: number;
}

export type WorkerMessage =
  | { readonly kind: 'ready' }
  /** All connections of a draining worker have gone. */
  | { readonly kind: 'drained' }
  /** How far an eviction has come: so far, in all; the last message of each worker says `isDone`. */
  | {
      readonly kind: 'evicted';
      readonly id: number;
      readonly matched: number;
      readonly closed: number;
      /** Microseconds of this thread that the eviction has cost. */
      readonly workerUs: number;
      /** Monotonic milliseconds when the last one was gone; 0: none yet. */
      readonly lastMs: number;
      readonly isDone: boolean;
      /** With `isDone`: index, generation and count of each; -1 where nobody knew, OTHERS for those not told apart. */
      readonly byService: Int32Array;
      readonly byInbound: Int32Array;
      /** Of a dry run, with `isDone`: slot and generation of the first SAMPLE_MAX that matched. */
      readonly sample: Int32Array;
      /** Of a rejudgement: those that can't be judged again without asking somebody; they stay. */
      readonly undecided: number;
    }
  | {
      readonly kind: 'resolve';
      readonly slot: number;
      readonly generation: number;
      /** A rule asks, not the dialling. */
      readonly forRules: boolean;
      /** Number of the question: grows by one with each that the connection asks, and is answered with. */
      readonly question: number;
      readonly name: string;
      readonly ipVersion: number;
      /** Whose look-ups under way are bounded together. */
      readonly source: string;
    }
  /** Rules want to know more of a connection: `slots` and `facts` say of which. */
  | {
      readonly kind: 'look_up';
      readonly slot: number;
      readonly generation: number;
      readonly question: number;
      /** NEED_*. */
      readonly need: number;
      readonly external: number;
      readonly snapshotRow: number;
    }
  | {
      readonly kind: 'verify';
      readonly slot: number;
      readonly generation: number;
      /** -1: nobody has the name, which takes as long to find out. */
      readonly credential: number;
      readonly credentialGeneration: number;
      /** Keyed hash of the user name: four words. */
      readonly userName: Int32Array;
      readonly password: string;
      /** Where failures are remembered. */
      readonly source: string;
    };
