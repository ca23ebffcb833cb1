// How a TCP connection comes into being:
//
//   connect --SYN--> listener --SYN,ACK--> client established --ACK--> accept queue
//
// A listener whose queue is full drops the SYN; the client asks again after 1, 2, 4, ... seconds, as Linux does.
// @source linux/net/ipv4/tcp_ipv4.c, tcp(7) (tcp_syn_retries)

import { ECONNREFUSED, EHOSTUNREACH, EPOLLIN, ETIMEDOUT } from '../constants.ts';
import { fateOf } from './endpoint.ts';
import type { TcpSocket } from './tcp-socket.ts';
import { TCP_CONNECTED, TCP_CONNECTING } from './tcp-states.ts';
import { arrivalUs, fail, launchReset, receiveReset } from './tcp-wire.ts';

const CONNECT_TIMEOUT_US = 127_000_000;
const NO_HOST_US = 3_000_000;
const SYN_RETRY_US = 1_000_000;
const DELAY_US_MAX = 200_000;
const RESET_WITHIN_US = 20_000;

/** Starts the handshake of a socket that has just become TCP_CONNECTING. */
export function startHandshake(client: TcpSocket): void {
  const { faults, world } = client.process;
  const { clock, random } = world;
  const attempt = client.attempt;
  const fate = fateOf(client.remote);
  if (fate === EHOSTUNREACH) {
    clock.at(clock.nowUs + NO_HOST_US, () => giveUp(client, attempt, EHOSTUNREACH));
    return;
  }
  if (fate === ETIMEDOUT) {
    clock.at(clock.nowUs + CONNECT_TIMEOUT_US, () => giveUp(client, attempt, ETIMEDOUT));
    return;
  }
  if (random.chance(faults.delayedConnect)) client.lastArrivalUs = clock.nowUs + random.below(DELAY_US_MAX);
  clock.at(arrivalUs(client), () => arriveSyn(client, attempt, SYN_RETRY_US));
}

/** The attempt may have been abandoned (closed, or shut down and begun anew) while the segment travelled. */
function waits(client: TcpSocket, attempt: number): boolean {
  return client.state === TCP_CONNECTING && client.attempt === attempt;
}

function giveUp(client: TcpSocket, attempt: number, error: number): void {
  if (waits(client, attempt)) fail(client, error);
}

function arriveSyn(client: TcpSocket, attempt: number, retryUs: number): void {
  if (!waits(client, attempt)) return;
  const { clock, latencyUs, ports, random } = client.process.world;
  const listener = ports.listenerFor(client.remote, random.below(1024)) as TcpSocket | undefined;
  if (listener === undefined) {
    clock.at(clock.nowUs + latencyUs, () => giveUp(client, attempt, ECONNREFUSED));
  } else if (listener.queue.length > listener.backlog) {
    if (retryUs * 2 > CONNECT_TIMEOUT_US)
      clock.at(clock.nowUs + retryUs, () => giveUp(client, attempt, ETIMEDOUT));
    else clock.at(clock.nowUs + retryUs, () => arriveSyn(client, attempt, retryUs * 2));
  } else {
    clock.at(clock.nowUs + latencyUs, () => establish(client, attempt, listener));
  }
}

function establish(client: TcpSocket, attempt: number, listener: TcpSocket): void {
  if (!waits(client, attempt)) return;
  const { clock, random } = client.process.world;
  const child = listener.createChild(client);
  child.lastArrivalUs = clock.nowUs;
  client.peer = child;
  client.outgoing = child.incoming;
  client.incoming = child.outgoing;
  client.state = TCP_CONNECTED;
  clock.at(arrivalUs(client), () => queueChild(listener, child));
  if (random.chance(Math.max(client.process.faults.reset, listener.process.faults.reset))) {
    clock.at(clock.nowUs + random.below(RESET_WITHIN_US), () => {
      receiveReset(client);
      receiveReset(child);
    });
  }
  client.wake(0);
}

function queueChild(listener: TcpSocket, child: TcpSocket): void {
  if (!listener.listening) {
    child.released = true;
    launchReset(child);
    return;
  }
  listener.queue.push(child);
  listener.wake(EPOLLIN);
}
