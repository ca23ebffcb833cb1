import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIp, parseIp } from '../../layout/ip-address.ts';
import { HEADER_TOO_LARGE, MALFORMED_PROXY_HEADER } from '../../layout/reasons.ts';
import { HOST_IP, HOST_NONE, Parsed } from './parsed.ts';
import { itKeepsTheParserContract } from './parser.compliance.ts';
import {
  PROXY_V1_BYTES_MAX,
  PROXY_V2_BYTES_MAX,
  parseProxyHeader,
  writeProxyV1,
  writeProxyV2,
} from './proxy-protocol.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const hex = (...parts: string[]): Uint8Array => Uint8Array.from(Buffer.from(parts.join(''), 'hex'));
const line = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value, 'latin1'));
const v2 = (command: string, family: string, body: string): Uint8Array =>
  hex(SIGNATURE, command, family, (body.length / 2).toString(16).padStart(4, '0'), body);

const TCP4_BODY = 'c0000201c63364020fa001bb';
const TCP6_BODY = `20010db8${'00'.repeat(11)}0120010db8${'00'.repeat(11)}020fa001bb`;
const longest6 = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';

const valid = [
  line('PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\n'),
  line('PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n'),
  line('PROXY TCP6 2001:db8::1 ::1 4000 443\r\n'),
  line(`PROXY TCP6 ${longest6} ${longest6} 65535 65535\r\n`),
  line('PROXY UNKNOWN\r\n'),
  line(`PROXY UNKNOWN ${longest6} ${longest6} 65535 65535\r\n`),
  v2('21', '11', TCP4_BODY),
  v2('21', '21', TCP6_BODY),
  v2('21', '11', `${TCP4_BODY}0100026832`),
  v2('21', '31', '00'.repeat(216)),
  v2('21', '12', TCP4_BODY),
  v2('21', '00', ''),
  v2('21', '00', 'abcdef'),
  v2('20', '00', ''),
  v2('20', '11', 'ff'),
];

itKeepsTheParserContract('PROXY header', parseProxyHeader, valid);

const parse = (input: Uint8Array): [number, Parsed] => {
  const parsed = new Parsed();
  return [parseProxyHeader(input, input.length, parsed), parsed];
};
const ends = (parsed: Parsed): unknown[] => [
  formatIp(parsed.sourceWords),
  parsed.sourcePort,
  formatIp(parsed.destinationWords),
  parsed.destinationPort,
];

