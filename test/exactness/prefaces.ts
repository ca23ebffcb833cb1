// What clients and servers say to each other before the bytes: SOCKS5, HTTP CONNECT, a request in absolute form, PROXY
// headers. Written from the specifications, not with the edge's own parsers.
// @source RFC 1928, RFC 1929, RFC 9110; the PROXY protocol (haproxy.org), sections 2.1 and 2.2

import type { Heard } from './peer.ts';

export type Protocol =
  | 'forward'
  | 'forward-proxy-1'
  | 'forward-proxy-2'
  | 'socks'
  | 'socks-password'
  | 'socks-hashed'
  | 'connect'
  | 'connect-password'
  | 'post';

interface Preface {
  readonly says: readonly Uint8Array[];
  readonly hears: readonly ((bytes: Uint8Array) => Heard)[];
}

/** What the server of a request answers before its bytes. */
export const RESPONSE_HEAD = ascii('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
const HEAD_END = '\r\n\r\n';
const SOCKS_REPLY_IPV4_BYTES = 10;

/** @param host an IPv4 address or a name. @param bodyBytes of a request */
export function clientPreface(protocol: Protocol, host: string, port: number, bodyBytes: number): Preface {
  switch (protocol) {
    case 'socks':
      return {
        says: [Uint8Array.of(5, 1, 0), socksRequest(host, port)],
        hears: [exactly([5, 0]), socksReply],
      };
    case 'socks-password':
      return socksWithPassword('ann', 'secret', host, port);
    case 'socks-hashed':
      return socksWithPassword('bob', 'hashed', host, port);
    case 'connect':
      return { says: [connectRequest(host, port, '')], hears: [httpAnswer] };
    case 'connect-password': {
      const token = Buffer.from('ann:secret').toString('base64');
      return {
        says: [connectRequest(host, port, `Proxy-Authorization: Basic ${token}\r\n`)],
        hears: [httpAnswer],
      };
    }
    case 'post':
      return {
        says: [
          ascii(
            `POST http://${host}:${port}/a HTTP/1.1\r\nHost: x\r\nProxy-Connection: keep-alive\r\n` +
              `Content-Length: ${bodyBytes}\r\n\r\n`,
          ),
        ],
        hears: [httpAnswer],
      };
    default:
      return { says: [], hears: [] };
  }
}

/** A server of a forwarded request: origin form, framed as the client framed it, nothing meant for the edge. */
export function hearsRequestHead(bodyBytes: number): (bytes: Uint8Array) => Heard {
  return (bytes) => {
    const text = Buffer.from(bytes).toString('latin1');
    if (!text.endsWith(HEAD_END)) return 'more';
    const isRight =
      text.startsWith('POST /a HTTP/1.1\r\n') &&
      text.includes(`\r\nContent-Length: ${bodyBytes}\r\n`) &&
      !/proxy-/i.test(text);
    return isRight ? 'yes' : 'no';
  };
}

/** A server behind an inbound that names the client in a PROXY header. */
export function hearsProxyHeader(
  version: 1 | 2,
  ports: { readonly clientPort: number; readonly edgePort: number },
): (bytes: Uint8Array) => Heard {
  if (version === 1) {
    return (bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      if (!text.endsWith('\r\n')) return 'more';
      return text === `PROXY TCP4 127.0.0.1 127.0.0.1 ${ports.clientPort} ${ports.edgePort}\r\n`
        ? 'yes'
        : 'no';
    };
  }
  return (bytes) => {
    if (bytes.length < 28) return 'more';
    const view = Buffer.from(bytes);
    const isRight =
      view.toString('latin1', 0, 12) === '\r\n\r\n\0\r\nQUIT\n' &&
      view.readUInt16BE(12) === 0x2111 &&
      view.readUInt16BE(14) === 12 &&
      view.readUInt32BE(16) === 0x7f000001 &&
      view.readUInt32BE(20) === 0x7f000001 &&
      view.readUInt16BE(24) === ports.clientPort &&
      view.readUInt16BE(26) === ports.edgePort;
    return isRight ? 'yes' : 'no';
  };
}

function socksWithPassword(user: string, password: string, host: string, port: number): Preface {
  const credentials = Buffer.concat([
    Buffer.of(1, user.length),
    Buffer.from(user),
    Buffer.of(password.length),
    Buffer.from(password),
  ]);
  return {
    says: [Uint8Array.of(5, 1, 2), new Uint8Array(credentials), socksRequest(host, port)],
    hears: [exactly([5, 2]), exactly([1, 0]), socksReply],
  };
}

function socksRequest(host: string, port: number): Uint8Array {
  const isName = !/^[0-9.]+$/.test(host);
  const address = isName
    ? [3, host.length, ...Buffer.from(host)]
    : [1, ...host.split('.').map((part) => Number(part))];
  return Uint8Array.of(5, 1, 0, ...address, port >> 8, port & 0xff);
}

function socksReply(bytes: Uint8Array): Heard {
  if (bytes.length >= 2 && (bytes[0] !== 5 || bytes[1] !== 0)) return 'no';
  return bytes.length < SOCKS_REPLY_IPV4_BYTES ? 'more' : 'yes';
}

function connectRequest(host: string, port: number, fields: string): Uint8Array {
  return ascii(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n${fields}\r\n`);
}

function httpAnswer(bytes: Uint8Array): Heard {
  const text = Buffer.from(bytes).toString('latin1');
  if (!text.endsWith(HEAD_END)) return 'more';
  return text.startsWith('HTTP/1.1 200 ') ? 'yes' : 'no';
}

function exactly(expected: readonly number[]): (bytes: Uint8Array) => Heard {
  return (bytes) => {
    if (bytes.some((byte, index) => byte !== expected[index])) return 'no';
    return bytes.length === expected.length ? 'yes' : 'more';
  };
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}
