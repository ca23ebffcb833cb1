import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costMsOf } from '../../test/cost.ts';
import { checkConfiguration } from './check.ts';
import { readPlainJson } from './plain-json.ts';

const read = (text: string) => readPlainJson(text, 1_000, 20);

describe('plain JSON', () => {
  it('is read as it is', () => {
    const values = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 5 });
    fc.assert(
      fc.property(values, fc.constantFrom(0, 2), (value, indent) => {
        fc.pre(!JSON.stringify(value).includes('__proto__'));
        const text = JSON.stringify(value, undefined, indent);
        expect(read(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('is left to somebody who can say what is wrong', () => {
    const deep = `{"a":${'['.repeat(30)}${']'.repeat(30)}}`;
    const long = JSON.stringify({ a: Array.from({ length: 1_000 }, () => 1) });
    for (const text of [
      '',
      'a: 1',
      '[1]',
      '{"a":1',
      '{"a":1,"a":1}',
      '{"b":{"a\\":1,"a\\":2}}',
      '{"__proto__":1}',
      deep,
      long,
    ])
      expect(read(text), text.slice(0, 40)).toBeUndefined();
    expect(read('{"a:\\":":1,"b\\\\":":"}')).toEqual({ 'a:":': 1, 'b\\': ':' });
  });

  it('leads back to lines all the same', () => {
    const text = '{"inbounds":[\n{"type":"socks5",\n"listen":"nowhere"}]}';
    const { mistakes } = checkConfiguration(text, '/tmp/edge.json');
    expect(mistakes).toMatchObject([{ path: 'inbounds[0].listen', line: 3, column: 10 }]);
  });

  it('of a hundred thousand services is read, checked and warned of in far less than three seconds', async () => {
    const services = Array.from({ length: 100_000 }, (_, index) => ({
      name: `service-${index}`,
      users: [{ username: `user-${index}`, password: `password-${index}` }],
      rate: { up: '1mbit' },
    }));
    const inbounds = [{ type: 'socks5', listen: '127.0.0.1:1080' }];
    const text = JSON.stringify({ inbounds, services });
    const costMs = await costMsOf(() => {
      const { configuration, warnings } = checkConfiguration(text, '/tmp/edge.json');
      expect(configuration?.services).toHaveLength(100_000);
      const column = text.indexOf('"rate"') + 1;
      expect(warnings).toMatchObject([{ path: 'services[0].rate', line: 1, column }]);
    });
    expect(costMs).toBeLessThan(3_000);
  });
});
