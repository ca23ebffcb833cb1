// The entry: gives the command line what it cannot know by itself, the version and how a daemon is put together.

import { readFileSync } from 'node:fs';
import { runProgram } from './cli/program.ts';

const packageFile = new URL('../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };

const exitCode = await runProgram(process.argv.slice(2), {
  version,
  run: async (fileName) => {
    const { runDaemon } = await import('./daemon.ts');
    return runDaemon({ fileName, version });
  },
});

// Whoever reads us may stop early (`sluice status | head`); that is no fault of anybody.
process.stdout.on('error', () => process.exit(exitCode));
// Writes to a pipe are finished first: `sluice status | head` must not cut what it was asked for.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
