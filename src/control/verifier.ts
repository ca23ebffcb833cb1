// Judges passwords of which only a scrypt hash is known. Scrypt costs tens of milliseconds and megabytes by intent, so
// it is done once for each credential and then remembered as a keyed hash in the credential's record, where workers
// compare by themselves. What is left is a way to make this machine work by sending wrong passwords, and so:
//
//   source failed often lately, or this very password did       → AUTH_FAILED, nothing is computed
//   the same question is being answered                         → joins it, which costs nothing
//   questions of one source ≥ SOURCE_PENDING_MAX, or queue full → AUTH_BUSY
//   else                                                        → queue, at most CONCURRENCY at once
//
// Whatever a worker can't find right by itself while there are hashed credentials comes here, also for names that nobody
// has and for passwords that are written plain. It is computed against a decoy and fails: by time they look the same.
//
// A user who has been verified once and is right is not asked about here again and cannot be locked out by a
// neighbour behind the same address. Control thread only.

import { LRUCache } from 'lru-cache';
import { parseIp } from '../layout/ip-address.ts';
import { hashText, PASSWORD_KEY } from '../layout/name-hash.ts';
import { AUTH_BUSY, AUTH_FAILED } from '../layout/reasons.ts';
import type { CredentialTable } from '../layout/service.ts';
import { MAPPED_WORD } from '../sys/socket-address.ts';
import { verifyScryptHash } from '../policy/scrypt-hash.ts';
import type { ScryptHash } from '../policy/scrypt-hash.ts';

const CONCURRENCY = 2;
const QUEUE_MAX = 256;
const SOURCE_PENDING_MAX = 8;
const SOURCE_FAILURES_MAX = 10;
const SOURCE_WINDOW_MS = 10_000;
const SOURCES_MAX = 16_384;
const FAILURE_TTL_MS = 5_000;
const FAILURES_MAX = 16_384;

export interface VerifyRequest {
  /** -1: nobody has the name. */
  readonly credential: number;
  readonly credentialGeneration: number;
  /** Keyed hash of the user name: four words. */
  readonly userName: Int32Array;
  readonly password: string;
  /** Address of the client, as text. */
  readonly source: string;
}

/** 0: the password is right. Else the reason of the refusal. */
export type VerifyAnswer = (reason: number) => void;

export interface VerifierStatistics {
  readonly asked: number;
  readonly right: number;
  readonly wrong: number;
  readonly remembered: number;
  readonly gated: number;
  readonly busy: number;
  readonly running: number;
  readonly queued: number;
}

export interface Verifier {
  /** Answers exactly once, perhaps before it returns. */
  verify(request: VerifyRequest, answer: VerifyAnswer): void;
  statistics(): VerifierStatistics;
}

