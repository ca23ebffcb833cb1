// Whose connection it is: who is asked for a password, what a wrong one costs, which server name leads where, and that a
// service which changes hands meanwhile is noticed.

import { describe, expect, it } from 'vitest';
import { dial } from '../../../test/exactness/actors.ts';
import { LOOPBACK } from '../../../test/exactness/simulated-edge.ts';
import {
  HTTP_PORT,
  SERVER_PORT,
  SOCKS_GREETING,
  SOCKS_PORT,
  socksRequest,
  startSmallEdge,
} from '../../../test/exactness/small-edge.ts';
import { INBOUND_SNI } from '../../layout/messages.ts';
import { deriveNameKeys, hashText, SERVER_NAME_KEY, WILDCARD_NAME_KEY } from '../../layout/name-hash.ts';
import { AUTH_FAILED, SERVER_NAME_UNKNOWN, SERVICE_REMOVED } from '../../layout/reasons.ts';

const SNI_PORT = 1_003;
const SOCKS_LOGGED_IN = '\x05\x02\x01\x00';
const SOCKS_DENIED = '\x05\x02\x01\x01';
const OFFER_PASSWORD = [5, 1, 2];
const OFFER_BOTH = [5, 2, 0, 2];

function login(name: string, password: string): number[] {
  return [1, name.length, ...Buffer.from(name), password.length, ...Buffer.from(password)];
}

function connectHead(user?: string): string {
  const field = user === undefined ? '' : `Proxy-Authorization: ${user}\r\n`;
  return `CONNECT 127.0.0.1:${SERVER_PORT} HTTP/1.1\r\nHost: x\r\n${field}\r\n`;
}

const basic = (user: string) => `Basic ${Buffer.from(user).toString('base64')}`;

/** The same edge, but for who must say who they are: everybody. */
function startClosedEdge() {
  const small = startSmallEdge();
  small.edge.plan(
    small.inbounds.map((inbound, index) => (index === 0 ? inbound : { ...inbound, service: -1 })),
  );
  small.edge.turn();
  return small;
}

describe('an inbound with a service', () => {
  it('asks no SOCKS5 client for a password that can do without', () => {
    const { edge, until } = startSmallEdge();
    edge.addUser('alice', 'right', 0);
    const client = dial(edge, SOCKS_PORT).say(OFFER_BOTH).say(socksRequest(SERVER_PORT));
    until(() => client.heardBytes === 12);
    expect(client.text.slice(0, 4)).toBe('\x05\x00\x05\x00');
  });

  it('takes any from those that insist, and whatever an HTTP client shows', () => {
    const { edge, until } = startSmallEdge();
    edge.addUser('alice', 'right', 0);
    edge.addUser('bob', 'hashed', 0, true);
    edge.tables.machine.setHashedCredentials(0, 1);
    for (const [name, password] of [
      ['alice', 'wrong'],
      ['bob', 'wrong'],
      ['nobody', ''],
    ] as const) {
      const client = dial(edge, SOCKS_PORT).say(OFFER_PASSWORD).say(login(name, password));
      client.say(socksRequest(SERVER_PORT));
      until(() => client.heardBytes === 14);
      expect(client.text.slice(0, 6), name).toBe(`${SOCKS_LOGGED_IN}\x05\x00`);
    }
    for (const user of [undefined, basic('alice:wrong'), basic('bob:x'), basic('nobody:x'), 'Digest x=y']) {
      const client = dial(edge, HTTP_PORT).say(connectHead(user));
      until(() => client.heardBytes > 0);
      expect(client.text, user).toMatch(/^HTTP\/1\.1 200 /);
    }
    expect(edge.posted).toEqual([]);
    expect(edge.ended(AUTH_FAILED)).toBe(0);
  });
});

describe('a wrong password', () => {
  it('is refused by the worker where all passwords are plain', () => {
    const { edge, until } = startClosedEdge();
    edge.addUser('alice', 'right', 0);
    for (const name of ['alice', 'nobody']) {
      const client = dial(edge, SOCKS_PORT).say(OFFER_PASSWORD).say(login(name, 'wrong'));
      until(() => client.isOver);
      expect(client.text).toBe(SOCKS_DENIED);
    }
    expect(edge.posted).toEqual([]);
  });

  it('is asked about whoever it is of, as soon as one password is hashed', () => {
    const { edge, until } = startClosedEdge();
    edge.addUser('alice', 'right', 0);
    const known = edge.addUser('carol', 'proven', 0, true);
    const bob = edge.addUser('bob', 'hashed', 0, true);
    edge.tables.credentials.setProven(known, 1);
    edge.tables.machine.setHashedCredentials(0, 2);
    const names = ['nobody', 'nobody2', 'alice', 'bob', 'carol'];
    for (const name of names) {
      dial(edge, SOCKS_PORT).say(OFFER_PASSWORD).say(login(name, 'wrong'));
      dial(edge, HTTP_PORT).say(connectHead(basic(`${name}:wrong`)));
    }
    until(() => edge.posted.length === names.length * 2);
    const asked = edge.posted.map((message) => (message.kind === 'verify' ? message : undefined));
    expect(asked.filter((message) => message?.credential === -1).length).toBe(4);
    expect(asked.filter((message) => message?.credential === bob).length).toBe(2);
    // What a failure is remembered by: a name's, the same over both protocols.
    expect(new Set(asked.map((message) => message?.userName.join('.'))).size).toBe(names.length);
    for (const message of asked) {
      if (message === undefined) throw new Error('not about a password');
      const { slot, generation } = message;
      edge.tell({ kind: 'verified', slot, generation, reason: AUTH_FAILED });
    }
    until(() => edge.ended(AUTH_FAILED) + edge.w.slots.live >= names.length * 2);
    // The right ones need nobody.
    const before = edge.posted.length;
    for (const [name, password] of [
      ['alice', 'right'],
      ['carol', 'proven'],
    ] as const) {
      const client = dial(edge, SOCKS_PORT).say(OFFER_PASSWORD).say(login(name, password));
      until(() => client.heardBytes === 4);
      expect(client.text).toBe(SOCKS_LOGGED_IN);
    }
    expect(edge.posted.length).toBe(before);
  });

  it('is not found where the right one is proven while the record is read', () => {
    for (const moment of ['proven', 'proof'] as const) {
      const { edge, until } = startClosedEdge();
      const credentials = edge.tables.credentials;
      const bob = edge.addUser('bob', 'hashed', 0, true);
      const right = [0, 1, 2, 3].map((word) => credentials.proof(bob, word));
      for (let word = 0; word < 4; word++) credentials.setProof(bob, word, 0);
      const remember = () => {
        for (const [word, value] of right.entries()) credentials.setProof(bob, word, value);
        credentials.setProven(bob, 1);
      };
      const read = credentials[moment].bind(credentials) as (record: number, word: number) => number;
      // `proven` meets it just before the read, `proof` just after the last one.
      const interrupted = (record: number, word: number) => {
        if (moment === 'proven') remember();
        const value = read(record, word);
        if (word === 3) remember();
        return value;
      };
      Object.assign(credentials, { [moment]: interrupted });
      const client = dial(edge, SOCKS_PORT).say(OFFER_PASSWORD).say(login('bob', 'hashed'));
      until(() => client.heardBytes === 4 || client.isOver || edge.posted.length > 0);
      expect(edge.ended(AUTH_FAILED), moment).toBe(0);
      expect(client.text, moment).not.toBe(SOCKS_DENIED);
    }
  });
});

