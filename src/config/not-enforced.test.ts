import { expect, test } from 'vitest';
import { checkConfiguration } from './check.ts';
import { notEnforced } from './not-enforced.ts';

const services = Array.from({ length: 50 }, (_, index) => ({
  name: `service-${index}`,
  ...(index >= 3 ? { rate: { up: '1mbit' } } : {}),
  ...(index === 7 ? { gate: { rate: '5/s', burst: 5 } } : {}),
}));

test('each kind of key is warned of once, where it is first met, with the number of others', () => {
  const warnings = notEnforced({
    services,
    outbounds: [
      { tag: 'a', type: 'group' },
      { tag: 'b', type: 'group' },
    ],
  });
  expect(warnings.map(({ path, message }) => [path.join('.'), message])).toEqual([
    [
      'outbounds.0.type',
      'type group is accepted but not enforced yet, here and in 1 more of the outbounds; connections sent to it are refused',
    ],
    ['services.3.rate', '"rate" is accepted but not enforced yet, here and in 46 more of the services'],
    ['services.7.gate', '"gate" is accepted but not enforced yet'],
  ]);
});

test('its line is that of the first one', () => {
  const text = JSON.stringify(
    { inbounds: [{ type: 'socks5', listen: '127.0.0.1:1080', ask_users: true }], services },
    null,
    1,
  );
  const { warnings } = checkConfiguration(text, '/tmp/edge.json');
  const expected = text.slice(0, text.indexOf('"rate"')).split('\n').length;
  expect(warnings.find(({ path }) => path === 'services[3].rate')?.line).toBe(expected);
});
