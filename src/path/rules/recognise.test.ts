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
import { recognise, UNDECIDED } from './recognise.ts';

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
      expect([UNDECIDED, protocol]).toContain(look(Uint8Array.from(input.subarray(0, length))).protocol);
    }
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
