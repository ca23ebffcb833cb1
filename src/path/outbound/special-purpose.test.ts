import { describe, expect, it } from 'vitest';
import { parseIp } from '../../layout/ip-address.ts';
import { isSpecialPurpose } from './special-purpose.ts';

function isSpecial(text: string): boolean {
  const words = parseIp(text);
  if (words === undefined) throw new Error(`${text} is no literal`);
  const [word0 = 0, word1 = 0, word2 = 0, word3 = 0] = words;
  return isSpecialPurpose(word0, word1, word2, word3);
}

const embeddedForms = ['::ffff:V4', '64:ff9b::V4'];

/** First and last address of each block, and its neighbours outside. */
const ipv4Blocks: [first: string, last: string, before: string | undefined, after: string | undefined][] = [
  ['0.0.0.0', '0.255.255.255', undefined, '1.0.0.0'],
  ['10.0.0.0', '10.255.255.255', '9.255.255.255', '11.0.0.0'],
  ['100.64.0.0', '100.127.255.255', '100.63.255.255', '100.128.0.0'],
  ['127.0.0.0', '127.255.255.255', '126.255.255.255', '128.0.0.0'],
  ['169.254.0.0', '169.254.255.255', '169.253.255.255', '169.255.0.0'],
  ['172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0'],
  ['192.0.0.0', '192.0.0.8', '191.255.255.255', '192.0.0.9'],
  ['192.0.0.11', '192.0.0.255', '192.0.0.10', '192.0.1.0'],
  ['192.0.2.0', '192.0.2.255', '192.0.1.255', '192.0.3.0'],
  ['192.88.99.0', '192.88.99.255', '192.88.98.255', '192.88.100.0'],
  ['192.168.0.0', '192.168.255.255', '192.167.255.255', '192.169.0.0'],
  ['198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0'],
  ['198.51.100.0', '198.51.100.255', '198.51.99.255', '198.51.101.0'],
  ['203.0.113.0', '203.0.113.255', '203.0.112.255', '203.0.114.0'],
  ['224.0.0.0', '239.255.255.255', '223.255.255.255', undefined],
  ['240.0.0.0', '255.255.255.255', undefined, undefined],
];

describe('special-purpose IPv4', () => {
  it.each(ipv4Blocks)('refuses %s to %s and not its neighbours', (first, last, before, after) => {
    for (const form of ['V4', ...embeddedForms]) {
      expect(isSpecial(form.replace('V4', first))).toBe(true);
      expect(isSpecial(form.replace('V4', last))).toBe(true);
      if (before !== undefined) expect(isSpecial(form.replace('V4', before))).toBe(false);
      if (after !== undefined) expect(isSpecial(form.replace('V4', after))).toBe(false);
    }
  });

  it('lets the AS112 and AMT blocks through, which are globally reachable', () => {
    for (const text of ['192.31.196.1', '192.52.193.1', '192.175.48.1', '8.8.8.8', '1.1.1.1']) {
      expect(isSpecial(text), text).toBe(false);
    }
  });
});

describe('special-purpose IPv6', () => {
  it.each([
    '::',
    '::1',
    '::2',
    '::7f00:1',
    '::8.8.8.8',
    '::ffff:0:127.0.0.1',
    '::ffff:0:8.8.8.8',
    '64:ff9b:1::',
    '64:ff9b:1:ffff:ffff:ffff:ffff:ffff',
    '64:ff9b:0:0:1::8.8.8.8',
    '100::',
    '100::ffff:ffff:ffff:ffff',
    '100:0:0:1::1',
    '2001::',
    '2001::1',
    '2001:0:ffff::',
    '2001:1::',
    '2001:1::4',
    '2001:1:0:1::1',
    '2001:2::',
    '2001:2:0:ffff::',
    '2001:4:111::',
    '2001:4:113::',
    '2001:5::',
    '2001:10::',
    '2001:1f:ffff::',
    '2001:40::',
    '2001:1ff:ffff::',
    '2001:db8::',
    '2001:db8:ffff:ffff::',
    '2002:7f00:1::',
    '2002:a00:1::1',
    '2002:c0a8:101::',
    '2002:a9fe:a9fe::',
    '3fff::',
    '3fff:fff:ffff::',
    '4000::',
    '5f00::1',
    'fc00::',
    'fd12:3456::1',
    'fdff:ffff::',
    'fe80::1',
    'febf:ffff::',
    'fec0::1',
    'feff::1',
    'ff02::1',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  ])('refuses %s', (text) => {
    expect(isSpecial(text)).toBe(true);
  });

  it.each([
    '2000::',
    '2001:1::1',
    '2001:1::2',
    '2001:1::3',
    '2001:3::1',
    '2001:4:112::1',
    '2001:20::1',
    '2001:2f:ffff::',
    '2001:30::1',
    '2001:3f:ffff::',
    '2001:200::',
    '2001:4860:4860::8888',
    '2001:db7:ffff::',
    '2001:db9::',
    '2002:808:808::1',
    '2620:4f:8000::1',
    '2606:4700::1111',
    '3ffe:ffff::',
    '3fff:1000::',
    '2a00:1450::1',
  ])('lets %s through', (text) => {
    expect(isSpecial(text)).toBe(false);
  });
});
