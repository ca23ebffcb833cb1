// What first bytes are: of each protocol, of none, and never one answer first and another later.

import { describe, expect, it } from 'vitest';
import {
  PROTOCOL_DNS,
  PROTOCOL_HTTP,
  PROTOCOL_SSH,
  PROTOCOL_TLS,
  PROTOCOL_UNKNOWN,
} from '../../layout/rules.ts';
import { clientHello, dnsQuery } from '../../../test/exactness/first-bytes.ts';
import { HOST_NAME, Parsed } from '../identify/parsed.ts';
import { protocolSoFar, recognise } from './recognise.ts';

const ALL = -1;

function look(bytes: Uint8Array | string, wanted = ALL) {
  const input = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  const parsed = new Parsed();
  const protocol = recognise(Uint8Array.from(input), input.length, wanted, parsed);
  const name =
    parsed.hostKind === HOST_NAME
      ? Buffer.from(parsed.name.subarray(0, parsed.nameLength)).toString('latin1')
      : '';
  return { protocol, name };
}

const known: readonly (readonly [
  what: string,
  bytes: Uint8Array | string,
  protocol: number,
  name: string,
])[] = [
  ['a ClientHello', clientHello('Www.Example.com'), PROTOCOL_TLS, 'www.example.com'],
  ['a ClientHello without a name', clientHello(''), PROTOCOL_TLS, ''],
  [
    'a request',
    'GET / HTTP/1.1\r\nAccept: a\r\nhOST: Api.Example.com:8080\r\n',
    PROTOCOL_HTTP,
    'api.example.com',
  ],
  ['a request of HTTP/1.0', 'GET /x HTTP/1.0\r\n\r\n', PROTOCOL_HTTP, ''],
  ['a request to an address', 'POST /x HTTP/1.1\r\nHost: 192.0.2.1\r\n', PROTOCOL_HTTP, ''],
  ['a request whose host is nonsense', 'GET / HTTP/1.1\r\nHost: a b\r\n', PROTOCOL_HTTP, ''],
  [
    'a request whose method is not in capitals',
    'get / HTTP/1.1\r\nHost: a.example\r\n',
    PROTOCOL_HTTP,
    'a.example',
  ],
  ['a search', 'M-SEARCH * HTTP/1.1\r\nHost: a.example\r\n', PROTOCOL_HTTP, 'a.example'],
  [
    'a request behind empty lines',
    '\r\n\n\r\nGET / HTTP/1.1\r\nHost: a.example\r\n',
    PROTOCOL_HTTP,
    'a.example',
  ],
  ['a request with odd blanks', 'GET\t/a b  HTTP/1.1 \r\nHost: a.example\r\n', PROTOCOL_HTTP, 'a.example'],
  [
    'a request with bytes beyond ASCII',
    'GET /\xe4 HTTP/1.1\r\nHost: a.example\r\n',
    PROTOCOL_HTTP,
    'a.example',
  ],
  [
    'a request in absolute form',
    'GET http://x:y@Bad.example:81/?u=http://c.example HTTP/1.1\r\nHost: good.example\r\n',
    PROTOCOL_HTTP,
    'bad.example',
  ],
  [
    'an absolute form without a path',
    'GET http://bad.example?a HTTP/1.1\r\nHost: b.example\r\n',
    PROTOCOL_HTTP,
    'bad.example',
  ],
  [
    'an absolute form to an address',
    'GET http://192.0.2.1/ HTTP/1.1\r\nHost: b.example\r\n',
    PROTOCOL_HTTP,
    '',
  ],
  [
    'a path that looks absolute',
    'GET /http://bad.example HTTP/1.1\r\nHost: b.example\r\n',
    PROTOCOL_HTTP,
    'b.example',
  ],
  ['a CONNECT', 'CONNECT bad.example:443 HTTP/1.1\r\nHost: b.example\r\n', PROTOCOL_HTTP, 'bad.example'],
  ['a ClientHello with an address', clientHello('192.0.2.1'), PROTOCOL_TLS, ''],
  ['a ClientHello with a name that is none', clientHello('a..b'), PROTOCOL_TLS, ''],
  [
    'a ClientHello behind an empty record',
    Buffer.concat([Uint8Array.of(22, 3, 1, 0, 0), clientHello('')]),
    PROTOCOL_TLS,
    '',
  ],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', PROTOCOL_HTTP, ''],
  ['a banner of SSH', 'SSH-2.0-x\r\n', PROTOCOL_SSH, ''],
  ['a DNS query', dnsQuery('example.com'), PROTOCOL_DNS, ''],
  ['a DNS query of the root', dnsQuery(''), PROTOCOL_DNS, ''],
];

describe('first bytes', () => {
  it.each(known)('of %s', (_, bytes, protocol, name) => {
    expect(look(bytes)).toEqual({ protocol, name });
    // Not where nobody looks for it.
    expect(look(bytes, ALL & ~(1 << protocol)).protocol).not.toBe(protocol);
  });

  it.each(known)('of %s are not decided before they tell', (_, bytes, protocol) => {
    const input = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    for (let length = 1; length < input.length; length++) {
      const found = look(Uint8Array.from(input.subarray(0, length))).protocol;
      expect([PROTOCOL_UNKNOWN, protocol]).toContain(protocolSoFar(found));
      if (found >= 0) expect(found).toBe(protocol);
    }
  });

  it.each([
    ['a request line', 'GET / HTTP/1.1\r\n', PROTOCOL_HTTP],
    ['a field that goes on', 'GET / HTTP/1.1\r\nHost: bad.exam', PROTOCOL_HTTP],
    ['half a ClientHello', clientHello('bad.example').subarray(0, 40), PROTOCOL_TLS],
    ['a ClientHello of more than we read', Uint8Array.of(22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0), PROTOCOL_TLS],
    ['the type of a ClientHello', clientHello('bad.example').subarray(0, 6), PROTOCOL_TLS],
    ['the head of a record', clientHello('bad.example').subarray(0, 5), PROTOCOL_UNKNOWN],
    ['half a request line', 'GET / HT', PROTOCOL_UNKNOWN],
    ['empty lines', '\r\n\r\n', PROTOCOL_UNKNOWN],
  ])('of %s may be followed by a name', (_, bytes, protocol) => {
    const found = look(bytes);
    expect(found.name).toBe('');
    expect(found.protocol).toBeLessThan(0);
    expect(protocolSoFar(found.protocol)).toBe(protocol);
  });

  it.each([
    ['text', 'hello\r\n'],
    ['upper case', 'HELO mail.example.com\r\n'],
    ['a method without a version', 'GET /index.html\r\n'],
    ['a method that never ends', 'A'.repeat(40)],
    ['a record that is no hello', Uint8Array.of(22, 3, 1, 0, 4, 2, 0, 0, 0)],
    ['an old hello of SSL', Uint8Array.of(0x80, 0x2e, 1, 3, 1)],
    ['zeros', new Uint8Array(40)],
    ['an answer of DNS', dnsQuery('example.com', 0x80)],
    ['a DNS message that is too short for what it says', dnsQuery('example.com').fill(20, 1, 2)],
    ['what begins like SSH', 'SSL\r\n'],
  ])('of %s are nothing known', (_, bytes) => {
    expect(look(bytes).protocol).toBe(PROTOCOL_UNKNOWN);
  });
});
