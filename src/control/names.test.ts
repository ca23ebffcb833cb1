import { describe, expect, it } from 'vitest';
import { ONLY_IPV4, ONLY_IPV6, PREFER_IPV4, PREFER_IPV6 } from '../layout/messages.ts';
import { NAME_FAILED, NAME_NOT_FOUND } from '../layout/reasons.ts';
import { formatIp } from '../layout/ip-address.ts';
import { createNames } from './names.ts';
import type { Names, NamesInit } from './names.ts';

interface Call {
  readonly name: string;
  readonly resolve: (addresses: string[]) => void;
  readonly reject: (code: string) => void;
}

/** A resolver that answers when the test says so. */
function setUp(init: NamesInit = {}) {
  const calls: Call[] = [];
  let nowMs = 1_000;
  const names = createNames({
    lookup: (name) =>
      new Promise((done, failed) => {
        calls.push({
          name,
          resolve: (addresses) => done(addresses.map((address) => ({ address }))),
          reject: (code) => failed(Object.assign(new Error(code), { code })),
        });
      }),
    now: () => nowMs,
    ...init,
  });
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { names, calls, pass };
}

function asked(
  names: Names,
  name: string,
  ipVersion = PREFER_IPV4,
  source = '192.0.2.99',
): Promise<[string[], number]> {
  return new Promise((done) => {
    names.resolve(name, ipVersion, source, (words, reason) => {
      const addresses = Array.from({ length: words.length / 4 }, (_, i) => formatIp(words, i * 4));
      done([addresses, reason]);
    });
  });
}

describe('names', () => {
  it('looks a name up once for all who ask at the same time, and remembers it for a while', async () => {
    const { names, calls, pass } = setUp();
    const answers = [asked(names, 'a.example'), asked(names, 'a.example')];
    expect(calls).toHaveLength(1);
    calls[0]?.resolve(['192.0.2.1']);
    expect(await Promise.all(answers)).toEqual([
      [['192.0.2.1'], 0],
      [['192.0.2.1'], 0],
    ]);
    pass(29_000);
    expect(await asked(names, 'a.example')).toEqual([['192.0.2.1'], 0]);
    expect(calls).toHaveLength(1);
    pass(2_000);
    const again = asked(names, 'a.example');
    expect(calls).toHaveLength(2);
    calls[1]?.resolve(['192.0.2.2']);
    expect(await again).toEqual([['192.0.2.2'], 0]);
  });

  it('orders the families by turns, the preferred one first, eight addresses at most', async () => {
    const { names, calls } = setUp();
    const first = asked(names, 'a', PREFER_IPV6);
    calls[0]?.resolve(['192.0.2.1', '192.0.2.2', '2001:db8::1', 'fe80::1%eth0', '2001:db8::2']);
    expect((await first)[0]).toEqual(['2001:db8::1', '192.0.2.1', '2001:db8::2', '192.0.2.2']);
    expect((await asked(names, 'a', PREFER_IPV4))[0]?.[0]).toBe('192.0.2.1');
    expect((await asked(names, 'a', ONLY_IPV6))[0]).toEqual(['2001:db8::1', '2001:db8::2']);
    expect((await asked(names, 'a', ONLY_IPV4))[0]).toEqual(['192.0.2.1', '192.0.2.2']);
    const many = asked(names, 'b');
    calls[1]?.resolve(Array.from({ length: 20 }, (_, i) => `192.0.2.${i}`));
    expect((await many)[0]).toHaveLength(8);
  });

  it('tells a name that does not exist from a resolver that fails, and forgets both soon', async () => {
    const { names, calls, pass } = setUp();
    const missing = asked(names, 'missing');
    calls[0]?.reject('ENOTFOUND');
    expect(await missing).toEqual([[], NAME_NOT_FOUND]);
    const failing = asked(names, 'failing');
    calls[1]?.reject('EAI_AGAIN');
    expect(await failing).toEqual([[], NAME_FAILED]);
    expect(await asked(names, 'missing')).toEqual([[], NAME_NOT_FOUND]);
    expect(calls).toHaveLength(2);
    pass(3_000);
    void asked(names, 'missing');
    expect(calls).toHaveLength(3);
    const onlyOther = asked(names, 'v4only', ONLY_IPV6);
    calls[3]?.resolve(['192.0.2.1']);
    expect(await onlyOther).toEqual([[], NAME_NOT_FOUND]);
  });

  it('gives up after the time-out, starts no second look-up meanwhile, and uses the late answer', async () => {
    const { names, calls } = setUp({ timeoutMs: 10 });
    expect(await asked(names, 'slow')).toEqual([[], NAME_FAILED]);
    expect(await asked(names, 'slow')).toEqual([[], NAME_FAILED]);
    expect(calls).toHaveLength(1);
    expect(names.statistics()).toMatchObject({ timed_out: 2, in_flight: 1, waiting: 0 });
    const third = asked(names, 'slow');
    calls[0]?.resolve(['192.0.2.9']);
    expect(await third).toEqual([['192.0.2.9'], 0]);
    expect(names.statistics().in_flight).toBe(0);
  });

  it('refuses beyond its bounds at once', async () => {
    const { names, calls } = setUp({ flightsMax: 2, waitersMax: 3 });
    void asked(names, 'a');
    void asked(names, 'b');
    expect(await asked(names, 'c')).toEqual([[], NAME_FAILED]);
    void asked(names, 'a');
    expect(await asked(names, 'a')).toEqual([[], NAME_FAILED]);
    expect(calls).toHaveLength(2);
    expect(names.statistics()).toMatchObject({ refused: 2, waiting: 3 });
  });

  it('lets one source have four look-ups under way, given up or not, and others theirs', async () => {
    const { names, calls } = setUp({ timeoutMs: 10 });
    const from = (source: string, name: string) => asked(names, name, PREFER_IPV4, source);
    const slow = ['a', 'b', 'c', 'd'].map((name) => from('192.0.2.1', name));
    expect(await from('192.0.2.1', 'e')).toEqual([[], NAME_FAILED]);
    expect(calls).toHaveLength(4);
    expect(names.statistics()).toMatchObject({ refused_source: 1, refused: 0, in_flight: 4 });
    await Promise.all(slow);
    expect(await from('192.0.2.1', 'f')).toEqual([[], NAME_FAILED]);
    expect(calls).toHaveLength(4);
    const other = from('192.0.2.2', 'f');
    calls[4]?.resolve(['192.0.2.7']);
    expect(await other).toEqual([['192.0.2.7'], 0]);
    expect(await from('192.0.2.1', 'f')).toEqual([['192.0.2.7'], 0]);
    calls[0]?.resolve(['192.0.2.8']);
    expect(await from('192.0.2.1', 'a')).toEqual([['192.0.2.8'], 0]);
    void from('192.0.2.1', 'g');
    expect(calls).toHaveLength(6);
  });

  it('takes an IPv6 /64 for one source', async () => {
    const { names, calls } = setUp({ sourceFlightsMax: 1 });
    void asked(names, 'a', PREFER_IPV4, '2001:db8::1');
    expect(await asked(names, 'b', PREFER_IPV4, '2001:db8::ffff:2')).toEqual([[], NAME_FAILED]);
    void asked(names, 'b', PREFER_IPV4, '2001:db8:0:1::1');
    expect(calls).toHaveLength(2);
  });

  it('asks the system, hosts file included', async () => {
    const [addresses, reason] = await asked(createNames(), 'localhost');
    expect(reason).toBe(0);
    expect(['127.0.0.1', '::1']).toContain(addresses[0]);
  });
});
