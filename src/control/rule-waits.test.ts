import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { SNAPSHOTS_MAX } from '../layout/rules.ts';
import { SLOT_RELAYING, SLOT_WAITING } from '../layout/slot.ts';
import { pollUntil } from './poll-until.ts';
import { setUpRules } from './rules.fixture.ts';

const FEW_MS = 5_000;
const INBOUND =
  'inbounds: [{ type: socks5, listen: "127.0.0.1:0" }]\nrules: [{ id: f, port: 1, action: reject }]';

const directory = mkdtempSync(join(tmpdir(), 'sluice-waits-'));
afterEach(() => rmSync(directory, { recursive: true }));

test('connections that wait in every snapshot that there was do not keep the rules from being changed', async () => {
  const { apply, rules, tables, told, inForce, close } = setUpRules({ directory });
  const slots = tables.slots[1];
  const facts = tables.facts[1];
  if (slots === undefined || facts === undefined) throw new Error('there is no worker 1');
  /** As a worker does. */
  const wait = (slot: number, state: number) => {
    slots.setGeneration(slot, 1);
    slots.setState(slot, state);
    facts.setPinned(slot, tables.machine.snapshot(0));
  };
  await apply(INBOUND);
  wait(0, SLOT_RELAYING);
  wait(1, SLOT_WAITING);
  const pinned: number[] = [];
  const pin = () => {
    const row = inForce()?.row ?? -1;
    tables.snapshots.addPins(row, 1);
    pinned.push(row);
  };
  pin();
  const change = (port: number) => rules.replace([{ id: 'a', port, action: 'reject' }], {}).finished;
  for (let port = 1; told.length === 0 && port < SNAPSHOTS_MAX; port++) {
    await change(port);
    pin();
  }
  expect(await pollUntil(() => told.length > 0, FEW_MS)).toBe(true);
  expect(told[0]).toEqual({ worker: 1, message: { kind: 'end_waits', connections: Int32Array.of(1, 1) } });
  // They have left.
  for (const row of pinned) tables.snapshots.addPins(row, -1);
  const isRoomy = () => rules.snapshots().filter(({ state }) => state === 'retired').length === 0;
  expect(await pollUntil(isRoomy, FEW_MS)).toBe(true);
  for (let port = 1; port < SNAPSHOTS_MAX; port++) await change(port);
  await close();
});
