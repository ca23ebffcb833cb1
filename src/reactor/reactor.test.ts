// The loop on the simulated network: what it calls, in which order, and what bounds a turn.

import { describe, expect, it } from 'vitest';
import { AF_INET, EPOLLET, EPOLLIN, EPOLLOUT, SOCK_STREAM } from '../sys/constants.ts';
import { createSimulatedNetwork } from '../sys/simulated/simulated-network.ts';
import type { SimulatedNetworkInit } from '../sys/simulated/simulated-network.ts';
import type { Faults } from '../sys/simulated/faults.ts';
import { MAPPED_WORD, SocketAddress } from '../sys/socket-address.ts';
import { Reactor } from './reactor.ts';

const SLOTS = 2_000;
const PORT = 4_000;

function scene(faults: Partial<Faults> = {}, init: Partial<SimulatedNetworkInit> = {}) {
  const network = createSimulatedNetwork({ seed: 1, ...init });
  const sys = network.sys({ faults });
  const wakeFd = sys.eventfd();
  const calls: string[] = [];
  /** What a test does when it is called. */
  const does = { ready: (_slot: number) => {}, deadline: (_timer: number) => {} };
  const reactor = new Reactor(
    sys,
    {
      onConnection: (token, generation, mask) => calls.push(`connection ${token} ${generation} ${mask}`),
      onListener: (index) => calls.push(`listener ${index}`),
      onReady(slot) {
        calls.push(`ready ${slot}`);
        does.ready(slot);
      },
      onDeadline(timer) {
        calls.push(`deadline ${timer}`);
        does.deadline(timer);
      },
      onWake: () => calls.push('wake'),
      onSleep: (asleep) => calls.push(asleep ? 'asleep' : 'awake'),
    },
    wakeFd,
    SLOTS,
    SLOTS,
  );
  const address = new SocketAddress(sys);
  const listenFd = sys.socket(AF_INET, SOCK_STREAM, 0);
  sys.bind(listenFd, address.address, address.setIp(0, 0, MAPPED_WORD, 0x7f000001, PORT));
  sys.listen(listenFd, 64);
  const connect = (): number => {
    const fd = sys.socket(AF_INET, SOCK_STREAM, 0);
    sys.connect(fd, address.address, address.setIp(0, 0, MAPPED_WORD, 0x7f000001, PORT));
    return fd;
  };
  const taken = (): string[] => calls.splice(0).filter((call) => call !== 'asleep' && call !== 'awake');
  return { network, sys, wakeFd, calls, does, reactor, listenFd, connect, taken };
}