export interface VerifierInit {
  readonly credentials: CredentialTable;
  /** `deriveNameKeys`. */
  readonly keys: Int32Array;
  readonly hashOf: (credential: number) => ScryptHash | undefined;
  /** What is computed where there is no hash; undefined: nothing is. */
  readonly decoyOf: (choice: number) => ScryptHash | undefined;
  readonly compute?: (password: string, stored: ScryptHash) => Promise<boolean>;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** One computation and all who wait for it. */
interface Question {
  readonly key: string;
  readonly request: VerifyRequest;
  readonly stored: ScryptHash;
  /** The computation is for its duration only. */
  readonly isDecoy: boolean;
  readonly proof: Int32Array;
  readonly waiters: { readonly source: string; readonly answer: VerifyAnswer }[];
}

export function createVerifier(init: VerifierInit): Verifier {
  const { credentials, keys, hashOf, decoyOf } = init;
  const compute = init.compute ?? verifyScryptHash;
  const now = init.now ?? (() => performance.now());
  const failures = new LRUCache<string, true>({
    max: FAILURES_MAX,
    ttl: FAILURE_TTL_MS,
    ttlResolution: 0,
    perf: { now },
  });
  /** Failures of a source since the first one in its window. */
  const sourceFailures = new LRUCache<string, { count: number }>({
    max: SOURCES_MAX,
    ttl: SOURCE_WINDOW_MS,
    ttlResolution: 0,
    perf: { now },
  });
  const sourcePending = new Map<string, number>();
  const questions = new Map<string, Question>();
  const queue: Question[] = [];
  const counts = { asked: 0, right: 0, wrong: 0, remembered: 0, gated: 0, busy: 0 };
  let running = 0;

  function fail(source: string): void {
    const entry = sourceFailures.get(source);
    if (entry === undefined) sourceFailures.set(source, { count: 1 });
    else entry.count++;
  }

  function addPending(source: string, delta: number): void {
    const count = (sourcePending.get(source) ?? 0) + delta;
    if (count === 0) sourcePending.delete(source);
    else sourcePending.set(source, count);
  }

  /** Workers may know the password from now on, unless the credential is another one by now. */
  function remember(question: Question): void {
    if (!isCurrent(credentials, question.request)) return;
    const { credential } = question.request;
    for (let k = 0; k < 4; k++) credentials.setProof(credential, k, question.proof[k] as number);
    credentials.setProven(credential, 1);
  }

  function settle(question: Question, reason: number): void {
    questions.delete(question.key);
    addPending(sourceKey(question.request.source), -1);
    if (reason === 0) remember(question);
    else if (reason === AUTH_FAILED) failures.set(question.key, true);
    const stillThere = isCurrent(credentials, question.request);
    for (const { source, answer } of question.waiters) {
      if (reason === AUTH_FAILED) fail(source);
      const judged = reason === 0 && !stillThere ? AUTH_FAILED : reason;
      if (judged === 0) counts.right++;
      else if (judged === AUTH_FAILED) counts.wrong++;
      else counts.busy++;
      answer(judged);
    }
  }

  function next(): void {
    while (running < CONCURRENCY) {
      const question = queue.shift();
      if (question === undefined) return;
      running++;
      // Rejected for want of memory: that is no judgement, and nothing to remember.
      compute(question.request.password, question.stored)
        .then(
          (isRight) => (isRight && !question.isDecoy ? 0 : AUTH_FAILED),
          () => AUTH_BUSY,
        )
        .then((reason) => {
          running--;
          settle(question, reason);
          next();
        });
    }
  }

  return {
    verify(request, answer) {
      counts.asked++;
      const { credential, credentialGeneration, userName, password } = request;
      const source = sourceKey(request.source);
      const own = isCurrent(credentials, request) ? hashOf(credential) : undefined;
      const stored = own ?? decoyOf(userName[0] as number);
      if (stored === undefined) {
        counts.wrong++;
        answer(AUTH_FAILED);
        return;
      }
      const proof = hashText(keys, PASSWORD_KEY, password);
      if (own !== undefined && isProven(credentials, credential, proof)) {
        counts.remembered++;
        answer(0);
        return;
      }
      if ((sourceFailures.get(source)?.count ?? 0) > SOURCE_FAILURES_MAX) {
        counts.gated++;
        answer(AUTH_FAILED);
        return;
      }
      // With the name, also where it is nobody's: else one failure would answer for all such names, and quickly.
      const key = `${credential}.${credentialGeneration}.${userName.join('.')}.${proof.join('.')}`;
      if (failures.has(key)) {
        counts.remembered++;
        fail(source);
        answer(AUTH_FAILED);
        return;
      }
      const asked = questions.get(key);
      if (asked !== undefined) {
        asked.waiters.push({ source, answer });
        return;
      }
      if ((sourcePending.get(source) ?? 0) >= SOURCE_PENDING_MAX || queue.length >= QUEUE_MAX) {
        counts.busy++;
        answer(AUTH_BUSY);
        return;
      }
      addPending(source, 1);
      const question = {
        key,
        request,
        stored,
        isDecoy: own === undefined,
        proof,
        waiters: [{ source, answer }],
      };
      questions.set(key, question);
      queue.push(question);
      next();
    },
    statistics: () => ({ ...counts, running, queued: queue.length }),
  };
}

/** IPv6 counts by /64: whoever has one such address has them all. */
function sourceKey(source: string): string {
  const words = parseIp(source);
  if (words === undefined || (words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD)) return source;
  return `${words[0]}.${words[1]}`;
}

/** Whether the request speaks of a credential, and of the one that is there now. */
function isCurrent(credentials: CredentialTable, request: VerifyRequest): boolean {
  const { credential, credentialGeneration } = request;
  return credential >= 0 && credentials.generation(credential) === credentialGeneration;
}

/** Somebody else's question about the same password may have been answered while this one was on its way. */
function isProven(credentials: CredentialTable, credential: number, proof: Int32Array): boolean {
  if (credentials.proven(credential) !== 1) return false;
  let difference = 0;
  for (let k = 0; k < 4; k++) difference |= credentials.proof(credential, k) ^ (proof[k] as number);
  return difference === 0;
}
