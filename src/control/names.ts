// Host names for the workers, who must not wait: they ask by mailbox and go on. Resolution is the operating system's own
// (getaddrinfo), so that /etc/hosts and nsswitch.conf hold.
//
//   resolve → cache → one flight a name → lookup → answers, in the order of RFC 8305
//
// Bounds: FLIGHTS_MAX look-ups run at once, WAITERS_MAX connections wait for them, each at most TIMEOUT_MS; whoever does
// not fit is answered NAME_FAILED at once. One source address (IPv6: its /64) has SOURCE_FLIGHTS_MAX of them at most, so that
// nobody alone fills the few threads of the system's resolver with names that take long. A look-up that was given up still occupies a thread of the system's resolver,
// so it still counts, and whoever asks for its name joins it instead of starting another; its late answer is cached.
// Control thread only. Literals never get here.

import { lookup as systemLookup } from 'node:dns/promises';
import { LRUCache } from 'lru-cache';
import { parseIp } from '../layout/ip-address.ts';
import { ONLY_IPV4, ONLY_IPV6, PREFER_IPV4 } from '../layout/messages.ts';
import { NAME_FAILED, NAME_NOT_FOUND } from '../layout/reasons.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';

/** Addresses of one answer. */
const ADDRESSES_MAX = 8;
const CACHE_NAMES_MAX = 16_384;
/** getaddrinfo does not tell what the zone's own time to live is. */
const FOUND_TTL_MS = 30_000;
const FAILED_TTL_MS = 2_000;
const FLIGHTS_MAX = 256;
/** Half of what libuv lets look-ups have of 16 threads (bin/sluice). */
const SOURCE_FLIGHTS_MAX = 4;
const WAITERS_MAX = 16_384;
const TIMEOUT_MS = 4_000;

/** Every address of a name, in the system's order. Rejects with a `code` as node:dns does. */
export type Lookup = (name: string) => Promise<readonly { readonly address: string }[]>;

/** `addresses`: four words each, in the order to try; where there are none, `reason` says why. */
export type NameAnswer = (addresses: Int32Array, reason: number) => void;

export interface NameStatistics {
  readonly asked: number;
  readonly cached: number;
  readonly looked_up: number;
  readonly failed: number;
  readonly timed_out: number;
  readonly refused: number;
  /** Of one source that had too many under way. */
  readonly refused_source: number;
  readonly in_flight: number;
  readonly waiting: number;
  readonly cache_entries: number;
}

export interface Names {
  /**
   * Answers exactly once, perhaps before it returns.
   * @param ipVersion PREFER_* or ONLY_*
   * @param source address of the client for whom it is
   */
  resolve(name: string, ipVersion: number, source: string, answer: NameAnswer): void;
  statistics(): NameStatistics;
}

export interface NamesInit {
  readonly lookup?: Lookup;
  /** Milliseconds, for the cache. */
  readonly now?: () => number;
  readonly timeoutMs?: number;
  readonly flightsMax?: number;
  readonly sourceFlightsMax?: number;
  readonly waitersMax?: number;
}

/** What is known of a name. Both families, whoever asked first: the next one may prefer the other. */
interface Finding {
  readonly ipv6: readonly Int32Array[];
  readonly ipv4: readonly Int32Array[];
  /** Why there is none at all; 0 where there is one. */
  readonly reason: number;
}

interface Waiter {
  readonly ipVersion: number;
  readonly answer: NameAnswer;
}

interface Flight {
  waiters: Waiter[];
  timer: NodeJS.Timeout | undefined;
}

const NOT_FOUND: Finding = { ipv6: [], ipv4: [], reason: NAME_NOT_FOUND };
const FAILED: Finding = { ipv6: [], ipv4: [], reason: NAME_FAILED };

