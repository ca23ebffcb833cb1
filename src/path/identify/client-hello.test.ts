import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CONNECT_TIMEOUT,
  HEADER_TOO_LARGE,
  MALFORMED_TLS,
  SERVER_NAME_MISSING,
  SERVER_NAME_UNKNOWN,
} from '../../layout/reasons.ts';
import { parseClientHello } from './client-hello.ts';
import { CLIENT_HELLO_BYTES_MAX, HOST_NAME, Parsed } from './parsed.ts';
import { itKeepsTheParserContract } from './parser.compliance.ts';
import { tlsAlert } from './tls-alert.ts';

const u16 = (value: number): number[] => [value >> 8, value & 0xff];
const sized16 = (body: number[]): number[] => [...u16(body.length), ...body];
const text = (value: string): number[] => [...Buffer.from(value, 'latin1')];
const extension = (type: number, body: number[]): number[] => [...u16(type), ...sized16(body)];
const hostEntry = (name: string): number[] => [0, ...sized16(text(name))];
const serverName = (name: string): number[] => extension(0, sized16(hostEntry(name)));
const ALPN = extension(16, sized16([2, ...text('h2')]));

interface HelloParts {
  version?: number[];
  session?: number[];
  suites?: number[];
  compressions?: number[];
  extensions?: number[] | undefined;
}

function message(parts: HelloParts = {}): number[] {
  const {
    version = [3, 3],
    session = Array.from({ length: 32 }, () => 7),
    suites = [0x13, 1],
    compressions = [0],
  } = parts;
  const extensions = 'extensions' in parts ? parts.extensions : [...ALPN, ...serverName('Www.Example.com')];
  const body = [
    ...version,
    ...Array.from({ length: 32 }, () => 9),
    session.length,
    ...session,
    ...sized16(suites),
    compressions.length,
    ...compressions,
    ...(extensions === undefined ? [] : sized16(extensions)),
  ];
  return [1, body.length >> 16, ...u16(body.length & 0xffff), ...body];
}

/** Cuts a message into records at the given offsets. */
function records(whole: readonly number[], cuts: readonly number[] = []): Uint8Array {
  const edges = [0, ...[...new Set(cuts)].sort((a, b) => a - b), whole.length];
  const pieces = edges.slice(1).map((edge, i) => whole.slice(edges[i], edge));
  return Uint8Array.from(
    pieces.filter((piece) => piece.length > 0).flatMap((piece) => [22, 3, 1, ...sized16(piece)]),
  );
}

const parsed = new Parsed();
const answer = (input: Uint8Array): number => parseClientHello(input, input.length, parsed);
const nameFound = (): string => Buffer.from(parsed.name.subarray(0, parsed.nameLength)).toString();

const whole = message();
itKeepsTheParserContract('ClientHello', parseClientHello, [
  records(whole),
  records(whole, [1]),
  records(whole, [2, 3, 4, 5, 60]),
  records(whole, [whole.length - 12]),
  records(message({ session: [], extensions: serverName('a.example') })),
]);

