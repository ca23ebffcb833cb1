import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { type AsnResponse, type CountryResponse, Reader } from 'maxmind';
import { describe, expect, it } from 'vitest';
import { formatIp, parseIp } from '../../layout/ip-address.ts';
import type { Network } from '../rule.ts';
import { networksOf } from './mmdb.ts';
import { type MmdbValue, writeMmdb } from './mmdb-writer.fixture.ts';

const ROOT = new URL('../../../test/rule-sets/', import.meta.url);

function fileOf(name: string): Buffer {
  return readFileSync(new URL(name, ROOT));
}

function texts(networks: readonly Network[] | undefined): string[] {
  return (networks ?? []).map(({ words, bits }) => {
    const text = formatIp(Int32Array.from(words));
    return `${text}/${text.includes(':') ? bits : bits - 96}`;
  });
}

function country(code: string): MmdbValue {
  return { names: { en: 'x'.repeat(40) }, country: { geoname_id: 7, iso_code: code } };
}

/** By linear scan. */
function holds(networks: readonly Network[] | undefined, address: string): boolean {
  const words = parseIp(address) as Int32Array;
  return (networks ?? []).some((network) => {
    for (let bit = 0; bit < network.bits; bit++) {
      const differs =
        ((words[bit >> 5] as number) ^ (network.words[bit >> 5] as number)) & (1 << (31 - (bit & 31)));
      if (differs !== 0) return false;
    }
    return true;
  });
}

