// How bytes, FIN and RST travel between the two ends of a TCP connection. Whatever one end sends arrives at the other
// in order, after latency and jitter; the acknowledgement is immediate. Nothing is lost: Linux would repeat it.
//
// Which event wakes whom, and with what error, is Linux's (the key 0 of a state change wakes everybody).
// @source linux/net/ipv4/tcp_input.c (tcp_data_queue, tcp_fin, tcp_reset), tcp.c (tcp_done)

import { ECONNRESET, EPIPE, EPOLLERR, EPOLLIN, EPOLLOUT, EPOLLPRI } from '../constants.ts';
import type { TcpSocket } from './tcp-socket.ts';
import { TCP_CLOSED } from './tcp-states.ts';

const SEGMENT_BYTES_MAX = 16384;
const FRAGMENT_BYTES_MAX = 200;
const FRAGMENT_GAP_US_MAX = 200;

/** When something sent now by `socket` arrives: never before what it sent earlier. */
export function arrivalUs(socket: TcpSocket): number {
  const { clock, random, latencyUs, jitterUs } = socket.process.world;
  socket.lastArrivalUs = Math.max(socket.lastArrivalUs, clock.nowUs + latencyUs + random.below(jitterUs + 1));
  return socket.lastArrivalUs;
}

/** Sends what the peer's window allows, then the FIN if it is due. To be called whenever either may have changed. */
export function launch(socket: TcpSocket): void {
  const { outgoing: stream, peer } = socket;
  if (peer === null || socket.state === TCP_CLOSED) return;
  const { clock, random } = socket.process.world;
  for (;;) {
    const unsent = stream.writtenAt - stream.launchedAt;
    if (unsent === 0) break;
    const window = peer.receiveCapacityBytes - (stream.launchedAt - stream.readAt);
    const wanted = Math.min(unsent, SEGMENT_BYTES_MAX);
    // No silly windows: wait for room for a whole segment or half of the peer's buffer.
    if (window < wanted && window * 2 < peer.receiveCapacityBytes) break;
    const fits = Math.min(wanted, window);
    const fragmented = random.chance(socket.process.faults.fragment);
    const length = fragmented ? 1 + random.below(Math.min(fits, FRAGMENT_BYTES_MAX)) : fits;
    stream.launchedAt += length;
    clock.at(arrivalUs(socket), () => arrive(socket, peer, length));
    // What follows a fragment comes later, or the reader would never see it alone.
    if (fragmented) socket.lastArrivalUs += random.below(FRAGMENT_GAP_US_MAX);
  }
  if (!socket.shutdownWrite || socket.finLaunched || stream.writtenAt !== stream.launchedAt) return;
  socket.finLaunched = true;
  clock.at(arrivalUs(socket), () => arriveFin(socket, peer));
}

function arrive(sender: TcpSocket, receiver: TcpSocket, length: number): void {
  const stream = sender.outgoing;
  stream.arrivedAt += length;
  if (receiver.released) {
    // Nobody will read it. An end that closed in order answers with RST; one that reset has done so already.
    stream.readAt = stream.arrivedAt;
    receiver.discardIncoming();
    launchReset(receiver);
    return;
  }
  if (receiver.state === TCP_CLOSED) return;
  if (receiver.shutdownRead && receiver.shutdownWrite && !receiver.finReceived) {
    sendReset(receiver, sender);
    fail(receiver, ECONNRESET);
    return;
  }
  receiver.wake(EPOLLIN | EPOLLPRI);
  wakeWriter(sender);
}

function arriveFin(sender: TcpSocket, receiver: TcpSocket): void {
  sender.finAcknowledged = true;
  if (receiver.state !== TCP_CLOSED) {
    receiver.finReceived = true;
    receiver.shutdownRead = true;
    if (receiver.finAcknowledged) receiver.state = TCP_CLOSED;
    receiver.wake(0);
  }
  if (!sender.finReceived || sender.state === TCP_CLOSED) return;
  sender.state = TCP_CLOSED;
  sender.wake(0);
}

/** Ends the connection from this end: the peer hears of it after the bytes that travel; unsent ones are gone. */
export function launchReset(socket: TcpSocket): void {
  const { peer, outgoing } = socket;
  if (socket.state === TCP_CLOSED || peer === null) return;
  socket.state = TCP_CLOSED;
  outgoing.writtenAt = outgoing.launchedAt;
  sendReset(socket, peer);
}

function sendReset(socket: TcpSocket, peer: TcpSocket): void {
  socket.process.world.clock.at(arrivalUs(socket), () => receiveReset(peer));
}

/** A RST arrives. What has arrived before stays readable. */
export function receiveReset(socket: TcpSocket): void {
  fail(socket, socket.finReceived && !socket.finLaunched ? EPIPE : ECONNRESET);
}

/** The connection, or the attempt at one, is over. */
export function fail(socket: TcpSocket, error: number): void {
  if (socket.state === TCP_CLOSED) return;
  socket.error = error;
  socket.state = TCP_CLOSED;
  socket.shutdownRead = true;
  socket.shutdownWrite = true;
  const { outgoing } = socket;
  socket.lostBytes = outgoing.writtenAt - outgoing.arrivedAt;
  outgoing.writtenAt = outgoing.launchedAt;
  socket.wake(0);
  socket.wake(EPOLLERR);
}

/** Tells a writer that was refused that it may go on, once a third of its buffer is free. */
export function wakeWriter(socket: TcpSocket): void {
  if (!socket.noSpace || !socket.writable()) return;
  socket.noSpace = false;
  socket.wake(EPOLLOUT);
}
