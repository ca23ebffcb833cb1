import fc from 'fast-check';
import { expect, test } from 'vitest';
import { networkMistake } from '../layout/network-set.ts';
import { parseAddress, parseListen, parsePrefix, parseServerName, parseTarget } from './addresses.ts';

const octet = fc.oneof(fc.nat(255), fc.constantFrom(0, 256, 999)).map(String);
const group = fc.nat(0xffff).map((value) => value.toString(16));
const addressLike = fc.oneof(
  fc.array(octet, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.')),
  fc.ipV4(),
  fc.ipV6(),
  fc.array(group, { minLength: 2, maxLength: 9 }).map((parts) => parts.join(':')),
  fc.string({ maxLength: 12, unit: fc.constantFrom(...'0123456789abcdefx.:[]%/*-') }),
);

test('a network that the check accepts is one that the workers compile, and canonical', () => {
  fc.assert(
    fc.property(addressLike, fc.oneof(fc.nat(129), fc.constantFrom('', '08', '-1')), (address, bits) => {
      for (const text of [address, `${address}/${bits}`]) {
        const network = parsePrefix(text);
        expect(typeof network === 'string').toBe(networkMistake(text) === undefined);
        if (typeof network !== 'string') continue;
        expect(networkMistake(network)).toBeUndefined();
        expect(parsePrefix(network)).toBe(network);
      }
    }),
    { numRuns: 500 },
  );
});

test('what an endpoint says of itself reads back as the same endpoint', () => {
  fc.assert(
    fc.property(addressLike, fc.nat(65_536), fc.boolean(), (address, port, inBrackets) => {
      const text = inBrackets ? `[${address}]:${port}` : `${address}:${port}`;
      const target = parseTarget(text, '/');
      if ('kind' in target) expect(parseTarget(target.text, '/')).toEqual(target);
      const listen = parseListen(text, '/');
      if ('kind' in listen) expect(parseListen(listen.text, '/')).toEqual(listen);
      // Whatever ends in a number is an address or nothing, never a name that a resolver would take for an address.
      if ('kind' in target && target.kind === 'name') expect(target.name).toMatch(/[a-z_-][^.]*$/);
    }),
    { numRuns: 500 },
  );
});

test.each([
  '127.1',
  '127.0.0.01',
  '0x7f.0.0.1',
  '2130706433',
  '1.2.3.4.5',
  '1.2.3',
  '١٢٧.0.0.1',
  'fe80::1%eth0',
  ' ::1',
  '::1 ',
  '1::2::3',
  '',
])('%j is no address', (text) => expect(parseAddress(text)).toBeUndefined());

test.each([
  ['WWW.Example.com.', 'www.example.com'],
  ['*.Example.com', '*.example.com'],
  ['localhost', 'localhost'],
  ['_acme.example.com', '_acme.example.com'],
])('server name %s', (text, name) => expect(parseServerName(text)).toBe(name));

test.each(['', '*', '*.', '*.*.com', 'a*.com', 'www.*', '127.0.0.1', '::1', 'a b', 'a..b', '-a.com', '*.10'])(
  '%j is no server name',
  (text) => expect(parseServerName(text)).toHaveProperty('wrong'),
);
