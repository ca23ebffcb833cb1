import { describe, expect, it } from 'vitest';
import { deriveNameKeys, hashText, PASSWORD_KEY } from '../layout/name-hash.ts';
import { AUTH_BUSY, AUTH_FAILED } from '../layout/reasons.ts';
import { credentialType } from '../layout/service.ts';
import type { ScryptHash } from '../policy/scrypt-hash.ts';
import { createVerifier } from './verifier.ts';

const keys = deriveNameKeys(Int32Array.of(5, 6, 7, 8));
const stored = {} as ScryptHash;
const decoy = {} as ScryptHash;
const NO_DECOY = 0;

/** A verifier whose computations end when the test says so. */
function setUp() {
  const credentials = credentialType.attach(new SharedArrayBuffer(credentialType.recordBytes * 2), 0, 2);
  credentials.setGeneration(0, 1);
  credentials.setGeneration(1, 1);
  const computing: {
    password: string;
    against: ScryptHash;
    judge: (isRight: boolean) => void;
    break: () => void;
  }[] = [];
  let nowMs = 1_000;
  const verifier = createVerifier({
    credentials,
    keys,
    hashOf: (credential) => (credential < 2 ? stored : undefined),
    decoyOf: (choice) => (choice === NO_DECOY ? undefined : decoy),
    compute: (password, against) =>
      new Promise((judge, reject) => {
        computing.push({ password, against, judge, break: () => reject(new Error('no memory')) });
      }),
    now: () => nowMs,
  });
  const ask = (password: string, source = 's', credential = 0, name = NO_DECOY) =>
    new Promise<number>((done) => {
      const userName = Int32Array.of(name, 0, 0, 0);
      verifier.verify({ credential, credentialGeneration: 1, userName, password, source }, done);
    });
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { credentials, verifier, computing, ask, pass };
}

describe('verifier', () => {
  it('remembers a success where workers compare by themselves', async () => {
    const { credentials, computing, ask } = setUp();
    const answer = ask('right');
    computing[0]?.judge(true);
    expect(await answer).toBe(0);
    expect(credentials.proven(0)).toBe(1);
    expect([0, 1, 2, 3].map((k) => credentials.proof(0, k))).toEqual([
      ...hashText(keys, PASSWORD_KEY, 'right'),
    ]);
    expect(await ask('right')).toBe(0);
    expect(computing).toHaveLength(1);
  });

  it('computes once for all who ask the same at one time', async () => {
    const { computing, ask } = setUp();
    const answers = Array.from({ length: 50 }, () => ask('right'));
    expect(computing).toHaveLength(1);
    computing[0]?.judge(true);
    expect(new Set(await Promise.all(answers))).toEqual(new Set([0]));
  });

  it('remembers a failure briefly', async () => {
    const { computing, ask, pass } = setUp();
    const answer = ask('wrong');
    computing[0]?.judge(false);
    expect(await answer).toBe(AUTH_FAILED);
    expect(await ask('wrong', 'other')).toBe(AUTH_FAILED);
    expect(computing).toHaveLength(1);
    pass(5_001);
    void ask('wrong');
    expect(computing).toHaveLength(2);
  });

  it('writes nothing into a credential that has changed meanwhile', async () => {
    const { credentials, computing, ask } = setUp();
    const answer = ask('right');
    credentials.setGeneration(0, 2);
    computing[0]?.judge(true);
    expect(await answer).toBe(AUTH_FAILED);
    expect(credentials.proven(0)).toBe(0);
    expect(await ask('right')).toBe(AUTH_FAILED);
  });

  it('stops computing for a source that fails often, and only for that one', async () => {
    const { computing, ask, pass } = setUp();
    for (let i = 0; i < 11; i++) {
      const answer = ask(`guess ${i}`, 'bad');
      computing[i]?.judge(false);
      expect(await answer).toBe(AUTH_FAILED);
    }
    expect(await ask('one more', 'bad')).toBe(AUTH_FAILED);
    expect(computing).toHaveLength(11);
    void ask('one more', 'good');
    expect(computing).toHaveLength(12);
    pass(10_001);
    void ask('yet another', 'bad', 1);
    expect(computing).toHaveLength(13);
  });

  it('counts an IPv6 client by its /64', async () => {
    const { computing, ask } = setUp();
    for (let i = 0; i < 8; i++) void ask(`p${i}`, `2001:db8::${i}`);
    expect(await ask('p8', '2001:db8::ffff')).toBe(AUTH_BUSY);
    void ask('p8', '2001:db8:0:1::1');
    computing[0]?.judge(false);
    computing[1]?.judge(false);
    await expect.poll(() => computing.length, { timeout: 10_000 }).toBe(4);
  });

  it('bounds what runs, what waits, and what one source may have waiting', async () => {
    const { verifier, computing, ask } = setUp();
    for (let i = 0; i < 8; i++) void ask(`p${i}`, 'one');
    expect(await ask('p8', 'one')).toBe(AUTH_BUSY);
    for (let i = 0; i < 250; i++) void ask(`q${i}`, `source ${i}`);
    expect(computing).toHaveLength(2);
    expect(verifier.statistics()).toMatchObject({ running: 2, queued: 256 });
    expect(await ask('too much', 'last')).toBe(AUTH_BUSY);
  });

  it('computes as long for a name that nobody has, once for each name, and fails whatever comes out', async () => {
    const { credentials, computing, ask } = setUp();
    const first = ask('guess', 'a', -1, 1);
    const second = ask('guess', 'b', -1, 2);
    expect(computing.map(({ against }) => against === decoy)).toEqual([true, true]);
    computing[0]?.judge(true);
    computing[1]?.judge(false);
    expect(await Promise.all([first, second])).toEqual([AUTH_FAILED, AUTH_FAILED]);
    expect([0, 1].map((credential) => credentials.proven(credential))).toEqual([0, 0]);
    expect(await ask('guess', 'c', -1, 1)).toBe(AUTH_FAILED);
    expect(computing).toHaveLength(2);
    void ask('guess', 'c', -1, 3);
    expect(computing).toHaveLength(3);
  });

  it('bounds what one source may have waiting, also of names that nobody has', async () => {
    const { verifier, ask } = setUp();
    for (let i = 0; i < 8; i++) void ask(`guess ${i}`, 'one', -1, i + 1);
    expect(await ask('guess', 'one', -1, 9)).toBe(AUTH_BUSY);
    expect(verifier.statistics()).toMatchObject({ running: 2, queued: 6 });
  });

  it('answers at once where there is no hash at all', async () => {
    const { computing, ask } = setUp();
    expect(await ask('guess', 's', -1)).toBe(AUTH_FAILED);
    expect(computing).toEqual([]);
  });

  it('takes a computation that broke for no judgement', async () => {
    const { computing, ask } = setUp();
    const answer = ask('right');
    computing[0]?.break();
    expect(await answer).toBe(AUTH_BUSY);
    const again = ask('right');
    computing[1]?.judge(true);
    expect(await again).toBe(0);
  });
});