describe('ClientHello', () => {
  it('yields the server name in lower case', () => {
    expect(answer(records(whole))).toBeGreaterThan(0);
    expect(parsed.hostKind).toBe(HOST_NAME);
    expect(nameFound()).toBe('www.example.com');
    expect(answer(records(message({ extensions: serverName('tail.dot.') })))).toBeGreaterThan(0);
    expect(nameFound()).toBe('tail.dot');
  });

  it('yields it however the message is cut into records', () => {
    for (let cut = 1; cut < whole.length; cut++) {
      const input = records(whole, [cut]);
      expect(answer(input)).toBe(input.length);
      expect(nameFound()).toBe('www.example.com');
    }
    const everyByte = records(whole, [...whole.keys()]);
    expect(answer(everyByte)).toBe(everyByte.length);
    expect(nameFound()).toBe('www.example.com');
    fc.assert(
      fc.property(fc.array(fc.nat(whole.length)), (cuts) => {
        const input = records(whole, cuts);
        expect(answer(input)).toBe(input.length);
        expect(nameFound()).toBe('www.example.com');
      }),
    );
  });

  it('reads what a real client sends', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const input = await realHello('real.example.com', maxVersion);
      expect(answer(input)).toBe(input.length);
      expect(nameFound()).toBe('real.example.com');
    }
  });

  it('tells a missing name from a malformed hello', () => {
    for (const extensions of [undefined, [], ALPN, extension(0, sized16([7, ...sized16(text('x'))]))]) {
      expect(answer(records(message({ extensions })))).toBe(-SERVER_NAME_MISSING);
    }
  });

  it.each<[string, number[]]>([
    ['two server_name extensions', message({ extensions: [...serverName('a.b'), ...serverName('a.b')] })],
    [
      'two host names',
      message({ extensions: extension(0, sized16([...hostEntry('a.b'), ...hostEntry('c.d')])) }),
    ],
    ['empty server_name', message({ extensions: extension(0, []) })],
    ['empty list', message({ extensions: extension(0, [0, 0]) })],
    ['list longer than its extension', message({ extensions: extension(0, [0, 9, ...hostEntry('a.b')]) })],
    ['list shorter than its extension', message({ extensions: extension(0, [0, 3, ...hostEntry('a.b')]) })],
    ['name beyond the list', message({ extensions: extension(0, sized16([0, 0, 9, 0x61])) })],
    ['half an entry', message({ extensions: extension(0, sized16([0, 0])) })],
    ['empty name', message({ extensions: serverName('') })],
    ['NUL in the name', message({ extensions: serverName('a\0.example') })],
    ['wildcard', message({ extensions: serverName('*.example') })],
    ['IPv4 literal', message({ extensions: serverName('127.0.0.1') })],
    ['IPv6 literal', message({ extensions: serverName('::1') })],
    ['number in disguise', message({ extensions: serverName('0x7f.1') })],
    ['name of 254 bytes', message({ extensions: serverName(`${'a.'.repeat(126)}aa`) })],
    ['extension beyond the end', message({ extensions: [0, 16, 0, 9, 1] })],
    ['half an extension', message({ extensions: [...serverName('a.b'), 0] })],
    ['session of 33 bytes', message({ session: Array.from({ length: 33 }, () => 1) })],
    ['no suites', message({ suites: [] })],
    ['odd suites', message({ suites: [1, 2, 3] })],
    ['no compression', message({ compressions: [] })],
    ['version 2', message({ version: [2, 0] })],
    ['empty body', [1, 0, 0, 0]],
    ['body of one byte', [1, 0, 0, 1, 3]],
    ['bytes behind the extensions', [1, 0, 0, (whole[3] as number) + 1, ...whole.slice(4), 0]],
    ['an extension behind the list', [1, 0, 0, (whole[3] as number) + 4, ...whole.slice(4), 0, 99, 0, 0]],
    [
      'a second server_name behind one without a host',
      message({ extensions: [...extension(0, sized16([7, ...sized16(text('x'))])), ...serverName('a.b')] }),
    ],
    ['another message', [2, ...whole.slice(1)]],
  ])('refuses %s', (_, bad) => {
    expect(answer(records(bad))).toBe(-MALFORMED_TLS);
    expect(answer(records(bad, [5, 40]))).toBe(-MALFORMED_TLS);
  });

  it('refuses what is no handshake record at its first bytes', () => {
    const bad: number[][] = [[0x47], [21], [0x80, 0x2e], [22, 2], [22, 3, 1, 0, 0], [22, 3, 1, 0x40, 1]];
    for (const input of bad) expect(answer(Uint8Array.from(input))).toBe(-MALFORMED_TLS);
    const interrupted = [...records(whole, [50]).subarray(0, 55), 21, 3, 3, 0, 2, 1, 0];
    expect(answer(Uint8Array.from(interrupted))).toBe(-MALFORMED_TLS);
  });

  it('bounds the message, also where it spans many records', () => {
    const padding = (bytes: number): number[] =>
      extension(
        21,
        Array.from({ length: bytes }, () => 0),
      );
    const around = message({ extensions: [...serverName('a.b'), ...padding(0)] }).length - 4;
    const largest = message({
      extensions: [...serverName('a.b'), ...padding(CLIENT_HELLO_BYTES_MAX - around)],
    });
    const input = records(largest, [5000, 10000]);
    expect(answer(input)).toBe(input.length);
    expect(nameFound()).toBe('a.b');
    const oversized = CLIENT_HELLO_BYTES_MAX + 1;
    expect(answer(Uint8Array.of(22, 3, 1, 0, 9, 1, oversized >> 16, oversized >> 8, oversized & 0xff))).toBe(
      -HEADER_TOO_LARGE,
    );
  });

  it('is refused with an alert that says why', () => {
    expect([...tlsAlert(SERVER_NAME_UNKNOWN)]).toEqual([21, 3, 3, 0, 2, 2, 112]);
    expect(tlsAlert(SERVER_NAME_MISSING)[6]).toBe(112);
    expect(tlsAlert(MALFORMED_TLS)[6]).toBe(50);
    expect(tlsAlert(HEADER_TOO_LARGE)[6]).toBe(50);
    expect(tlsAlert(CONNECT_TIMEOUT)[6]).toBe(40);
  });
});

/** The first flight of the platform's own TLS client, without a network. */
function realHello(servername: string, maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(Uint8Array.from(chunk));
        done();
      },
    });
    connect({ socket, servername, maxVersion }).on('error', reject);
  });
}
