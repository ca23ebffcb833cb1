// Judgements of connections that rules ask of an HTTP address (`external`): POST {service, user, ...}, answered with
// {"match": true|false, "ttl": "60s"}. Whatever else comes, or nothing, is no judgement: the rule's on_timeout decides.
//
//   asked ─► remembered? ─► asked already? joins ─► in flight < FLIGHTS_MAX of the address, or queued ─► answer, or the deadline
//
// A ttl lets an answer stand for all connections of which the same can be said, whatever port they come from; without one
// each is asked for. Bounds: flights and queue of each address, bytes of an answer, answers remembered, addresses. A
// deadline counts from the question on, so nobody waits in the queue longer than the rule allows. Control thread.

import { LRUCache } from 'lru-cache';
import { postJson, PostAgents, type PostFailure } from './post-json.ts';
import { parseDuration } from '../policy/units.ts';

const FLIGHTS_MAX = 64;
const QUEUE_MAX = 1_024;
const REMEMBERED_MAX = 65_536;
const TTL_MAX_MS = 86_400_000;

/** What a judge is told. `null`: there is none, or it is not known. */
export interface JudgeQuestion {
  readonly service: string | null;
  readonly user: string | null;
  readonly inbound: string | null;
  readonly network: string;
  /** null of a Unix socket. */
  readonly source: string | null;
  readonly source_port: number;
  /** A name or an address. */
  readonly target: string;
  readonly port: number;
  readonly protocol: string | null;
  /** Beside an address: the name that the client said in its first bytes. */
  readonly domain: string | null;
}

export interface JudgeStatistics {
  readonly asked: number;
  readonly remembered: number;
  readonly joined: number;
  readonly match: number;
  readonly no_match: number;
  /** No judgement: not in time; no answer; another status than 200; not what was expected; the queue was full. */
  readonly late: number;
  readonly failed: number;
  readonly status: number;
  readonly garbage: number;
  readonly refused: number;
  readonly in_flight: number;
  readonly queued: number;
}

export interface ExternalJudge {
  /** @returns undefined where nobody has judged, `timeoutMs` later at the latest */
  judge(url: string, timeoutMs: number, question: JudgeQuestion): Promise<boolean | undefined>;
  statistics(): JudgeStatistics;
  /** Gives up what is under way. */
  close(): void;
}

export interface ExternalJudgeInit {
  readonly flightsMax?: number;
  readonly queueMax?: number;
  /** Milliseconds, for what is remembered. */
  readonly now?: () => number;
}

/** A question under way, and all who wait for its answer. */
interface Flight {
  readonly url: string;
  readonly body: string;
  readonly memoryKey: string;
  readonly key: string;
  readonly answers: ((match: boolean | undefined) => void)[];
  readonly abort: AbortController;
  timer: NodeJS.Timeout | undefined;
}

interface Judge {
  flights: number;
  readonly queue: Set<Flight>;
}

export function createExternalJudge(init: ExternalJudgeInit = {}): ExternalJudge {
  const flightsMax = init.flightsMax ?? FLIGHTS_MAX;
  const queueMax = init.queueMax ?? QUEUE_MAX;
  const now = init.now ?? (() => performance.now());
  const remembered = new LRUCache<string, boolean>({ max: REMEMBERED_MAX, ttlResolution: 0, perf: { now } });
  const agents = new PostAgents(flightsMax);
  const judges = new Map<string, Judge>();
  const flights = new Map<string, Flight>();
  const counts = {
    asked: 0,
    remembered: 0,
    joined: 0,
    match: 0,
    no_match: 0,
    late: 0,
    failed: 0,
    status: 0,
    garbage: 0,
    refused: 0,
  };

  function settle(flight: Flight, match: boolean | undefined): void {
    clearTimeout(flight.timer);
    if (flights.get(flight.key) === flight) flights.delete(flight.key);
    for (const answer of flight.answers.splice(0)) answer(match);
  }

  async function fly(flight: Flight, judge: Judge): Promise<void> {
    judge.flights++;
    const answer = await postJson(agents, flight.url, flight.body, flight.abort.signal);
    judge.flights--;
    take(flight, answer);
    const [next] = judge.queue;
    if (next !== undefined) {
      judge.queue.delete(next);
      void fly(next, judge);
    } else if (judge.flights === 0) {
      judges.delete(flight.url);
    }
  }

  function take(flight: Flight, answer: PostFailure | { readonly json: unknown }): void {
    // Nobody waits any more: it was late, and has been counted.
    if (flight.abort.signal.aborted) return;
    if (typeof answer === 'string') {
      counts[answer]++;
      settle(flight, undefined);
      return;
    }
    const judgement = readJudgement(answer.json);
    if (judgement === undefined) {
      counts.garbage++;
      settle(flight, undefined);
      return;
    }
    const { match, ttlMs } = judgement;
    if (match) counts.match++;
    else counts.no_match++;
    if (ttlMs > 0) remembered.set(flight.memoryKey, match, { ttl: ttlMs });
    settle(flight, match);
  }

  function begin(flight: Flight, timeoutMs: number): void {
    let judge = judges.get(flight.url);
    if (judge === undefined) {
      judge = { flights: 0, queue: new Set() };
      judges.set(flight.url, judge);
    }
    const { flights: flying, queue } = judge;
    if (flying >= flightsMax && queue.size >= queueMax) {
      counts.refused++;
      settle(flight, undefined);
      return;
    }
    flight.timer = setTimeout(() => {
      counts.late += flight.answers.length;
      queue.delete(flight);
      flight.abort.abort();
      settle(flight, undefined);
    }, timeoutMs);
    if (flying < flightsMax) void fly(flight, judge);
    else queue.add(flight);
  }

  return {
    judge(url, timeoutMs, question) {
      counts.asked++;
      const memoryKey = `${url}\n${JSON.stringify({ ...question, source_port: 0 })}`;
      const known = remembered.get(memoryKey);
      if (known !== undefined) {
        counts.remembered++;
        return Promise.resolve(known);
      }
      return new Promise((answer) => {
        const body = JSON.stringify(question);
        // Of another deadline it is another flight: nobody shall be late because others have less patience.
        const key = `${url}\n${timeoutMs}\n${body}`;
        const joined = flights.get(key);
        if (joined !== undefined) {
          counts.joined++;
          joined.answers.push(answer);
          return;
        }
        const abort = new AbortController();
        const flight: Flight = { url, body, memoryKey, key, answers: [answer], abort, timer: undefined };
        flights.set(key, flight);
        begin(flight, timeoutMs);
      });
    },
    statistics() {
      let inFlight = 0;
      let queued = 0;
      for (const judge of judges.values()) {
        inFlight += judge.flights;
        queued += judge.queue.size;
      }
      return { ...counts, in_flight: inFlight, queued };
    },
    close() {
      for (const flight of flights.values()) {
        flight.abort.abort();
        settle(flight, undefined);
      }
      for (const judge of judges.values()) judge.queue.clear();
      agents.close();
    },
  };
}

/** @returns undefined: not what was agreed */
function readJudgement(json: unknown): { readonly match: boolean; readonly ttlMs: number } | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const { match, ttl } = json as { readonly match?: unknown; readonly ttl?: unknown };
  if (typeof match !== 'boolean') return undefined;
  if (ttl === undefined || ttl === null) return { match, ttlMs: 0 };
  if (typeof ttl !== 'string') return undefined;
  const ttlMs = parseDuration(ttl, { min: 0, max: TTL_MAX_MS });
  return typeof ttlMs === 'number' ? { match, ttlMs } : undefined;
}