describe('a service', () => {
  it('that changes hands between greeting and request is noticed', () => {
    const { edge, until } = startSmallEdge();
    const client = dial(edge, SOCKS_PORT).say(SOCKS_GREETING);
    until(() => client.heardBytes === 2);
    edge.tables.services.addGeneration(0, 2);
    client.say(socksRequest(SERVER_PORT));
    until(() => client.isOver);
    expect(client.text.charCodeAt(3)).not.toBe(0);
    client.close();
    until(() => edge.w.slots.live === 0);
    expect(edge.ended(SERVICE_REMOVED)).toBe(1);
  });
});

describe('server names', () => {
  /** An edge where each of the names has a service of its own. @returns who answers to a name: its place, or -1 */
  function answering(...serverNames: string[]): (name: string) => number {
    const small = startSmallEdge();
    const { edge, until, server } = small;
    const target = edge.addTarget(LOOPBACK, SERVER_PORT);
    const keys = deriveNameKeys(edge.tables.shared.hashKey);
    const rows = serverNames.map((serverName) => {
      const row = edge.addService({ target });
      const key = serverName.startsWith('*.')
        ? hashText(keys, WILDCARD_NAME_KEY, serverName.slice(2))
        : hashText(keys, SERVER_NAME_KEY, serverName);
      edge.tables.serverNames.set(key, 0, row);
      return row;
    });
    edge.plan([...small.inbounds, { type: INBOUND_SNI, listenFds: [edge.listen(SNI_PORT)], service: -1 }]);
    edge.turn();
    return (name) => {
      const known = server.accepted.length;
      const refused = edge.ended(SERVER_NAME_UNKNOWN);
      const client = dial(edge, SNI_PORT).say(helloFor(name));
      until(() => server.accepted.length > known || client.isOver);
      const row = client.isOver ? -1 : edge.w.table.service(0);
      client.reset();
      until(() => edge.w.slots.live === 0);
      edge.turn();
      expect(edge.ended(SERVER_NAME_UNKNOWN) - refused).toBe(row < 0 ? 1 : 0);
      return rows.indexOf(row);
    };
  }

  it('with a wildcard stand for one label or more, never for none', () => {
    const who = answering('*.example.com');
    expect(who('www.example.com')).toBe(0);
    expect(who('a.b.example.com')).toBe(0);
    expect(who(`${'a.'.repeat(100)}example.com`)).toBe(0);
    expect(who('example.com')).toBe(-1);
    expect(who('wwwexample.com')).toBe(-1);
    expect(who('example.com.org')).toBe(-1);
    expect(who('com')).toBe(-1);
  });

  it('are taken by the most specific: exact first, then the longest wildcard', () => {
    const who = answering('*.example.com', '*.b.example.com', 'a.b.example.com', 'b.example.com');
    expect(who('a.b.example.com')).toBe(2);
    expect(who('b.example.com')).toBe(3);
    expect(who('x.b.example.com')).toBe(1);
    expect(who('x.a.b.example.com')).toBe(1);
    expect(who('x.c.example.com')).toBe(0);
  });
});

/** The smallest ClientHello that names a server. @source RFC 8446, section 4.1.2; RFC 6066, section 3 */
function helloFor(name: string): Buffer {
  const sized = (sizeBytes: number, ...parts: (Buffer | readonly number[])[]): Buffer => {
    const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
    const size = Buffer.alloc(sizeBytes);
    size.writeUIntBE(body.length, 0, sizeBytes);
    return Buffer.concat([size, body]);
  };
  const serverName = sized(2, [0], sized(2, Buffer.from(name)));
  const extensions = sized(2, [0, 0], sized(2, serverName));
  const hello = sized(3, [3, 3], Buffer.alloc(32, 7), [0], sized(2, [0x13, 0x01]), [1, 0], extensions);
  return Buffer.concat([Buffer.of(22, 3, 1), sized(2, [1], hello)]);
}
