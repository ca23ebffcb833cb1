// What rules want to know of a connection and its worker can't: which program it comes from, and what a judge says. The worker
// names a slot; who the connection is stands in its slot and facts, which are read while the worker goes on (a record
// counts if the generation was the same before and after).
//
//   look_up ─► slot, facts ─► process-lookup.ts, or external-judge.ts ─► looked_up
//
// Answers for a connection that has gone are not sent; the deadline of the rule is the worker's. Control thread.

import { formatIp } from '../layout/ip-address.ts';
import type { FactsTable } from '../layout/facts.ts';
import type { ControlMessage, WorkerMessage } from '../layout/messages.ts';
import { hashText, RULE_PROCESS_NAME_KEY, RULE_PROCESS_PATH_KEY } from '../layout/name-hash.ts';
import { NEED_EXTERNAL, NEED_PROCESS, PROTOCOL_NAMES, PROTOCOL_UNKNOWN } from '../layout/rules.ts';
import { TARGET_TEXT_WORDS, TARGET_UNIX } from '../layout/service.ts';
import { CLIENT, type SlotTable } from '../layout/slot.ts';
import type { Tables } from '../layout/tables.ts';
import { AF_UNIX } from '../sys/constants.ts';
import { SocketAddress } from '../sys/socket-address.ts';
import type { Sys } from '../sys/sys.ts';
import type { Directory } from './directory.ts';
import type { ExternalJudge, JudgeQuestion, JudgeStatistics } from './external-judge.ts';
import {
  ELSEWHERE,
  type ProcessAnswer,
  type ProcessLookup,
  type ProcessStatistics,
} from './process-lookup.ts';
import type { Endpoint } from './socket-owner.ts';

type LookUp = Extract<WorkerMessage, { readonly kind: 'look_up' }>;
type LookedUp = Extract<ControlMessage, { readonly kind: 'looked_up' }>;
type Found = Pick<LookedUp, 'found' | 'isTrue' | 'processName' | 'processPath' | 'userId'>;

/** Words of a hash that rules keep. */
const HASH_WORDS = 2;
const NOBODY = new Int32Array(HASH_WORDS);
const NO_USER = -1;

const NOT_FOUND: Found = {
  found: false,
  isTrue: false,
  processName: NOBODY,
  processPath: NOBODY,
  userId: NO_USER,
};

export interface LookUpStatistics {
  readonly processes: ProcessStatistics;
  readonly externals: JudgeStatistics;
  /** Questions about connections that had gone before they were read. */
  readonly gone: number;
}

export interface LookUps {
  /** Answers once, later or before it returns, unless the connection has gone. Never throws. */
  serve(worker: number, message: LookUp, reply: (answer: LookedUp) => void): void;
  statistics(): LookUpStatistics;
  close(): void;
}

export interface LookUpsInit {
  readonly sys: Sys;
  readonly tables: Pick<Tables, 'slots' | 'facts' | 'targets'>;
  /** `deriveNameKeys`. */
  readonly keys: Int32Array;
  readonly directory: Pick<Directory, 'services' | 'users' | 'inbounds'>;
  readonly processes: ProcessLookup;
  readonly judge: ExternalJudge;
  /** Judgements of the snapshot in that row, by number. */
  readonly externalsOf: (
    snapshotRow: number,
  ) => readonly { readonly url: string; readonly timeoutMs: number }[];
}

export function createLookUps(init: LookUpsInit): LookUps {
  const { tables, processes, judge } = init;
  const clients = new Clients(init.sys);
  let gone = 0;

  function lookUp({ slots, facts }: Records, message: LookUp): Promise<Found> | undefined {
    if (message.need === NEED_PROCESS) return lookForProcess(init, clients, slots, message);
    if (message.need !== NEED_EXTERNAL) return Promise.resolve(NOT_FOUND);
    const external = init.externalsOf(message.snapshotRow)[message.external];
    const question = readQuestion(init, slots, facts, message);
    if (question === undefined) return undefined;
    if (external === undefined) return Promise.resolve(NOT_FOUND);
    return judge
      .judge(external.url, external.timeoutMs, question)
      .then((match) => (match === undefined ? NOT_FOUND : { ...NOT_FOUND, found: true, isTrue: match }));
  }

  return {
    serve(worker, message, reply) {
      const slots = tables.slots[worker];
      const facts = tables.facts[worker];
      const flight =
        slots === undefined || facts === undefined ? undefined : lookUp({ slots, facts }, message);
      if (flight === undefined) {
        gone++;
        return;
      }
      const { slot, generation, question, need, external } = message;
      const answer = (found: Found) =>
        reply({ kind: 'looked_up', slot, generation, question, need, external, ...found });
      void flight.catch(() => NOT_FOUND).then(answer);
    },
    statistics: () => ({ processes: processes.statistics(), externals: judge.statistics(), gone }),
    close() {
      processes.close();
      judge.close();
    },
  };
}