describe('PROXY header, read', () => {
  it.each([
    [valid[0], ['192.0.2.1', 4000, '198.51.100.2', 443]],
    [valid[2], ['2001:db8::1', 4000, '::1', 443]],
    [valid[6], ['192.0.2.1', 4000, '198.51.100.2', 443]],
    [valid[7], ['2001:db8::1', 4000, '2001:db8::2', 443]],
    [valid[8], ['192.0.2.1', 4000, '198.51.100.2', 443]],
  ])('takes both ends (%#)', (input, expected) => {
    const [, parsed] = parse(input as Uint8Array);
    expect(parsed.sourceKind).toBe(HOST_IP);
    expect(ends(parsed)).toEqual(expected);
  });

  it('names no ends for UNKNOWN, LOCAL, UNSPEC, Unix and datagrams, even after a header that did', () => {
    const parsed = new Parsed();
    for (const input of [valid[4], valid[5], ...valid.slice(9)] as Uint8Array[]) {
      parsed.sourceKind = HOST_IP;
      expect(parseProxyHeader(input, input.length, parsed)).toBe(input.length);
      expect(parsed.sourceKind).toBe(HOST_NONE);
    }
  });

  it.each([
    'GET / HTTP/1.1\r\n',
    'proxy TCP4 192.0.2.1 198.51.100.2 4000 443\r\n',
    'PROXY\r\n',
    'PROXY \r\n',
    'PROXY  TCP4 192.0.2.1 198.51.100.2 4000 443\r\n',
    'PROXY TCP5 192.0.2.1 198.51.100.2 4000 443\r\n',
    'PROXY TCP4\r\n',
    'PROXY TCP4 \r\n',
    'PROXY TCP4 192.0.2.1\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 4000\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 4000 \r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 4000 443 \r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 4000 443 1\r\n',
    'PROXY TCP4 192.0.2.1  198.51.100.2 4000 443\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 04000 443\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 +1 443\r\n',
    'PROXY TCP4 192.0.2.01 198.51.100.2 4000 443\r\n',
    'PROXY TCP4 2001:db8::1 ::1 4000 443\r\n',
    'PROXY TCP6 192.0.2.1 198.51.100.2 4000 443\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\n',
    'PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\rX',
    'PROXY TCP4 192.0.2.1\t198.51.100.2 4000 443\r\n',
    'PROXY UNKNOWNX\r\n',
    'PROXY UNKNOWN\0\r\n',
    `PROXY UNKNOWN ${'x'.repeat(PROXY_V1_BYTES_MAX)}`,
  ])('refuses %j', (input) => {
    expect(parse(line(input))[0]).toBe(-MALFORMED_PROXY_HEADER);
  });

  it('holds version 1 to its 107 bytes', () => {
    const padded = (total: number): Uint8Array => line(`${'PROXY UNKNOWN '.padEnd(total - 2, 'x')}\r\n`);
    expect(parse(padded(PROXY_V1_BYTES_MAX))[0]).toBe(PROXY_V1_BYTES_MAX);
    expect(parse(padded(PROXY_V1_BYTES_MAX + 1))[0]).toBe(-MALFORMED_PROXY_HEADER);
  });

  it.each([
    ['signature', hex('0d0a0d0a000d0a515549540b2111')],
    ['version', v2('11', '11', TCP4_BODY)],
    ['command', v2('22', '11', TCP4_BODY)],
    ['family', v2('21', '41', TCP4_BODY)],
    ['protocol', v2('21', '13', TCP4_BODY)],
    ['family without protocol', v2('21', '10', TCP4_BODY)],
    ['protocol without family', v2('21', '01', TCP4_BODY)],
    ['short IPv4', v2('21', '11', TCP4_BODY.slice(2))],
    ['short IPv6', v2('21', '21', TCP6_BODY.slice(2))],
    ['short Unix', v2('21', '31', TCP6_BODY)],
  ])('refuses a wrong %s in version 2', (_, input) => {
    expect(parse(input)[0]).toBe(-MALFORMED_PROXY_HEADER);
  });

  it('bounds version 2', () => {
    const body = (bytes: number): string => TCP4_BODY.padEnd(bytes * 2, '0');
    expect(parse(v2('21', '11', body(PROXY_V2_BYTES_MAX - 16)))[0]).toBe(PROXY_V2_BYTES_MAX);
    expect(parse(v2('21', '11', body(PROXY_V2_BYTES_MAX - 15)))[0]).toBe(-HEADER_TOO_LARGE);
  });
});

describe('PROXY header, written', () => {
  const output = new Uint8Array(PROXY_V1_BYTES_MAX);
  const between = (source: string, destination: string): Parsed => {
    const parsed = new Parsed();
    parsed.sourceKind = HOST_IP;
    parsed.sourceWords.set(parseIp(source) ?? []);
    parsed.destinationWords.set(parseIp(destination) ?? []);
    parsed.sourcePort = 4000;
    parsed.destinationPort = 443;
    return parsed;
  };
  const written = (write: typeof writeProxyV1, parsed: Parsed): Uint8Array =>
    output.slice(0, write(output, parsed));

  it('is what the reader of each version knows', () => {
    const ipv4 = between('192.0.2.1', '198.51.100.2');
    expect(written(writeProxyV1, ipv4)).toEqual(valid[0]);
    expect(written(writeProxyV2, ipv4)).toEqual(valid[6]);
    expect(written(writeProxyV1, between('2001:db8::1', '::1'))).toEqual(valid[2]);
    expect(written(writeProxyV2, between('2001:db8::1', '2001:db8::2'))).toEqual(valid[7]);
    expect(written(writeProxyV1, new Parsed())).toEqual(valid[4]);
    expect(written(writeProxyV2, new Parsed())).toEqual(valid[13]);
    expect(Buffer.from(written(writeProxyV1, between('192.0.2.1', '::1'))).toString()).toBe(
      'PROXY TCP6 ::ffff:192.0.2.1 ::1 4000 443\r\n',
    );
  });

  it('comes back as it went', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6());
    const port = fc.nat(65535);
    fc.assert(
      fc.property(address, port, address, port, (source, sourcePort, destination, destinationPort) => {
        const sent = between(source, destination);
        sent.sourcePort = sourcePort;
        sent.destinationPort = destinationPort;
        for (const write of [writeProxyV1, writeProxyV2]) {
          const header = written(write, sent);
          const [consumed, received] = parse(header);
          expect(consumed).toBe(header.length);
          expect(ends(received)).toEqual(ends(sent));
        }
      }),
    );
  });
});
