import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIp } from './ip-address.ts';
import { compileNetworks, contains, containsIn, NETWORK_WORDS, networkMistake } from './network-set.ts';

function holds(set: Int32Array, text: string): boolean {
  const [word0 = 0, word1 = 0, word2 = 0, word3 = 0] = parseIp(text) ?? [];
  return contains(set, word0, word1, word2, word3);
}

describe('network sets', () => {
  it('holds exactly the addresses of its prefixes', () => {
    const set = compileNetworks(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1', '198.51.100.128/25']);
    const inside = ['10.0.0.0', '10.255.255.255', '192.0.2.7', '::1', '2001:db8:ffff::1', '198.51.100.128'];
    const outside = ['9.255.255.255', '11.0.0.0', '192.0.2.6', '192.0.2.8', '::2', '::', '2001:db9::'];
    for (const text of inside) expect(holds(set, text), text).toBe(true);
    for (const text of [...outside, '198.51.100.127', '255.255.255.255', 'ffff::']) {
      expect(holds(set, text), text).toBe(false);
    }
  });

  it('holds nothing when empty and everything of a family with prefix 0', () => {
    expect(holds(compileNetworks([]), '1.2.3.4')).toBe(false);
    const all4 = compileNetworks(['0.0.0.0/0']);
    expect([holds(all4, '255.1.2.3'), holds(all4, '0.0.0.0'), holds(all4, '::1')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('does not take a prefix written as IPv6 for IPv4', () => {
    for (const text of ['::/0', '::/1', '::/80']) {
      const set = compileNetworks([text]);
      expect(holds(set, '127.0.0.1'), text).toBe(false);
      expect(holds(set, '::1'), text).toBe(true);
      expect(holds(set, '::fffe:0:0'), text).toBe(true);
      expect(holds(set, '::1:0:0:0') || text === '::/80', text).toBe(true);
    }
    const around = compileNetworks(['::fffe:0:0/95']);
    expect([holds(around, '::fffe:1.2.3.4'), holds(around, '1.2.3.4')]).toEqual([true, false]);
    const both = compileNetworks(['::/0', '0.0.0.0/0']);
    for (const text of ['127.0.0.1', '::1', 'ffff::', '2001:db8::'])
      expect(holds(both, text), text).toBe(true);
    expect(holds(compileNetworks(['::ffff:10.0.0.0/104']), '10.1.2.3')).toBe(true);
  });

  it('drops prefixes inside others and sorts as unsigned', () => {
    const set = compileNetworks([
      'fe80::/10',
      '10.1.0.0/16',
      '10.0.0.0/8',
      '10.1.2.3',
      '10.0.0.0/8',
      '200.0.0.0/8',
    ]);
    expect(set.length / NETWORK_WORDS).toBe(3);
    expect(holds(set, '200.1.1.1') && holds(set, 'fe80::1') && holds(set, '10.1.2.3')).toBe(true);
  });

  it('can be asked inside a larger table', () => {
    const set = compileNetworks(['10.0.0.0/8', '192.0.2.0/24']);
    const table = new Int32Array(set.length + 14).fill(-1);
    table.set(set, 7);
    expect(containsIn(table, 7, 2, 0, 0, 0xffff, 0x0a010101)).toBe(true);
    expect(containsIn(table, 7, 2, 0, 0, 0xffff, 0x0b010101)).toBe(false);
    expect(containsIn(table, 7, 0, -1, -1, -1, -1)).toBe(false);
  });

  it('agrees with a linear scan over bits', () => {
    const address = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom('0.0.0.0', '128.0.0.0', '::', '8000::', '10.0.0.0', '10.128.0.0', '::ffff:0:0'),
    );
    const network = fc.tuple(address, fc.nat(128)).map(([text, bits]) => {
      const isIpv4 = !text.includes(':');
      const length = isIpv4 ? 96 + (bits % 33) : bits;
      return { isIpv4, length, value: bigAddress(text) & bigMask(length) };
    });
    fc.assert(
      fc.property(
        fc.array(network, { maxLength: 12 }),
        fc.array(address, { maxLength: 12 }),
        (networks, asked) => {
          const set = compileNetworks(networks.map(networkText));
          for (const { value } of [...networks, ...asked.map((text) => ({ value: bigAddress(text) }))]) {
            const isIpv4 = value >> 32n === 0xffffn;
            const expected = networks.some(
              (one) => (value & bigMask(one.length)) === one.value && (!isIpv4 || one.length >= 96),
            );
            const words = [96n, 64n, 32n, 0n].map((shift) => Number((value >> shift) & 0xffffffffn) | 0);
            const [word0 = 0, word1 = 0, word2 = 0, word3 = 0] = words;
            expect(contains(set, word0, word1, word2, word3)).toBe(expected);
          }
        },
      ),
    );
  });

  it.each([
    ['', '"" is not an IP address'],
    ['10.0.0.0/33', 'found prefix length "33", expected 0 to 32'],
    ['::/129', 'found prefix length "129", expected 0 to 128'],
    ['10.0.0.0/', 'found prefix length ""'],
    ['10.0.0.0/08', 'found prefix length "08"'],
    ['10.0.0.0/-1', 'found prefix length "-1"'],
    ['10.0.0.0/8/8', 'found prefix length "8/8"'],
    ['10.0.0.1/8', 'expected 10.0.0.0/8'],
    ['2001:db8::1/32', 'expected 2001:db8::/32'],
    ['10.0/8', '"10.0" is not an IP address'],
    ['example.com', '"example.com" is not an IP address'],
  ])('names the mistake in %j', (text, message) => {
    expect(networkMistake(text)).toContain(message);
    expect(() => compileNetworks(['10.0.0.0/8', text])).toThrow(message);
  });

  it('finds no mistake in good networks', () => {
    for (const text of ['10.0.0.0/8', '::1', '::/0', '1.2.3.4/32'])
      expect(networkMistake(text)).toBeUndefined();
  });
});

function bigAddress(text: string): bigint {
  return (parseIp(text) ?? new Int32Array(4)).reduce(
    (value, word) => (value << 32n) | BigInt(word >>> 0),
    0n,
  );
}

function bigMask(length: number): bigint {
  return ((1n << 128n) - 1n) ^ ((1n << BigInt(128 - length)) - 1n);
}

function networkText({ isIpv4, length, value }: { isIpv4: boolean; length: number; value: bigint }): string {
  const hex = value.toString(16).padStart(32, '0');
  if (!isIpv4) return `${hex.replace(/(....)(?=.)/g, '$1:')}/${length}`;
  const quad = [24, 26, 28, 30].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.');
  return `${quad}/${length - 96}`;
}
