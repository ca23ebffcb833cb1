// Connections as tests of exactness make them, on either network: through every kind of inbound, each end with a script
// of its own, and what must be true of each when both ends are over, whatever happened to it.

import { AF_INET, EINPROGRESS, SOCK_STREAM } from '../../src/sys/constants.ts';
import type { Random } from '../../src/sys/simulated/random.ts';
import { MAPPED_WORD } from '../../src/sys/socket-address.ts';
import { stretchAt } from './pattern.ts';
import { Peer } from './peer.ts';
import type { Script, Stage } from './peer.ts';
import {
  clientPreface,
  hearsProxyHeader,
  hearsRequestHead,
  RESPONSE_HEAD,
  type Protocol,
} from './prefaces.ts';

const LOOPBACK = 0x7f000001;
const BYTES_MAX = 300_000;
/** For seeds that are to meet splicing: enough full reads in a row. */
const BULK_BYTES_MAX = 1_400_000;
const BACKLOG = 8;

export interface Connection {
  readonly id: number;
  readonly protocol: Protocol;
  readonly hasServer: boolean;
  readonly client: Script;
  readonly server: Script;
  /** Of the client's bytes, those that are for the server: a request has one body. */
  readonly upBytes: number;
  readonly eager: boolean;
  /** The name that the client writes in place of an address, or ''. */
  readonly name: string;
  /** Where its inbound and its server listen; known before it is begun. */
  edgePort: number;
  serverPort: number;
  clientPeer: Peer | undefined;
  serverPeer: Peer | undefined;
  clientPort: number;
}

/** What to expect of connections that nobody spoilt. */
export interface Expectation {
  /** Only what has arrived must be right; how far it came, the faults decide. */
  readonly isRough: boolean;
  /** A handshake may be refused because the kernel did not take an answer at once (answer.ts). */
  readonly mayRefuse: boolean;
  /** Clients may be told that the way is open before it is: where rules look at what they say. */
  readonly isToldEarly?: boolean;
  /** Takes those to names that did not come to their server: a rule may have had the name looked up in vain. */
  readonly nameless?: Connection[];
}

/** The client comes. */
export function connect(stage: Stage, connection: Connection): void {
  const { sys, address } = stage;
  const { client, server, protocol, name, upBytes, eager, edgePort, serverPort } = connection;
  const fd = sys.socket(AF_INET, SOCK_STREAM, 0);
  address.setIp(0, 0, MAPPED_WORD, LOOPBACK, edgePort);
  const answer = sys.connect(fd, address.address, address.length);
  if (answer !== -EINPROGRESS) throw new Error(`a client's connect answered ${answer}`);
  address.resetLength();
  sys.getsockname(fd, address.address, address.lengthAddress);
  connection.clientPort = address.port;
  const preface = clientPreface(protocol, name === '' ? '127.0.0.1' : name, serverPort, upBytes);
  const expected = { patternAt: server.patternAt, bytes: server.bytes };
  connection.clientPeer = new Peer({
    stage,
    fd,
    script: client,
    expected,
    eager,
    isConnecting: true,
    ...preface,
  });
}

/**
 * Opens the server's socket, on `serverPort` or, where that is 0, on any. It takes one connection.
 * @returns the listening descriptor; without a server it is bound and nobody listens
 */
export function serve(stage: Stage, connection: Connection): number {
  const { sys, address } = stage;
  const { client, server, protocol, upBytes } = connection;
  const listenFd = sys.socket(AF_INET, SOCK_STREAM, 0);
  address.setIp(0, 0, MAPPED_WORD, LOOPBACK, connection.serverPort);
  if (sys.bind(listenFd, address.address, address.length) < 0) throw new Error('a server can not be bound');
  address.resetLength();
  sys.getsockname(listenFd, address.address, address.lengthAddress);
  connection.serverPort = address.port;
  if (!connection.hasServer) return listenFd;
  if (sys.listen(listenFd, BACKLOG) < 0) throw new Error('a server can not listen');
  const expected = { patternAt: client.patternAt, bytes: upBytes };
  const isPost = protocol === 'post';
  const version = protocol === 'forward-proxy-1' ? 1 : protocol === 'forward-proxy-2' ? 2 : 0;
  const hears = isPost
    ? [hearsRequestHead(upBytes)]
    : version === 0
      ? []
      : [hearsProxyHeader(version, connection)];
  const says = isPost ? [new Uint8Array(0), RESPONSE_HEAD] : [];
  stage.watch(listenFd, () => {
    const fd = sys.accept(listenFd, 0, 0);
    if (fd >= 0) connection.serverPeer = new Peer({ stage, fd, script: server, expected, hears, says });
  });
  return listenFd;
}

