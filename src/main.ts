// The entry: gives the command line what it cannot know by itself, the version and how a daemon is put together.

import { readFileSync } from 'node:fs';
import { EXIT_UNWRITTEN } from './cli/exit-codes.ts';
import { runProgram } from './cli/program.ts';

const packageFile = new URL('../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };

// Judged at the end, below: without this it would be thrown.
process.stdout.on('error', () => {});

const exitCode = await runProgram(process.argv.slice(2), {
  version,
  run: async (fileName) => {
    const { runDaemon } = await import('./daemon.ts');
    return runDaemon({ fileName, version });
  },
});

// Writes to a pipe are finished first: `sluice status | head` must not cut what it was asked for.
process.stdout.write('', () => {
  const { errored } = process.stdout as { errored: NodeJS.ErrnoException | null };
  // Whoever reads us may stop early; that is no fault of anybody. A full disk is.
  const isUnwritten = errored !== null && errored.code !== 'EPIPE';
  const complaint = isUnwritten ? `sluice: the answer could not be written: ${errored.message}\n` : '';
  process.stderr.write(complaint, () => process.exit(isUnwritten ? EXIT_UNWRITTEN : exitCode));
});
