import { describe, expect, it } from 'vitest';
import { type Condition, NO_ITEMS } from '../rule.ts';
import { networkOf } from './names.ts';
import { convertRuleSet } from './write.ts';

function network(text: string) {
  const read = networkOf(text);
  if (read === undefined) throw new RangeError(`${text} is no network`);
  return read;
}

function messages(rules: readonly Condition[], to: 'source' | 'domains' | 'networks') {
  const { text, mistakes } = convertRuleSet('set.srs', { rules }, to);
  expect(text).toBe('');
  return mistakes.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('a converted rule set', () => {
  it('says in source format what it says', () => {
    const rules: Condition[] = [
      {
        ...NO_ITEMS,
        domain: ['a.example'],
        domainSuffix: [
          { name: 'cn', isBelow: true },
          { name: 'b.example', isBelow: false },
        ],
        ipCidr: [network('10.0.0.0/8'), network('2001:db8::/32')],
        port: [
          { from: 443, to: 443 },
          { from: 1000, to: 2000 },
        ],
        network: [1],
      },
      {
        kind: 'logical',
        mode: 'or',
        invert: true,
        rules: [{ ...NO_ITEMS, invert: true, processName: ['curl'] }],
      },
    ];
    const { text, mistakes } = convertRuleSet('set.srs', { rules }, 'source');
    expect(mistakes).toEqual([]);
    expect(JSON.parse(text)).toEqual({
      version: 1,
      rules: [
        {
          network: ['udp'],
          domain: ['a.example'],
          domain_suffix: ['.cn', 'b.example'],
          ip_cidr: ['10.0.0.0/8', '2001:db8::/32'],
          port: [443],
          port_range: ['1000:2000'],
        },
        { type: 'logical', mode: 'or', invert: true, rules: [{ process_name: ['curl'], invert: true }] },
      ],
    });
  });

  it('is a list where it can be one', () => {
    const domains = { ...NO_ITEMS, domain: ['a.example'], domainSuffix: [{ name: 'cn', isBelow: true }] };
    const whole = { ...NO_ITEMS, domainSuffix: [{ name: 'b.example', isBelow: false }] };
    expect(convertRuleSet('set', { rules: [domains, whole] }, 'domains').text).toBe(
      'a.example\n.cn\n||b.example^\n',
    );
    const networks = { ...NO_ITEMS, ipCidr: [network('192.0.2.1'), network('::/0')] };
    expect(convertRuleSet('set', { rules: [networks] }, 'networks').text).toBe('192.0.2.1/32\n::/0\n');
  });

  it('is a mistake where the format has no words for it', () => {
    const mixed = { ...NO_ITEMS, domain: ['a.example'], port: [{ from: 1, to: 1 }] };
    const logical: Condition = { kind: 'logical', mode: 'and', invert: false, rules: [mixed] };
    expect(
      messages([mixed, { ...NO_ITEMS, invert: true, domain: ['b.example'] }, logical], 'domains'),
    ).toEqual([
      'rules.0.port: `port` cannot be said in the list of domains',
      'rules.1: an inverted rule cannot be said in a list of domains',
      'rules.2: a logical rule cannot be said in a list of domains',
    ]);
    expect(messages([{ ...NO_ITEMS, ipIsPrivate: true, userId: [{ from: 0, to: 0 }] }], 'source')).toEqual([
      'rules.0.ip_is_private: `ip_is_private` cannot be said in the source format',
      'rules.0.user_id: `user_id` cannot be said in the source format',
    ]);
  });
});