/** What must be true of one connection, whatever happened to it. */
export function judge(connection: Connection, expectation: Expectation, mistakes: string[]): void {
  const { id, protocol, clientPeer: client, serverPeer: server, upBytes } = connection;
  const say = (what: string) =>
    mistakes.push(`connection ${id} (${protocol}): ${what}; client ${tell(client)}, server ${tell(server)}`);
  if (client === undefined) return;
  if (client.isWrong) say('the client got wrong bytes');
  if (server?.isWrong) say('the server got wrong bytes');
  const downBytes = connection.server.bytes;
  // A FIN says that the stream is whole: it was sent, and everything before it has come.
  if (server?.sawFin && !(client.finSent || client.closedEarly)) say('the server saw a FIN that nobody sent');
  if (server?.sawFin && server.received !== upBytes) say('the server saw a FIN after a part');
  if (client.isEstablished && client.sawFin) {
    if (!(server?.finSent || server?.closedEarly)) say('the client saw a FIN that nobody sent');
    if (client.received !== downBytes) say('the client saw a FIN after a part');
  }
  // A reset travels on, unless the other end has gone by itself.
  if (client.resetSent && !client.finSent && server !== undefined) {
    if (!server.sawReset && !server.resetSent && !server.closedEarly)
      say('the reset did not reach the server');
  }
  if (server?.resetSent && !server.finSent && client.isEstablished) {
    if (!client.sawReset && !client.resetSent && !client.closedEarly)
      say('the reset did not reach the client');
  }
  if (expectation.isRough) return;
  const isOwnDoing = [client, server].some((peer) => peer?.resetSent || peer?.closedEarly);
  if (isOwnDoing) return;
  if (!connection.hasServer) {
    if (client.isEstablished && !protocol.startsWith('forward') && expectation.isToldEarly !== true)
      say('connected to nobody');
    return;
  }
  const isEstablished = client.isEstablished && server?.isEstablished === true;
  if (!isEstablished && (!expectation.mayRefuse || protocol === 'forward')) {
    const { nameless } = expectation;
    if (server === undefined && connection.name !== '' && nameless !== undefined) nameless.push(connection);
    else say('was not established');
  }
  if (isEstablished && !isComplete(connection)) say('is not complete');
}

export function isComplete({ clientPeer, serverPeer, upBytes, server }: Connection): boolean {
  if (clientPeer === undefined || serverPeer === undefined) return false;
  if (!clientPeer.sawFin || !serverPeer.sawFin) return false;
  return serverPeer.received === upBytes && clientPeer.received === server.bytes;
}

function tell(peer: Peer | undefined): string {
  if (peer === undefined) return 'absent';
  const said = [`sent ${peer.sent}`, `received ${peer.received}`];
  const flags = { ...peer };
  for (const [name, value] of Object.entries(flags)) if (value === true) said.push(name);
  return said.join(' ');
}

/** Mostly small, sometimes nothing, sometimes far more than every buffer on the way. */
function someBytes(random: Random, isBulk: boolean): number {
  if (isBulk && random.chance(0.6)) return BULK_BYTES_MAX - random.below(BYTES_MAX);
  const kind = random.next();
  if (kind < 0.1) return 0;
  if (kind < 0.45) return 1 + random.below(600);
  if (kind < 0.8) return 1 + random.below(20_000);
  if (kind < 0.93) return 1 + random.below(100_000);
  return 1 + random.below(BYTES_MAX);
}

function script(random: Random, index: number, bytes: number, mayWait: boolean): Script {
  const kind = random.next();
  const isSlow = random.chance(0.25);
  const waits = mayWait && random.chance(0.4);
  return {
    patternAt: stretchAt(index),
    bytes,
    end: kind < 0.08 ? 'reset' : kind < 0.14 ? 'close' : waits ? 'fin-after-peer' : 'fin',
    resetAfterMs: random.chance(0.08) ? random.next() * 80 : -1,
    pieceBytesMax: pick(random, [100, 2_000, 16_000, 60_000]) + (bytes >> 5),
    pauseChance: random.chance(0.4) ? random.next() * 0.3 : 0,
    pauseMsMax: 20,
    readAfterMs: random.chance(0.2) ? random.next() * 100 : 0,
    readBytes: isSlow ? 200 + random.below(20_000) : 0,
    readEveryMs: isSlow ? random.next() * 4 : 0,
  };
}

const PROTOCOLS: readonly Protocol[] = [
  'forward',
  'forward',
  'forward-proxy-1',
  'forward-proxy-2',
  'socks',
  'socks',
  'socks-password',
  'socks-hashed',
  'connect',
  'connect',
  'connect-password',
  'post',
];

/** @param serverlessChance how often nobody listens at the target */
export function planConnection(
  random: Random,
  id: number,
  isBulk: boolean,
  serverlessChance: number,
): Connection {
  const protocol = pick(random, PROTOCOLS);
  const client = script(random, id * 2, someBytes(random, isBulk), true);
  const server = script(random, id * 2 + 1, someBytes(random, isBulk), client.end !== 'fin-after-peer');
  // What follows the one request goes nowhere.
  const upBytes = protocol === 'post' && random.chance(0.3) ? random.below(client.bytes + 1) : client.bytes;
  const isNamed = !protocol.startsWith('forward') && random.chance(0.3);
  return {
    id,
    protocol,
    client,
    server,
    upBytes,
    hasServer: !random.chance(serverlessChance),
    eager: protocol === 'post' || random.chance(0.3),
    name: isNamed ? pick(random, ['one.test', 'two.test', 'dead.test']) : '',
    edgePort: 0,
    serverPort: 0,
    clientPeer: undefined,
    serverPeer: undefined,
    clientPort: -1,
  };
}

export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[random.below(choices.length)] as T;
}
