import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIp, isHostName, isNumericLookalike, parseIp } from './ip-address.ts';

const onText =
  (question: (bytes: Uint8Array, start: number, length: number) => boolean) =>
  (text: string): boolean => {
    // Inside a larger buffer, so that a reader that leaves its window is caught.
    const bytes = Buffer.from(`9.${text}.9`, 'utf8');
    return question(bytes, 2, bytes.length - 4);
  };

const textOf = (text: string): string | undefined => {
  const words = parseIp(text);
  return words === undefined ? undefined : formatIp(words);
};

describe('IP literals', () => {
  it.each([
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['127.0.0.1', '127.0.0.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8::A', '2001:db8::a'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::ffff:7f00:1', '127.0.0.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
    ['fe80::', 'fe80::'],
  ])('reads %s as %s', (text, expected) => {
    expect(textOf(text)).toBe(expected);
  });

  it.each([
    '',
    '.',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.4.',
    '.1.2.3.4',
    '1..2.3',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.00',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '2130706433',
    '127.1',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '1.2.3.-4',
    '1.2.3.+4',
    '１.2.3.4',
    '\u0131.2.3.4',
    ':',
    ':::',
    ':1',
    '1:',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    '1::2::3',
    '12345::',
    'g::',
    '[::1]',
    'fe80::1%eth0',
    '::1.2.3',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::01.2.3.4',
    '::ffff:0x7f.0.0.1',
  ])('refuses %j', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  it('writes what it reads, and reads what it writes', () => {
    fc.assert(
      fc.property(fc.tuple(fc.integer(), fc.integer(), fc.integer(), fc.integer()), (values) => {
        const sparse = values.map((value) =>
          value % 3 === 0 ? value & 0xffff : value % 5 === 0 ? 0 : value,
        );
        const words = Int32Array.from(sparse);
        expect(parseIp(formatIp(words))).toEqual(words);
      }),
    );
  });

  it('agrees with the URL parser of the platform on valid IPv6', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const words = parseIp(text);
        expect(words).toBeDefined();
        const ours = formatIp(words as Int32Array);
        const hex = ours.includes(':') ? ours : `::ffff:${ours}`;
        expect(new URL(`http://[${text}]/`).hostname).toBe(new URL(`http://[${hex}]/`).hostname);
      }),
    );
  });

  it('never throws on noise', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789abcdef:.x%[]') }), (text) => {
        const words = parseIp(text);
        if (words !== undefined) expect(parseIp(formatIp(words))).toEqual(words);
      }),
    );
  });
});

describe('names that some resolver reads as a number', () => {
  const looksNumeric = onText(isNumericLookalike);
  it.each([
    '0x7f.1',
    '0X7F000001',
    '2130706433',
    '0177.0.0.1',
    '127.1',
    '127.1.',
    '127.0.0.1.',
    '2130706433.',
    '0x7f.0.0.1.',
    '0x',
    '0x.',
    'foo.0x',
    '1.2.3.4.5',
    '00000000000000000177.1',
    'example.1',
    '0',
    '999',
    '127.0.0.1',
  ])('finds %s', (name) => {
    expect(looksNumeric(name)).toBe(true);
  });

  it.each([
    '',
    '.',
    'a',
    'localhost',
    '1.example',
    '127.0.0.1.nip.io',
    '0x7f.example.com.',
    '0xg',
    '1e3',
    'xn--p1ai',
    '-1',
  ])('passes %j', (name) => {
    expect(looksNumeric(name)).toBe(false);
  });
});

describe('host names', () => {
  const isName = onText(isHostName);
  const label = 'a'.repeat(63);
  const longest = `${label}.${label}.${label}.${'a'.repeat(61)}`;

  it.each([
    'a',
    'a.',
    'localhost',
    'WWW.Example.COM',
    '_sip._tcp.example',
    'a-b.c--d',
    '1.a',
    longest,
    `${longest}.`,
  ])('accepts %s', (name) => {
    expect(isName(name)).toBe(true);
  });

  it.each([
    '',
    '.',
    '..',
    '.a',
    'a..b',
    'a..',
    '-a',
    'a-',
    'a.-b',
    'a-.b',
    'a b',
    'a\0b',
    'a\nb',
    'a/b',
    'a@b',
    'a:b',
    'a%41',
    'bücher.example',
    '*.example',
    `${label}a`,
    `${longest}a`,
    `${label}.${label}.${label}.${label}`,
  ])('refuses %j', (name) => {
    expect(isName(name)).toBe(false);
  });
});