describe('the reactor', () => {
  it('tells listeners, connections and the wake descriptor apart', () => {
    const { network, sys, wakeFd, reactor, listenFd, connect, taken } = scene();
    expect(reactor.addListener(listenFd, 7)).toBe(0);
    const client = connect();
    expect(reactor.addConnection(client, EPOLLIN | EPOLLOUT | EPOLLET, 5, -3)).toBe(0);
    network.advance(1);
    sys.eventfdSignal(wakeFd);
    reactor.turn(10);
    expect(taken().sort()).toEqual([`connection 5 -3 ${EPOLLOUT}`, 'listener 7', 'wake']);
    sys.close(client);
  });

  it('announces a listener again until its queue is empty, and no more after it was removed', () => {
    const { network, sys, reactor, listenFd, connect, taken } = scene();
    reactor.addListener(listenFd, 0);
    for (let i = 0; i < 3; i++) connect();
    network.advance(1);
    for (let i = 0; i < 3; i++) {
      reactor.turn(10);
      expect(taken()).toEqual(['listener 0']);
      expect(sys.accept(listenFd, 0, 0)).toBeGreaterThan(0);
    }
    reactor.turn(10);
    expect(taken()).toEqual([]);
    connect();
    expect(reactor.removeListener(listenFd)).toBe(0);
    network.advance(1);
    reactor.turn(10);
    expect(taken()).toEqual([]);
  });

  it('drains the wake descriptor: one call, however often it was signalled', () => {
    const { sys, wakeFd, reactor, taken } = scene();
    for (let i = 0; i < 5; i++) sys.eventfdSignal(wakeFd);
    reactor.turn(10);
    reactor.turn(10);
    expect(taken()).toEqual(['wake']);
  });

  it('serves only those who were ready when the turn began, in their order', () => {
    const { reactor, does, taken } = scene();
    for (const slot of [4, 1, 9]) reactor.ready.push(slot);
    does.ready = (slot) => reactor.ready.push(slot);
    reactor.turn(1_000);
    expect(taken()).toEqual(['ready 4', 'ready 1', 'ready 9']);
    does.ready = () => {};
    reactor.turn(1_000);
    reactor.turn(1);
    expect(taken()).toEqual(['ready 4', 'ready 1', 'ready 9']);
  });

  it('does not sleep while somebody is ready', () => {
    const { network, reactor, calls } = scene();
    reactor.ready.push(3);
    const beforeMs = network.nowMs();
    reactor.turn(1_000);
    expect(calls).toEqual(['ready 3']);
    expect(network.nowMs() - beforeMs).toBeLessThan(2);
  });

  it('sleeps until the next deadline, as long as it is told, and a second at most', () => {
    const { network, reactor, taken } = scene();
    let beforeMs = network.nowMs();
    reactor.turn(250);
    expect(network.nowMs() - beforeMs).toBe(250);
    reactor.wheel.arm(11, reactor.nowTick + 40);
    beforeMs = network.nowMs();
    reactor.turn(1_000);
    expect(taken()).toEqual(['deadline 11']);
    expect(network.nowMs() - beforeMs).toBeLessThanOrEqual(41);
    beforeMs = network.nowMs();
    reactor.turn(60_000);
    expect(network.nowMs() - beforeMs).toBe(1_000);
  });

  it('says when it sleeps, and is awake whenever it calls anybody', () => {
    const { network, sys, wakeFd, reactor, calls } = scene();
    network.at(5, () => sys.eventfdSignal(wakeFd));
    reactor.turn(100);
    expect(calls).toEqual(['asleep', 'awake', 'wake']);
  });

  it('bounds the deadlines of a turn; the rest follows', () => {
    const { network, reactor, taken } = scene();
    for (let timer = 0; timer < 1_200; timer++) reactor.wheel.arm(timer, reactor.nowTick + 5);
    network.advance(20);
    const counts: number[] = [];
    while (reactor.wheel.armed > 0) {
      reactor.turn(0);
      counts.push(taken().length);
    }
    expect(counts).toEqual([512, 512, 176]);
  });

  it('lets a deadline arm itself again without running it twice in a turn', () => {
    const { network, reactor, does, taken } = scene();
    does.deadline = (timer) => reactor.wheel.arm(timer, (reactor.nowTick + 10) | 0);
    reactor.wheel.arm(2, reactor.nowTick + 1);
    network.advance(5);
    reactor.turn(0);
    expect(taken()).toEqual(['deadline 2']);
    reactor.turn(100);
    expect(taken()).toEqual(['deadline 2']);
  });

  it('goes on after a signal interrupted its sleep', () => {
    const { sys, wakeFd, reactor, taken } = scene({ interrupt: 0.7 });
    sys.eventfdSignal(wakeFd);
    for (let i = 0; i < 30; i++) reactor.turn(1);
    expect(taken()).toEqual(['wake']);
  });

  it('keeps its ticks where the clock passes 2^32 milliseconds', () => {
    const { reactor, taken } = scene({}, { startMs: 2 ** 32 - 30 });
    reactor.wheel.arm(0, reactor.nowTick + 60);
    for (let i = 0; i < 20 && reactor.wheel.armed > 0; i++) reactor.turn(10);
    expect(taken()).toEqual(['deadline 0']);
    expect(reactor.nowTick).toBeGreaterThanOrEqual(60);
    expect(reactor.nowTick).toBeLessThan(80);
  });

  it('says at once that it can not be made', () => {
    const network = createSimulatedNetwork({ seed: 1 });
    const sys = network.sys({ descriptorsMax: 4 });
    const wakeFd = sys.eventfd();
    const handler = {
      onConnection() {},
      onListener() {},
      onReady() {},
      onDeadline() {},
      onWake() {},
      onSleep() {},
    };
    expect(() => new Reactor(sys, handler, wakeFd, 1, 1)).toThrow('epoll_create1 failed with errno 24');
    sys.close(wakeFd);
    expect(() => new Reactor(sys, handler, 99, 1, 1)).toThrow("can't be polled: errno 9");
  });

  it('has a clock that does not wrap when its ticks do', () => {
    const { network, reactor, taken } = scene();
    reactor.turn(0);
    const before = reactor.nowMs;
    const days = 26 * 24 * 3_600_000;
    network.advance(days);
    reactor.turn(0);
    expect(reactor.nowMs - before).toBe(days);
    expect(reactor.nowTick).toBeLessThan(0);
    taken();
  });
});
