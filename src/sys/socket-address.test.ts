// Socket addresses against what node:net says of the same text, and against themselves.

import { connect, createServer, isIPv6, SocketAddress as NodeAddress } from 'node:net';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AF_INET, AF_INET6, AF_UNIX } from './constants.ts';
import { createLibc } from './libc/libc.ts';
import {
  MAPPED_WORD,
  SOCKADDR_BYTES_MAX,
  SOCKADDR_IN6_BYTES,
  SOCKADDR_IN_BYTES,
  SocketAddress,
  UNIX_PATH_BYTES_MAX,
} from './socket-address.ts';

const sys = createLibc();
const word = fc.integer({ min: -0x80000000, max: 0x7fffffff });
const port = fc.integer({ min: 0, max: 65535 });

/** What node makes of the address in the sockaddr's own bytes. */
function nodeText(address: SocketAddress): string {
  const v4 = address.family === AF_INET;
  const bytes = address.bytes.subarray(v4 ? 4 : 8, v4 ? 8 : 24);
  if (v4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] as number) << 8) | (bytes[index * 2 + 1] as number)).toString(16),
  );
  return new NodeAddress({ family: 'ipv6', address: groups.join(':') }).address;
}

describe('SocketAddress', () => {
  it('gives back the words and the port that were set', () => {
    const address = new SocketAddress(sys);
    fc.assert(
      fc.property(word, word, word, word, port, (word0, word1, word2, word3, wanted) => {
        fc.pre(!(word0 === 0 && word1 === 0 && word2 === MAPPED_WORD));
        expect(address.setIp(word0, word1, word2, word3, wanted)).toBe(SOCKADDR_IN6_BYTES);
        expect([address.family, address.port, address.length]).toEqual([
          AF_INET6,
          wanted,
          SOCKADDR_IN6_BYTES,
        ]);
        expect([0, 1, 2, 3].map((index) => address.word(index))).toEqual([word0, word1, word2, word3]);
      }),
    );
  });

  it('turns mapped addresses into IPv4 and back', () => {
    const address = new SocketAddress(sys);
    fc.assert(
      fc.property(fc.ipV4(), port, (text, wanted) => {
        const word3 = text.split('.').reduce((sum, part) => (sum << 8) | Number(part), 0);
        expect(address.setIp(0, 0, MAPPED_WORD, word3, wanted)).toBe(SOCKADDR_IN_BYTES);
        expect([address.family, address.port, nodeText(address)]).toEqual([AF_INET, wanted, text]);
        expect([0, 1, 2, 3].map((index) => address.word(index))).toEqual([0, 0, MAPPED_WORD, word3]);
      }),
    );
  });

  it('writes IPv6 as node:net reads it', () => {
    const address = new SocketAddress(sys);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }), (groups) => {
        fc.pre(!groups.slice(0, 5).every((group) => group === 0));
        const text = groups.map((group) => group.toString(16)).join(':');
        expect(isIPv6(text)).toBe(true);
        const words = [0, 2, 4, 6].map(
          (index) => ((groups[index] as number) << 16) | (groups[index + 1] as number),
        );
        address.setIp(words[0] as number, words[1] as number, words[2] as number, words[3] as number, 1);
        expect(nodeText(address)).toBe(new NodeAddress({ family: 'ipv6', address: text }).address);
      }),
    );
  });

  it('keeps Unix paths up to the longest, without a port or words', () => {
    const address = new SocketAddress(sys);
    address.setIp(1, 2, 3, 4, 5);
    for (const path of ['/a', '/run/sluice/ädmin.sock', `/${'x'.repeat(UNIX_PATH_BYTES_MAX - 2)}`]) {
      const length = address.setUnix(Buffer.from(path));
      expect(length).toBe(Buffer.from(path).length + 3);
      expect([address.family, address.port, address.word(3), address.unixPath()]).toEqual([
        AF_UNIX,
        0,
        0,
        path,
      ]);
    }
    address.resetLength();
    expect(address.length).toBe(SOCKADDR_BYTES_MAX);
  });

  it.each(['127.0.0.1', '::1'])('names a connection over %s as node:net does', async (host) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const client = connect((server.address() as { port: number }).port, host);
    const accepted = await new Promise<Socket>((resolve) => server.once('connection', resolve));
    const fd = (accepted as unknown as { _handle: { fd: number } })._handle.fd;
    const address = new SocketAddress(sys);
    expect(sys.getpeername(fd, address.address, address.lengthAddress)).toBe(0);
    expect([nodeText(address), address.port]).toEqual([accepted.remoteAddress, accepted.remotePort]);
    address.resetLength();
    expect(sys.getsockname(fd, address.address, address.lengthAddress)).toBe(0);
    expect([nodeText(address), address.port]).toEqual([accepted.localAddress, accepted.localPort]);
    client.destroy();
    accepted.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});
