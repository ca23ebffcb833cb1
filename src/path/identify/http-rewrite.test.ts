import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEADER_TOO_LARGE } from '../../layout/reasons.ts';
import { parseHttpHead } from './http.ts';
import { rewriteHead } from './http-rewrite.ts';
import { Parsed } from './parsed.ts';

const parsed = new Parsed();
const output = new Uint8Array(4096);

function rewritten(lines: string[], body = ''): string[] {
  const input = Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1');
  const head = parseHttpHead(input, input.length, 4096, parsed);
  expect(head).toBe(input.length - body.length);
  const length = rewriteHead(input, parsed, output);
  const text = Buffer.from(output.subarray(0, length)).toString('latin1');
  expect(text.endsWith('\r\n\r\n')).toBe(true);
  return text.slice(0, -4).split('\r\n');
}

const LAST = ['Via: 1.1 sluice', 'Connection: close'];

describe('a forwarded head', () => {
  it.each([
    ['GET http://a.example/x?y=z HTTP/1.1', 'GET /x?y=z HTTP/1.1', 'a.example'],
    ['GET http://A.example:8080 HTTP/1.1', 'GET / HTTP/1.1', 'A.example:8080'],
    ['GET http://a.example:80/ HTTP/1.1', 'GET / HTTP/1.1', 'a.example:80'],
    ['GET http://a.example:/ HTTP/1.1', 'GET / HTTP/1.1', 'a.example'],
    ['GET http://a.example?q HTTP/1.1', 'GET /?q HTTP/1.1', 'a.example'],
    ['PURGE-x http://[2001:DB8::1]:81/ HTTP/1.1', 'PURGE-x / HTTP/1.1', '[2001:DB8::1]:81'],
    ['OPTIONS http://a.example HTTP/1.1', 'OPTIONS * HTTP/1.1', 'a.example'],
    ['OPTIONS http://a.example/ HTTP/1.1', 'OPTIONS / HTTP/1.1', 'a.example'],
    ['OPTIONS http://a.example?q HTTP/1.1', 'OPTIONS /?q HTTP/1.1', 'a.example'],
  ])('turns %s into origin form with the Host of its target', (line, expectedLine, host) => {
    expect(rewritten([line, 'Host: elsewhere.example'])).toEqual([expectedLine, `Host: ${host}`, ...LAST]);
  });

  it('keeps what is meant for the server and strips what was meant for this hop', () => {
    const kept = [
      'Accept: */*',
      'X-Kept: v\xe9  w',
      'Empty: ',
      'Via: 1.1 before',
      'Authorization: Basic YTpi',
    ];
    const stripped = [
      'Connection: keep-alive, X-Listed ,, x-OTHER,Upgrade',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'proxy-authorization: Basic YTpi',
      'Proxy-Anything: x',
      'Proxy: http://evil.example',
      'TE: trailers',
      'Trailer: Digest',
      'Upgrade: websocket',
      'HTTP2-Settings: x',
      'x-listed: 1',
      'X-Other: 2',
    ];
    const lines = ['GET http://a.example/ HTTP/1.1', 'Host: a.example', ...stripped.slice(0, 6), ...kept];
    expect(rewritten([...lines, ...stripped.slice(6)])).toEqual([
      'GET / HTTP/1.1',
      'Host: a.example',
      ...kept,
      ...LAST,
    ]);
  });

  it('writes the framing anew, once', () => {
    const post = ['POST http://a.example/ HTTP/1.1', 'Host: a.example'];
    const framing = (...lines: string[]): string[] => rewritten([...post, ...lines], 'hello').slice(2, -2);
    expect(framing('content-length: 0005', 'X: y', 'Content-Length: 5')).toEqual([
      'X: y',
      'Content-Length: 5',
    ]);
    expect(framing('Content-Length: 9007199254740991')).toEqual(['Content-Length: 9007199254740991']);
    expect(framing('Content-Length: 0')).toEqual(['Content-Length: 0']);
    expect(framing('transfer-encoding:CHUNKED')).toEqual(['Transfer-Encoding: chunked']);
    expect(framing()).toEqual([]);
  });

  it('trims values, and ignores an empty line in front', () => {
    expect(rewritten(['', 'GET http://a.example/ HTTP/1.1', 'Host: a', 'X:\t y \t'])[2]).toBe('X: y');
  });

  it('stays HTTP/1.0 for a client of that version', () => {
    const old = rewritten(['GET http://a.example/ HTTP/1.0']);
    expect(old).toEqual(['GET / HTTP/1.0', 'Host: a.example', 'Via: 1.0 sluice', 'Connection: close']);
  });

  it('answers -HEADER_TOO_LARGE for every output that is too short, and writes nothing beyond it', () => {
    const input = Buffer.from(
      'POST http://a.example/ HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 3\r\n\r\n',
    );
    expect(parseHttpHead(input, input.length, 4096, parsed)).toBe(input.length);
    const length = rewriteHead(input, parsed, output);
    const frame = new Uint8Array(length + 16);
    for (let room = 0; room < length; room++) {
      frame.fill(0xa5);
      expect(rewriteHead(input, parsed, frame.subarray(0, room))).toBe(-HEADER_TOO_LARGE);
      expect(frame.subarray(room).every((byte) => byte === 0xa5)).toBe(true);
    }
    expect(rewriteHead(input, parsed, frame.subarray(0, length))).toBe(length);
  });

  it('is a sound head itself, with the same body', () => {
    const name = fc.constantFrom('X-A', 'Accept', 'connection', 'TE', 'Keep-Alive', 'X-B');
    const value = fc.constantFrom('', 'x', 'close', 'X-A', 'x-b, keep-alive', ' a  b ', '\xff');
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 12 }), fc.nat(1e9), (fields, bytes) => {
        const lines = fields
          .filter(([field, text]) => field !== 'connection' || !/[^!-~, ]| {2}/.test(text))
          .map(([field, text]) => `${field}: ${text}`);
        const [line, ...rest] = rewritten([
          'PUT http://a.example:81/p HTTP/1.1',
          'Host: a',
          `Content-Length: ${bytes}`,
          ...lines,
        ]);
        expect(line).toBe('PUT /p HTTP/1.1');
        const again = Buffer.from(
          ['PUT http://a.example:81/p HTTP/1.1', ...rest, '', ''].join('\r\n'),
          'latin1',
        );
        expect(parseHttpHead(again, again.length, 4096, parsed)).toBe(again.length);
        expect(parsed.bodyBytes).toBe(bytes);
        expect(rest.filter((one) => /^(te|keep-alive):/i.test(one))).toEqual([]);
        expect(rest.filter((one) => /^connection:/i.test(one))).toEqual(['Connection: close']);
      }),
    );
  });
});
