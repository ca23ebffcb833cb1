// What only the simulation has: seeds, virtual time, faults; and a relay under all faults at once, byte for byte.

import { describe, expect, it } from 'vitest';
import {
  AF_INET,
  ECONNREFUSED,
  EHOSTUNREACH,
  EINPROGRESS,
  EMFILE,
  ENETUNREACH,
  EPOLLERR,
  EPOLLOUT,
  ETIMEDOUT,
  SO_ERROR,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../constants.ts';
import { MAPPED_WORD, SocketAddress } from '../socket-address.ts';
import { COMMON_FAULTS, NO_FAULTS } from './faults.ts';
import { relayManyConnections } from './relay.compliance.ts';
import { createSimulatedNetwork } from './simulated-network.ts';

const SEEDS = 60;
const EVENT_BYTES = 48;

function connectOutcome(ipv4: number, waitMs: number): { result: number; error: number; tookMs: number } {
  const network = createSimulatedNetwork({ seed: 5 });
  const sys = network.sys();
  const address = new SocketAddress(sys);
  const events = sys.addressOf(new Uint8Array(new ArrayBuffer(EVENT_BYTES)));
  const fd = sys.socket(AF_INET, SOCK_STREAM, 0);
  address.setIp(0, 0, MAPPED_WORD, ipv4 | 0, 443);
  const result = sys.connect(fd, address.address, address.length);
  const epollFd = sys.epollCreate();
  sys.epollAdd(epollFd, fd, result === -EINPROGRESS ? EPOLLOUT : EPOLLERR, 0, 0);
  const startMs = sys.nowMs();
  if (result === -EINPROGRESS) sys.epollWait(epollFd, events, 1, waitMs);
  return { result, error: sys.getOptionInt(fd, SOL_SOCKET, SO_ERROR), tookMs: sys.nowMs() - startMs };
}

describe('simulated network', () => {
  it('passes virtual time only, and runs callbacks in their order', () => {
    const network = createSimulatedNetwork({ seed: 1, startMs: 500 });
    const order: string[] = [];
    network.at(20, () => order.push(`b ${network.nowMs()}`));
    network.at(10, () => {
      order.push(`a ${network.nowMs()}`);
      network.at(10, () => order.push(`c ${network.nowMs()}`));
    });
    network.advance(15);
    expect(order).toEqual(['a 510']);
    network.advance(3_600_000);
    expect(order).toEqual(['a 510', 'b 520', 'c 520']);
    expect(network.idle()).toBe(true);
    expect(network.nowMs()).toBe(3_600_515);
  });

  it('throws rather than wait for ever, and inside a callback does not wait', () => {
    const network = createSimulatedNetwork({ seed: 1 });
    const sys = network.sys();
    const events = sys.addressOf(new Uint8Array(new ArrayBuffer(EVENT_BYTES)));
    const epollFd = sys.epollCreate();
    expect(() => sys.epollWait(epollFd, events, 1, -1)).toThrow('never return');
    let answer = -1;
    network.at(1, () => {
      answer = sys.epollWait(epollFd, events, 1, 1000);
    });
    network.advance(2);
    expect(answer).toBe(0);
    expect(network.nowMs()).toBeLessThan(1_000_010);
  });

  it('has addresses that swallow, refuse and can not be reached', () => {
    expect(connectOutcome(0x7f000001, 1000)).toMatchObject({ result: -EINPROGRESS, error: ECONNREFUSED });
    expect(connectOutcome(0xc0000201, 60_000)).toEqual({ result: -EINPROGRESS, error: 0, tookMs: 60_000 });
    expect(connectOutcome(0xc0000201, 200_000)).toMatchObject({ error: ETIMEDOUT, tookMs: 127_000 });
    expect(connectOutcome(0xc6336401, 60_000)).toMatchObject({ error: EHOSTUNREACH, tookMs: 3000 });
    expect(connectOutcome(0xcb007101, 60_000)).toMatchObject({ result: -ENETUNREACH, error: 0 });
  });

  it('runs out of descriptors for a while when the fault says so, and recovers', () => {
    const network = createSimulatedNetwork({ seed: 3, faults: { descriptorsExhausted: 0.2 } });
    const sys = network.sys();
    let refusedAt = -1;
    for (let tries = 0; tries < 200 && refusedAt < 0; tries++) {
      const fd = sys.eventfd();
      if (fd < 0) refusedAt = tries;
      else sys.close(fd);
    }
    expect(refusedAt).toBeGreaterThanOrEqual(0);
    expect(sys.eventfd()).toBe(-EMFILE);
    network.advance(3);
    const answers = Array.from({ length: 10 }, () => {
      network.advance(3);
      return sys.eventfd();
    });
    expect(answers.some((fd) => fd >= 0)).toBe(true);
    expect(sys.openCount()).toBe(answers.filter((fd) => fd >= 0).length);
  });

  it('does the same again for the same seed, and something else for another', () => {
    const runs = [7, 7, 8].map((seed) =>
      relayManyConnections(seed, { connections: 5, bytesMax: 20_000, faults: COMMON_FAULTS }),
    );
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]?.digest).not.toBe(runs[0]?.digest);
  });

  it('relays every byte without faults', () => {
    const outcome = relayManyConnections(1, { connections: 30, bytesMax: 100_000, faults: NO_FAULTS });
    expect(outcome).toMatchObject({ finished: 30, reset: 0, wrongBytes: 0, descriptorsLeft: 0 });
  });

  it(`relays every byte of what was not reset under all faults, ${SEEDS} seeds`, () => {
    let finished = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const outcome = relayManyConnections(seed, { connections: 8, bytesMax: 30_000, faults: COMMON_FAULTS });
      expect(outcome.wrongBytes, `seed ${seed}`).toBe(0);
      expect(outcome.finished + outcome.reset, `seed ${seed}`).toBe(8);
      expect(outcome.descriptorsLeft, `seed ${seed}`).toBe(0);
      finished += outcome.finished;
    }
    expect(finished).toBeGreaterThan(SEEDS * 4);
  });
});