export function createNames(init: NamesInit = {}): Names {
  const lookup: Lookup = init.lookup ?? ((name) => systemLookup(name, { all: true, verbatim: true }));
  const timeoutMs = init.timeoutMs ?? TIMEOUT_MS;
  const flightsMax = init.flightsMax ?? FLIGHTS_MAX;
  const sourceFlightsMax = init.sourceFlightsMax ?? SOURCE_FLIGHTS_MAX;
  const waitersMax = init.waitersMax ?? WAITERS_MAX;
  const now = init.now ?? (() => performance.now());
  const cache = new LRUCache<string, Finding>({
    max: CACHE_NAMES_MAX,
    ttl: FOUND_TTL_MS,
    ttlResolution: 0,
    perf: { now },
  });
  const flights = new Map<string, Flight>();
  /** Flights that a source has started and that have not come back; no entry: none. */
  const flightsBySource = new Map<string, number>();
  const counts = {
    asked: 0,
    cached: 0,
    looked_up: 0,
    failed: 0,
    timed_out: 0,
    refused: 0,
    refused_source: 0,
  };
  let waiting = 0;

  function land(flight: Flight, finding: Finding): void {
    clearTimeout(flight.timer);
    flight.timer = undefined;
    const { waiters } = flight;
    flight.waiters = [];
    waiting -= waiters.length;
    for (const waiter of waiters) give(finding, waiter);
  }

  function take(name: string, flight: Flight, source: string): void {
    counts.looked_up++;
    flightsBySource.set(source, (flightsBySource.get(source) ?? 0) + 1);
    find(lookup, name).then((finding) => {
      flights.delete(name);
      const left = (flightsBySource.get(source) as number) - 1;
      if (left === 0) flightsBySource.delete(source);
      else flightsBySource.set(source, left);
      if (finding.reason !== 0) counts.failed++;
      cache.set(name, finding, { ttl: finding.reason === 0 ? FOUND_TTL_MS : FAILED_TTL_MS });
      land(flight, finding);
    });
  }

  return {
    resolve(name, ipVersion, source, answer) {
      counts.asked++;
      const waiter = { ipVersion, answer };
      const known = cache.get(name);
      if (known !== undefined) {
        counts.cached++;
        give(known, waiter);
        return;
      }
      let flight = flights.get(name);
      if (waiting >= waitersMax || (flight === undefined && flights.size >= flightsMax)) {
        counts.refused++;
        give(FAILED, waiter);
        return;
      }
      const key = sourceKey(source);
      if (flight === undefined && (flightsBySource.get(key) ?? 0) >= sourceFlightsMax) {
        counts.refused_source++;
        give(FAILED, waiter);
        return;
      }
      waiting++;
      if (flight === undefined) {
        flight = { waiters: [waiter], timer: undefined };
        flights.set(name, flight);
        take(name, flight, key);
      } else {
        flight.waiters.push(waiter);
      }
      const joined = flight;
      // One timer for all that wait: who joins late waits less, which the next try makes good from the cache.
      joined.timer ??= setTimeout(() => {
        counts.timed_out += joined.waiters.length;
        land(joined, FAILED);
      }, timeoutMs);
    },
    statistics: () => ({ ...counts, in_flight: flights.size, waiting, cache_entries: cache.size }),
  };
}

/** One client has a whole /64 of IPv6 addresses to choose from. */
export function sourceKey(source: string): string {
  const words = source.includes(':') ? parseIp(source) : undefined;
  return words === undefined ? source : `${words[0]}:${words[1]}`;
}

/** Never rejects. */
async function find(lookup: Lookup, name: string): Promise<Finding> {
  try {
    const ipv6: Int32Array[] = [];
    const ipv4: Int32Array[] = [];
    for (const { address } of await lookup(name)) {
      // A zone (fe80::1%eth0) names one of our own interfaces: nothing that a name may choose for us.
      const words = parseIp(address);
      if (words === undefined) continue;
      const isIpv4 = words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD;
      (isIpv4 ? ipv4 : ipv6).push(words);
    }
    return ipv6.length + ipv4.length === 0 ? NOT_FOUND : { ipv6, ipv4, reason: 0 };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOTFOUND' || code === 'ENODATA' ? NOT_FOUND : FAILED;
  }
}

function give(finding: Finding, { ipVersion, answer }: Waiter): void {
  const order = interleaved(finding, ipVersion);
  answer(order, order.length > 0 ? 0 : finding.reason || NAME_NOT_FOUND);
}

/** The families by turns, the preferred one first. @source RFC 8305, section 4 */
function interleaved(finding: Finding, ipVersion: number): Int32Array {
  const first = ipVersion === PREFER_IPV4 || ipVersion === ONLY_IPV4 ? finding.ipv4 : finding.ipv6;
  const other = first === finding.ipv4 ? finding.ipv6 : finding.ipv4;
  const second = ipVersion === ONLY_IPV4 || ipVersion === ONLY_IPV6 ? [] : other;
  const words: number[] = [];
  for (let i = 0; i < first.length || i < second.length; i++) {
    words.push(...(first[i] ?? []), ...(second[i] ?? []));
  }
  return Int32Array.from(words.slice(0, ADDRESSES_MAX * 4));
}
