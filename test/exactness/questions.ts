// What a worker asks the control thread in small scenes, and answers to it.

import { expect } from 'vitest';
import type { ControlMessage, WorkerMessage } from '../../src/layout/messages.ts';
import { hashText, RULE_PROCESS_NAME_KEY } from '../../src/layout/name-hash.ts';
import { MAPPED_WORD } from '../../src/sys/socket-address.ts';
import { dial } from './actors.ts';
import type { Actor } from './actors.ts';
import { pins } from './rules.ts';
import { SERVER_PORT, SOCKS_GREETING, SOCKS_PORT, socksRequest } from './small-edge.ts';
import type { SmallEdge } from './small-edge.ts';

export type Question<K> = Extract<WorkerMessage, { kind: K }>;

export function socks(small: SmallEdge, request = socksRequest(SERVER_PORT)): Actor {
  return dial(small.edge, SOCKS_PORT).say(SOCKS_GREETING).say(request);
}

export function named(name: string, port = SERVER_PORT): Uint8Array {
  return socksRequest(port, [3, name.length, ...Buffer.from(name)]);
}

export function words(...addresses: number[]): Int32Array {
  return Int32Array.from(addresses.flatMap((address) => [0, 0, MAPPED_WORD, address]));
}

/** What the worker asks next, of this kind. */
export function asked<K extends 'resolve' | 'look_up'>({ edge, until }: SmallEdge, kind: K): Question<K> {
  until(() => edge.posted.some((message) => message.kind === kind));
  const at = edge.posted.findIndex((message) => message.kind === kind);
  return edge.posted.splice(at, 1)[0] as Question<K>;
}

export function answered(
  small: SmallEdge,
  question: Question<'look_up'>,
  answer: { found?: boolean; isTrue?: boolean; program?: string } = {},
): Extract<ControlMessage, { kind: 'looked_up' }> {
  const name = hashText(small.edge.w.nameKeys, RULE_PROCESS_NAME_KEY, answer.program ?? '');
  const { slot, generation, need, external } = question;
  return {
    kind: 'looked_up',
    slot,
    generation,
    need,
    external,
    question: question.question,
    found: answer.found ?? true,
    isTrue: answer.isTrue ?? false,
    processName: name.subarray(0, 2),
    processPath: new Int32Array(2),
    userId: -1,
  };
}

export function expectNothingLeft({ edge, until }: SmallEdge): void {
  until(() => edge.w.slots.live === 0);
  edge.turn();
  expect(edge.leaks()).toEqual([]);
  expect(pins(edge)).toBe(0);
}