interface Records {
  readonly slots: SlotTable;
  readonly facts: FactsTable;
}

/** @returns undefined: the connection has gone */
function lookForProcess(
  { processes, keys }: LookUpsInit,
  clients: Clients,
  slots: SlotTable,
  { slot, generation }: LookUp,
): Promise<Found> | undefined {
  if (slots.generation(slot) !== generation) return undefined;
  const source = wordsOf((word) => slots.source(slot, word));
  const port = slots.sourcePort(slot);
  const destination = clients.destination(slots, slot);
  const unix = destination === undefined ? processes.lookUnix(slots.fd(slot, CLIENT)) : undefined;
  // What was read of the socket may have been read of its successor.
  if (slots.generation(slot) !== generation) return undefined;
  const flight =
    destination === undefined ? Promise.resolve(unix) : processes.look({ words: source, port }, destination);
  return flight.then((answer) => processFound(keys, answer));
}

function processFound(keys: Int32Array, answer: ProcessAnswer): Found {
  if (answer === undefined) return NOT_FOUND;
  if (answer === ELSEWHERE) return { ...NOT_FOUND, found: true };
  return {
    ...NOT_FOUND,
    found: true,
    processName: hashText(keys, RULE_PROCESS_NAME_KEY, answer.name).slice(0, HASH_WORDS),
    processPath: hashText(keys, RULE_PROCESS_PATH_KEY, answer.path).slice(0, HASH_WORDS),
    userId: answer.userId | 0,
  };
}

/** Reads what a worker's sockets of clients are connected to. The descriptors are those of the whole process. */
class Clients {
  private readonly sys: Sys;
  private readonly address: SocketAddress;

  constructor(sys: Sys) {
    this.sys = sys;
    this.address = new SocketAddress(sys);
  }

  /** What the client connected to, by a PROXY header or by its socket; undefined: a Unix socket, or nothing at all. */
  destination(slots: SlotTable, slot: number): Endpoint | undefined {
    const port = slots.destinationPort(slot);
    if (port !== -1) return { words: wordsOf((word) => slots.destination(slot, word)), port };
    const { address, sys } = this;
    address.resetLength();
    if (sys.getsockname(slots.fd(slot, CLIENT), address.address, address.lengthAddress) < 0) return undefined;
    if (address.family === AF_UNIX) return undefined;
    return { words: wordsOf((word) => address.word(word)), port: address.port };
  }
}

/** @returns undefined: the connection has gone */
function readQuestion(
  { directory, tables }: LookUpsInit,
  slots: SlotTable,
  facts: FactsTable,
  { slot, generation }: LookUp,
): JudgeQuestion | undefined {
  if (slots.generation(slot) !== generation) return undefined;
  const nameOf = (names: Directory['services'], index: number, objectGeneration: number) =>
    index < 0 ? null : (names.nameOf(index, objectGeneration) ?? null);
  const source = wordsOf((word) => slots.source(slot, word));
  const name = textOf((word) => facts.name(slot, word), facts.nameBytes(slot));
  const isNamed = facts.isNamed(slot) === 1;
  const protocol = facts.protocol(slot);
  const question: JudgeQuestion = {
    service: nameOf(directory.services, slots.service(slot), slots.serviceGeneration(slot)),
    user: nameOf(directory.users, slots.credential(slot), slots.credentialGeneration(slot)),
    inbound: nameOf(directory.inbounds, slots.inbound(slot), slots.inboundGeneration(slot)),
    network: 'tcp',
    source: source.every((word) => word === 0) ? null : formatIp(source),
    source_port: slots.sourcePort(slot),
    target: isNamed ? name : targetOf(tables, slots, slot),
    port: slots.targetPort(slot),
    protocol: protocol === PROTOCOL_UNKNOWN ? null : (PROTOCOL_NAMES[protocol] ?? null),
    domain: isNamed || name === '' ? null : name,
  };
  return slots.generation(slot) === generation ? question : undefined;
}

/** An address, or the Unix socket that an operator wrote. */
function targetOf({ targets }: LookUpsInit['tables'], slots: SlotTable, slot: number): string {
  const record = slots.targetIndex(slot);
  if (record >= 0 && targets.kind(record) === TARGET_UNIX) {
    return `unix:${textOf((word) => targets.text(record, word), targets.textBytes(record))}`;
  }
  return formatIp(wordsOf((word) => slots.target(slot, word)));
}

function wordsOf(word: (index: number) => number): Int32Array {
  return Int32Array.from({ length: 4 }, (_, index) => word(index));
}

/** Text as it lies in words. A length that was read while it changed is of no use, but stays within bounds. */
function textOf(word: (index: number) => number, length: number): string {
  const bytes = Math.min(Math.max(0, length), TARGET_TEXT_WORDS * 4);
  const words = Int32Array.from({ length: (bytes + 3) >> 2 }, (_, index) => word(index));
  return Buffer.from(words.buffer, 0, bytes).toString('utf8');
}
