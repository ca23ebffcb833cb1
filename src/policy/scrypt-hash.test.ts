import { expect, test } from 'vitest';
import { makeScryptHash, parseScryptHash, type ScryptHash, verifyScryptHash } from './scrypt-hash.ts';

const SALT = 'c29tZXNhbHQ';
const HASH = 'MTIzNDU2Nzg5MDEyMzQ1Ng';

function parsed(text: string): ScryptHash {
  const result = parseScryptHash(text);
  if (typeof result === 'string') throw new Error(result);
  return result;
}

test('a hash that was made verifies its password and no other', async () => {
  const text = await makeScryptHash('s3cret');
  expect(text).toMatch(/^\$scrypt\$ln=14,r=8,p=1\$/);
  expect(await verifyScryptHash('s3cret', parsed(text))).toBe(true);
  expect(await verifyScryptHash(Buffer.from('s3cret'), parsed(text))).toBe(true);
  expect(await verifyScryptHash('s3cre', parsed(text))).toBe(false);
  expect(await verifyScryptHash('', parsed(text))).toBe(false);
  expect(await makeScryptHash('s3cret')).not.toBe(text);
});

test('a vector of RFC 7914 verifies', async () => {
  const salt = Buffer.from('SodiumChloride');
  const hash = Buffer.from(
    '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2' +
      'd5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
    'hex',
  );
  const encode = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
  const stored = parsed(`$scrypt$ln=14,r=8,p=1$${encode(salt)}$${encode(hash)}`);
  expect(await verifyScryptHash('pleaseletmein', stored)).toBe(true);
});

test('the largest cost that is accepted can be verified', async () => {
  const stored = parsed(`$scrypt$ln=16,r=8,p=4$${SALT}$${HASH}`);
  expect(await verifyScryptHash('x', stored)).toBe(false);
});

test.each([
  ['', 'is not of the form'],
  ['$scrypt$', 'is not of the form'],
  [`$scrypt$N=14,r=8,p=1$${SALT}$${HASH}`, 'is not of the form'],
  [`$scrypt$ln=14,r=8,p=1$${SALT}`, 'is not of the form'],
  [`$scrypt$ln=14,r=8,p=1$${SALT}$${HASH}$`, 'is not of the form'],
  [`$scrypt$ln=0,r=8,p=1$${SALT}$${HASH}`, 'has a cost of zero'],
  [`$scrypt$ln=14,r=0,p=1$${SALT}$${HASH}`, 'has a cost of zero'],
  [`$scrypt$ln=17,r=8,p=1$${SALT}$${HASH}`, 'over 64 MiB'],
  [`$scrypt$ln=999,r=8,p=1$${SALT}$${HASH}`, 'over 64 MiB'],
  [`$scrypt$ln=14,r=8,p=5$${SALT}$${HASH}`, 'p over 4'],
  [`$scrypt$ln=14,r=8,p=1$${SALT}=$${HASH}`, 'salt that is not base64'],
  [`$scrypt$ln=14,r=8,p=1$!!$${HASH}`, 'salt that is not base64'],
  [`$scrypt$ln=14,r=8,p=1$YQ$${HASH}`, 'salt of 1 bytes'],
  [`$scrypt$ln=14,r=8,p=1$${SALT}$!!`, 'hash that is not base64'],
  [`$scrypt$ln=14,r=8,p=1$${SALT}$YQ`, 'hash of 1 bytes'],
])('%s %s', (text, message) => expect(parseScryptHash(text)).toContain(message));
