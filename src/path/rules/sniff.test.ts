// What sniffing makes of clients that say too little, too slowly or too oddly: whoever speaks a protocol does not get past
// its rules for that, and whoever is late is late.

import { describe, expect, it } from 'vitest';
import { dial } from '../../../test/exactness/actors.ts';
import { clientHello } from '../../../test/exactness/first-bytes.ts';
import { putInForce } from '../../../test/exactness/rules.ts';
import type { RuleInit } from '../../../test/exactness/rules.ts';
import { FORWARD_PORT, startSmallEdge } from '../../../test/exactness/small-edge.ts';
import {
  ON_TIMEOUT_REJECT,
  ON_TIMEOUT_SKIP,
  PROTOCOL_HTTP,
  PROTOCOL_SSH,
  PROTOCOL_TLS,
  REJECT_REPLY,
} from '../../layout/rules.ts';
import { SLOT_WAITING } from '../../layout/slot.ts';

const TIMEOUT_MS = 200;
const BEYOND_HEAD = 21_000;

const reject: RuleInit['action'] = { kind: 'reject', method: REJECT_REPLY };
const sniff = (onTimeout: number, protocols: readonly number[] = []): RuleInit => ({
  action: { kind: 'sniff', protocols },
  onTimeout,
  timeoutMs: TIMEOUT_MS,
});
const ofProtocols: RuleInit = {
  when: { protocol: [PROTOCOL_HTTP, PROTOCOL_TLS, PROTOCOL_SSH] },
  action: reject,
};

type Said = string | Uint8Array;

/** @returns the reason of its end; '': it has been let through */
function outcome(rules: readonly RuleInit[], said: Said, isAll: boolean): string {
  const small = startSmallEdge();
  putInForce(small.edge, rules);
  const client = dial(small.edge, FORWARD_PORT).say(said);
  if (isAll) client.fin();
  small.until(() => small.server.accepted.length > 0 || small.edge.endings() !== '');
  return small.server.accepted.length > 0 ? '' : small.edge.endings();
}

const HELLO = clientHello('bad.example');

describe('a client that is rejected for its protocol', () => {
  it.each<[string, Said, boolean]>([
    ['says empty lines first', '\r\nGET / HTTP/1.1\r\nHost: bad.example\r\n\r\n', false],
    ['has a long field', `GET / HTTP/1.1\r\nX: ${'a'.repeat(BEYOND_HEAD)}\r\n\r\n`, false],
    ['ends before its host', 'GET / HTTP/1.1\r\n', true],
    ['stops before its host', 'GET / HTTP/1.1\r\n', false],
    ['stops within its hello', HELLO.subarray(0, 30), false],
    ['ends within its hello', HELLO.subarray(0, 30), true],
    ['says an address for a name', clientHello('192.0.2.1'), false],
    ['says a hello of more than we read', Uint8Array.of(22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0), false],
  ])('%s', (_, said, isAll) => {
    expect(outcome([sniff(ON_TIMEOUT_SKIP), ofProtocols], said, isAll)).toBe('rule_rejected 1');
  });

  it('is judged by the name in its request line', () => {
    const bad: RuleInit = { when: { domain: ['bad.example'] }, action: reject };
    const said = 'GET http://bad.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n';
    expect(outcome([sniff(ON_TIMEOUT_SKIP), bad], said, false)).toBe('rule_rejected 1');
  });
});

describe('who has said no more by the deadline than', () => {
  it.each<[string, Said]>([
    ['nothing', ''],
    ['half a method', 'GE'],
    ['half a request line', 'GET /x HTT'],
    ['a request without a host', 'GET / HTTP/1.1\r\n'],
    ['the head of a record', HELLO.subarray(0, 5)],
    ['half a hello', HELLO.subarray(0, 30)],
    ['half a banner', 'SS'],
    ['half a query', Uint8Array.of(0, 30, 1)],
    ['a hello that is too large for us', Uint8Array.of(22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0)],
    ['fields that are too long to be looked at', `GET / HTTP/1.1\r\nX: ${'a'.repeat(BEYOND_HEAD)}\r\n`],
    ['a request line that is too long to be looked at', `GET /${'a'.repeat(BEYOND_HEAD)}`],
  ])('%s is late', (_, said) => {
    expect(outcome([sniff(ON_TIMEOUT_REJECT)], said, false)).toBe('look_up_timeout 1');
    // Also for rules behind the one that waited.
    const skipped = [sniff(ON_TIMEOUT_SKIP), sniff(ON_TIMEOUT_REJECT)];
    expect(outcome(skipped, said, false)).toBe('look_up_timeout 1');
  });
});

it('bytes of no protocol are not late, and not waited for', () => {
  const small = startSmallEdge();
  putInForce(small.edge, [sniff(ON_TIMEOUT_REJECT)]);
  dial(small.edge, FORWARD_PORT).say(Uint8Array.of(9, 9, 9));
  small.edge.turn();
  expect(small.edge.w.table.state(0)).not.toBe(SLOT_WAITING);
  small.until(() => small.server.accepted.length > 0);
});
