// Judgements of connections that rules ask of an HTTP address (`external`): POST {service, user, ...}, answered with
// {"match": true|false, "ttl": "60s"}. Whatever else comes, or nothing, is no judgement: the rule's on_timeout decides.
//
//   asked ─► remembered? ─► asked already? joins ─► has its turn, or is queued (judge-queue.ts) ─► answer, or the deadline
//
// A ttl lets an answer stand for all connections of which the same can be said, whatever port they come from; without one
// each is asked for. Bounds: flights and queue of each address and, within them, of each source; bytes of an answer, answers
// remembered, addresses. A deadline counts from the question on and is each one's own, so nobody waits longer than the rule
// allows, and nobody less for having joined others. Control thread.

import { LRUCache } from 'lru-cache';
import { JudgeQueue } from './judge-queue.ts';
import { sourceKey } from './names.ts';
import { postJson, PostAgents, type PostFailure } from './post-json.ts';
import { parseDuration } from '../policy/units.ts';

const FLIGHTS_MAX = 64;
const QUEUE_MAX = 1_024;
/** Of one source, in flight, and with those that are queued: what a browser may need at once, and a share of the whole. */
const SOURCE_FLIGHTS_MAX = 16;
const SOURCE_QUESTIONS_MAX = 128;
/** All Unix sockets: who is behind one is not known. */
const UNIX_SOURCE = 'unix';
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
  /** One source asked too much at once. */
  readonly refused_source: number;
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
  readonly sourceFlightsMax?: number;
  readonly sourceQuestionsMax?: number;
  /** Milliseconds, for what is remembered. */
  readonly now?: () => number;
}

interface Waiter {
  readonly answer: (match: boolean | undefined) => void;
  readonly timer: NodeJS.Timeout;
}

/** A question under way, and all who wait for its answer. */
interface Flight {
  readonly url: string;
  readonly body: string;
  readonly memoryKey: string;
  readonly key: string;
  /** Whose turns are counted together. */
  readonly source: string;
  readonly waiters: Set<Waiter>;
  readonly abort: AbortController;
}

export function createExternalJudge(init: ExternalJudgeInit = {}): ExternalJudge {
  const flightsMax = init.flightsMax ?? FLIGHTS_MAX;
  const queueMax = init.queueMax ?? QUEUE_MAX;
  const sourceFlightsMax = init.sourceFlightsMax ?? SOURCE_FLIGHTS_MAX;
  const sourceQuestionsMax = init.sourceQuestionsMax ?? SOURCE_QUESTIONS_MAX;
  const now = init.now ?? (() => performance.now());
  const remembered = new LRUCache<string, boolean>({ max: REMEMBERED_MAX, ttlResolution: 0, perf: { now } });
  const agents = new PostAgents(flightsMax);
  const queues = new Map<string, JudgeQueue<Flight>>();
  const underWay = new Set<Flight>();
  /** Those of them that one may join. */
  const flights = new Map<string, Flight>();
  let alone = 0;
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
    refused_source: 0,
  };

  function endJoining(flight: Flight): void {
    if (flights.get(flight.key) === flight) flights.delete(flight.key);
  }

  function settle(flight: Flight, match: boolean | undefined): void {
    underWay.delete(flight);
    endJoining(flight);
    for (const { answer, timer } of flight.waiters) {
      clearTimeout(timer);
      answer(match);
    }
    flight.waiters.clear();
  }

  async function fly(flight: Flight, queue: JudgeQueue<Flight>): Promise<void> {
    const answer = await postJson(agents, flight.url, flight.body, flight.abort.signal);
    const next = queue.landed(flight);
    take(flight, answer);
    if (next !== undefined) void fly(next, queue);
    else if (queue.isEmpty) queues.delete(flight.url);
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

  /** Whoever waits longest keeps it going; who comes when the first one has waited in vain asks again. */
  function wait(flight: Flight, timeoutMs: number, answer: Waiter['answer']): void {
    const isFirst = flight.waiters.size === 0;
    const timer = setTimeout(() => {
      counts.late++;
      flight.waiters.delete(waiter);
      if (isFirst) endJoining(flight);
      if (flight.waiters.size === 0) giveUp(flight);
      answer(undefined);
    }, timeoutMs);
    const waiter: Waiter = { answer, timer };
    flight.waiters.add(waiter);
  }

  function giveUp(flight: Flight): void {
    settle(flight, undefined);
    flight.abort.abort();
    const queue = queues.get(flight.url);
    queue?.leave(flight);
    if (queue?.isEmpty === true) queues.delete(flight.url);
  }

  function begin(flight: Flight): void {
    let queue = queues.get(flight.url);
    if (queue === undefined) {
      queue = new JudgeQueue(flightsMax, queueMax, sourceFlightsMax, sourceQuestionsMax);
      queues.set(flight.url, queue);
    }
    const place = queue.enter(flight);
    if (place === 'flies') {
      void fly(flight, queue);
    } else if (place !== 'queued') {
      counts[place]++;
      settle(flight, undefined);
    }
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
        // Nothing tells the connections of Unix sockets apart: each is asked for.
        const key = question.source === null ? String(++alone) : `${url}\n${body}`;
        const joined = flights.get(key);
        if (joined !== undefined) {
          counts.joined++;
          wait(joined, timeoutMs, answer);
          return;
        }
        const source = question.source === null ? UNIX_SOURCE : sourceKey(question.source);
        const abort = new AbortController();
        const flight: Flight = { url, body, memoryKey, key, source, waiters: new Set(), abort };
        flights.set(key, flight);
        underWay.add(flight);
        wait(flight, timeoutMs, answer);
        begin(flight);
      });
    },
    statistics() {
      let inFlight = 0;
      let queued = 0;
      for (const queue of queues.values()) {
        inFlight += queue.flights;
        queued += queue.queued;
      }
      return { ...counts, in_flight: inFlight, queued };
    },
    close() {
      for (const flight of underWay) giveUp(flight);
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
