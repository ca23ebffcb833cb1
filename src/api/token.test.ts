import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { carriesToken, loadToken } from './token.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-token-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('token', () => {
  it('is made once, for its owner alone', async () => {
    const fileName = join(directory, 'admin.token');
    const token = await loadToken(fileName);
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    expect(statSync(fileName).mode & 0o777).toBe(0o600);
    expect(await loadToken(fileName)).toBe(token);
    expect(readFileSync(fileName, 'utf8')).toBe(`${token}\n`);
  });

  it('must not be short or unreachable', async () => {
    const fileName = join(directory, 'admin.token');
    writeFileSync(fileName, 'secret\n');
    await expect(loadToken(fileName)).rejects.toMatchObject({ code: 'token_unusable' });
    const missing = loadToken(join(directory, 'no', 'such', 'folder'));
    await expect(missing).rejects.toMatchObject({ code: 'token_unusable' });
  });

  it('is carried by a bearer header and by nothing else', () => {
    const token = 'a'.repeat(64);
    expect(carriesToken(`Bearer ${token}`, token)).toBe(true);
    expect(carriesToken(`bearer  ${token} `, token)).toBe(true);
    for (const header of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      `Basic ${token}`,
      `Bearer ${token}a`,
      `Bearer a`,
    ]) {
      expect(carriesToken(header, token)).toBe(false);
    }
  });
});
