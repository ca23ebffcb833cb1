// Files that change, over real directories; the clock of those that do not come to rest is ours.

import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pollUntil } from './poll-until.ts';
import { stampOf } from './rule-set-content.ts';
import { createFileWatch, RESTLESS_MS } from './rule-set-watch.ts';
import type { FileWatch } from './rule-set-watch.ts';

const FEW_MS = 10_000;
/** Looks come more often than this, whatever happens. */
const BETWEEN_LOOKS_MS = 4_000;

let directory = '';
let path = '';
let watched: FileWatch | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-watch-'));
  path = join(directory, 'list');
  writeFileSync(path, 'a\n');
});
afterEach(() => {
  watched?.close();
  watched = undefined;
  rmSync(directory, { recursive: true });
});

async function setUp(nowMs?: () => number) {
  const told: string[] = [];
  watched = createFileWatch({
    changed: (changed) => told.push(`changed ${changed}`),
    restless: (restless) => told.push(`restless ${restless}`),
    ...(nowMs === undefined ? {} : { nowMs }),
  });
  watched.set(new Map([[path, await stampOf(path)]]));
  return told;
}

describe('a watched file', () => {
  it('is told of once when it has changed, whatever else happens in its directory', async () => {
    const told = await setUp();
    appendFileSync(path, 'b\n');
    const beganMs = performance.now();
    while (told.length === 0 && performance.now() - beganMs < BETWEEN_LOOKS_MS) {
      writeFileSync(join(directory, 'other'), 'b\n');
      await setTimeout(20);
    }
    expect(told).toEqual([`changed ${path}`]);
    rmSync(path);
    expect(await pollUntil(() => told.length === 2, FEW_MS)).toBe(true);
    expect(told[1]).toBe(`changed ${path}`);
  });

  it('that does not come to rest is told of again and again, and as changed when it does', async () => {
    let atMs = 0;
    const told = await setUp(() => atMs);
    const deadlineMs = performance.now() + FEW_MS;
    while (told.length < 2 && performance.now() < deadlineMs) {
      atMs += RESTLESS_MS / 10;
      appendFileSync(path, 'b\n');
      await setTimeout(300);
    }
    expect(told).toEqual([`restless ${path}`, `restless ${path}`]);
    const resting = setInterval(() => {
      atMs += 500;
    }, 250);
    expect(await pollUntil(() => told.length === 3, FEW_MS)).toBe(true);
    clearInterval(resting);
    expect(told[2]).toBe(`changed ${path}`);
  });
});
