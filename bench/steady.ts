// `node dist/bench/steady.js [--seconds 60]`: loads Sluice steadily (round trips on 100 connections, and new connections
// between them) under `--trace-gc`, and fails where a thread other than the main one made a major garbage
// collection after the warm-up. A worker that allocates nothing per event never needs one.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Bench, openBench } from './bench.ts';
import { ECHO } from './load/origin.ts';
import { type Child, startChild } from './process/child.ts';
import { waitForTimeWaitRoom } from './process/ports.ts';
import { prepareSluice, sluiceCommand } from './subjects/sluice.ts';
import { countCollections, TRACE_OPTIONS } from './trace-gc.ts';

const WARMUP_SECONDS_MAX = 5;
const SLICE_MS = 4000;
const CONNECTIONS_A_SLICE = 2000;

interface Totals {
  roundTrips: number;
  connections: number;
  failures: number;
}

/** Loads `port` for `seconds`. */
async function load(bench: Bench, port: number, seconds: number, totals: Totals): Promise<void> {
  const endMs = performance.now() + seconds * 1000;
  for (let leftMs = seconds * 1000; leftMs > 0; leftMs = endMs - performance.now()) {
    const measureMs = Math.min(SLICE_MS, leftMs);
    const trips = await bench.order(
      { kind: 'closed-loop', work: { port, pids: [], connections: 100, bytes: 64, warmupMs: 0, measureMs } },
      measureMs + 30_000,
    );
    const works = { inFlight: 32, warmupConnections: 0, measuredConnections: CONNECTIONS_A_SLICE, bytes: 64 };
    await waitForTimeWaitRoom(2 * CONNECTIONS_A_SLICE);
    const connections = await bench.order(
      { kind: 'connect-close', work: { port, pids: [], ...works, reset: true } },
      60_000,
    );
    totals.roundTrips += trips.operations;
    totals.connections += connections.operations;
    totals.failures += trips.failures + connections.failures;
  }
}

/** @returns whether it held */
async function run(bench: Bench, folder: string, seconds: number): Promise<boolean> {
  const setting = {
    target: await bench.listen(ECHO),
    core: bench.cores.proxy,
    directory: folder,
    services: 0,
    reference: { rules: 0, names: 0, networks: 0 },
  };
  const { port, file, isReady } = await prepareSluice(setting);
  const child: Child = startChild(bench.cores.proxy, sluiceCommand(TRACE_OPTIONS, file), {
    directory: folder,
  });
  const startMs = performance.now();
  let trace = '';
  child.process.stdout?.on('data', (text: Buffer) => {
    trace += text.toString('latin1');
  });
  const totals: Totals = { roundTrips: 0, connections: 0, failures: 0 };
  let fromMs = 0;
  try {
    await isReady(child);
    await load(bench, port, Math.min(WARMUP_SECONDS_MAX, seconds), { ...totals });
    fromMs = performance.now() - startMs;
    await load(bench, port, seconds, totals);
  } finally {
    // The trace comes through the C library's buffer: most of it at the end.
    await child.stop();
  }
  const isolates = countCollections(trace, fromMs);
  process.stdout.write(
    `${seconds} s: ${totals.roundTrips} round trips, ${totals.connections} connections, ${totals.failures} failures\n`,
  );
  for (const { isolate, main, minor, major } of isolates) {
    process.stdout.write(
      `${main ? 'main  ' : 'worker'} ${isolate}: ${minor} minor, ${major} major collections\n`,
    );
  }
  if (isolates.length === 0) process.stdout.write('no trace was seen: nothing is proved\n');
  return (
    isolates.length > 0 &&
    totals.failures === 0 &&
    isolates.every((isolate) => isolate.main || isolate.major === 0)
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } });
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) throw new Error('seconds are above 0');
  const folder = mkdtempSync(join(tmpdir(), 'sluice-steady-'));
  const bench = await openBench();
  try {
    const held = await run(bench, folder, seconds);
    process.stdout.write(held ? 'HOLDS: no major collection in a worker\n' : 'MISSED\n');
    if (!held) process.exitCode = 1;
  } finally {
    await bench.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`steady: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