describe('networks of an mmdb file', () => {
  it.each([24, 28, 32] as const)('are read from records of %i bits, of IPv4 and IPv6', (recordBits) => {
    const entries = [
      ['10.0.0.0/8', country('DE')],
      ['10.1.0.0/16', country('FR')],
      ['192.0.2.1/32', country('FR')],
    ] as const;
    for (const ipVersion of [4, 6] as const) {
      const more = ipVersion === 6 ? ([['2001:db8::/32', country('DE')]] as const) : [];
      const bytes = writeMmdb({ ipVersion, recordBits, entries: [...entries, ...more] });
      const { networks, mistakes } = networksOf('geo', bytes, 'country', new Set(['FR', 'DE', 'XX']));
      expect(mistakes).toEqual([]);
      expect(texts(networks.get('FR'))).toEqual(['10.1.0.0/16', '192.0.2.1/32']);
      expect(texts(networks.get('DE'))).toEqual([
        '10.0.0.0/16',
        '10.2.0.0/15',
        '10.4.0.0/14',
        '10.8.0.0/13',
        '10.16.0.0/12',
        '10.32.0.0/11',
        '10.64.0.0/10',
        '10.128.0.0/9',
        ...(ipVersion === 6 ? ['2001:db8::/32'] : []),
      ]);
      expect(networks.get('XX')).toEqual([]);
    }
  });

  it('tell IPv4 once, whatever leads to it', () => {
    const bytes = writeMmdb({
      ipVersion: 6,
      recordBits: 24,
      entries: [
        ['198.51.100.0/24', country('SE')],
        ['2003::/16', country('SE')],
      ],
      aliases: ['::ffff:0:0/96', '2002::/16', '2001::/32'],
    });
    const { networks } = networksOf('geo', bytes, 'country', new Set(['SE']));
    expect(texts(networks.get('SE'))).toEqual(['198.51.100.0/24', '2003::/16']);
  });

  it('hold all of IPv4 where a network of IPv6 holds ::/96', () => {
    const bytes = writeMmdb({ ipVersion: 6, recordBits: 24, entries: [['::/32', country('SE')]] });
    const { networks } = networksOf('geo', bytes, 'country', new Set(['SE']));
    expect(texts(networks.get('SE'))).toEqual(['::/32', '0.0.0.0/0']);
  });

  it('go by the country of use, then by that of registration, and by flat values', () => {
    const values: MmdbValue[] = [
      { registered_country: { iso_code: 'US' }, country: { iso_code: 'CA' } },
      { registered_country: { iso_code: 'US' } },
      { country_code: 'us', country: 'United States' },
      { country: 'US' },
      'us',
      { country: { names: {} } },
    ];
    const entries = values.map((value, index) => [`10.${index}.0.0/16`, value] as const);
    const bytes = writeMmdb({ ipVersion: 4, recordBits: 24, entries });
    const { networks } = networksOf('geo', bytes, 'country', new Set(['US', 'CA']));
    expect(texts(networks.get('CA'))).toEqual(['10.0.0.0/16']);
    expect(texts(networks.get('US'))).toEqual(['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16', '10.4.0.0/16']);
  });

  it('are those of autonomous systems', () => {
    const entries = [
      ['10.0.0.0/16', { autonomous_system_number: 64_500, autonomous_system_organization: 'A' }],
      ['10.1.0.0/16', { asn: 'AS64500', name: 'A' }],
      ['10.2.0.0/16', { autonomous_system_number: 4_200_000_000 }],
    ] as const;
    const bytes = writeMmdb({ ipVersion: 4, recordBits: 28, entries });
    const { networks } = networksOf('geo', bytes, 'asn', new Set([64_500, 4_200_000_000]));
    expect(texts(networks.get(64_500))).toEqual(['10.0.0.0/16', '10.1.0.0/16']);
    expect(texts(networks.get(4_200_000_000))).toEqual(['10.2.0.0/16']);
    const { mistakes } = networksOf('geo', bytes, 'country', new Set(['US']));
    expect(mistakes[0]?.message).toBe('knows no countries: it is of type "Test"');
  });

  it('are what another reader finds for random addresses of random trees', () => {
    const codes = ['AA', 'BB', 'CC'] as const;
    const network = fc.tuple(
      fc.nat(0xffff),
      fc.integer({ min: 1, max: 32 }),
      fc.boolean(),
      fc.constantFrom(...codes),
    );
    fc.assert(
      fc.property(
        fc.array(network, { minLength: 1, maxLength: 12 }),
        fc.constantFrom(24, 28, 32),
        (all, bits) => {
          const entries = all
            .map(([high, length, isIpv6, code]) => {
              const address = isIpv6 ? `2${(high & 0xfff).toString(16).padStart(3, '0')}::` : ipv4Text(high);
              return { length: isIpv6 ? Math.max(4, length) : length, address, code };
            })
            .toSorted((a, b) => a.length - b.length)
            .map(({ address, length, code }) => [`${address}/${length}`, country(code)] as const);
          const bytes = writeMmdb({ ipVersion: 6, recordBits: bits as 24 | 28 | 32, entries });
          const { networks, mistakes } = networksOf('geo', bytes, 'country', new Set(codes));
          expect(mistakes).toEqual([]);
          const reader = new Reader<CountryResponse>(bytes);
          const asked = entries.flatMap(([text]) => [
            text.split('/')[0] as string,
            ipv4Text(all.length * 7919),
          ]);
          for (const address of [...asked, '2abc::1', '10.0.0.1']) {
            const code = reader.get(address)?.country?.iso_code;
            for (const one of codes) expect(holds(networks.get(one), address)).toBe(code === one);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

function ipv4Text(high: number): string {
  return `${(high >> 8) & 255}.${high & 255}.0.0`;
}

describe("MaxMind's own test files", () => {
  it('name the networks that they were made of', () => {
    const { networks, mistakes } = networksOf(
      'GeoLite2-Country-Test.mmdb',
      fileOf('GeoLite2-Country-Test.mmdb'),
      'country',
      new Set(['SE', 'BT', 'GB']),
    );
    expect(mistakes).toEqual([]);
    expect(texts(networks.get('SE'))).toContain('89.160.20.128/25');
    expect(texts(networks.get('SE'))).toContain('2a02:fc00::/29');
    expect(texts(networks.get('BT'))).toContain('67.43.156.0/24');
    expect(holds(networks.get('GB'), '2.125.160.217')).toBe(true);
    expect(holds(networks.get('SE'), '2.125.160.217')).toBe(false);
  });

  it('say the same as another reader', () => {
    const bytes = fileOf('GeoLite2-ASN-Test.mmdb');
    const reader = new Reader<AsnResponse>(bytes);
    const wanted = new Set([1221, 7018, 15_169, 6939]);
    const { networks, mistakes } = networksOf('asn', bytes, 'asn', wanted);
    expect(mistakes).toEqual([]);
    let found = 0;
    for (const [number, list] of networks) {
      for (const text of texts(list)) {
        found++;
        expect(reader.get(text.split('/')[0] as string)?.autonomous_system_number).toBe(number);
      }
    }
    expect(found).toBeGreaterThan(20);
    expect(holds(networks.get(1221), '1.128.0.1')).toBe(true);
  });
});

describe('a broken mmdb file', () => {
  const whole = writeMmdb({
    ipVersion: 6,
    recordBits: 24,
    entries: [
      ['10.0.0.0/8', country('DE')],
      ['2001:db8::/32', country('FR')],
    ],
  });

  it('is a mistake that says what is wrong', () => {
    const told = (bytes: Uint8Array) =>
      networksOf('geo', bytes, 'country', new Set(['DE'])).mistakes[0]?.message;
    expect(told(Buffer.alloc(0))).toMatch(/no description at the end/);
    expect(told(Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1'))).toMatch(/behind the end/);
    const loop = Buffer.from(whole);
    // The first node leads to itself.
    loop.writeUIntBE(0, 0, 3);
    expect(told(loop)).toMatch(/back to its root/);
    const between = Buffer.from(whole);
    between.writeUIntBE(nodesOf(whole) + 3, 3, 3);
    expect(told(between)).toMatch(/between tree and values/);
  });

  it('costs bounded time when every node leads to the next one twice', () => {
    const nodes = 120;
    const tree = Buffer.alloc(nodes * 6);
    for (let node = 0; node < nodes; node++) {
      tree.writeUIntBE(node + 1, node * 6, 3);
      tree.writeUIntBE(node + 1, node * 6 + 3, 3);
    }
    const small = writeMmdb({ ipVersion: 6, recordBits: 24, entries: [[`::/${nodes}`, country('DE')]] });
    const bytes = Buffer.concat([tree, small.subarray(nodes * 6)]);
    const { mistakes } = networksOf('geo', bytes, 'country', new Set(['DE']));
    expect(mistakes[0]?.message).toMatch(/grow together/);
  });

  it('is never an exception', () => {
    const real = fileOf('GeoLite2-Country-Test.mmdb');
    const change = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(whole, real), change, fc.option(fc.nat()), (good, changes, cut) => {
        const bytes = Buffer.from(good);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        const short = cut === null ? bytes : bytes.subarray(cut % bytes.length);
        const start = performance.now();
        networksOf('geo', short, 'country', new Set(['DE', 'SE']));
        networksOf('geo', short, 'asn', new Set([1]));
        expect(performance.now() - start).toBeLessThan(5_000);
      }),
      { interruptAfterTimeLimit: 3_000, markInterruptAsFailure: false, numRuns: 20_000 },
    );
  });
});

function nodesOf(bytes: Buffer): number {
  // Sixteen zeros end the tree.
  return bytes.indexOf(Buffer.alloc(16), 6) / 6;
}
