// The real kernel against the suite that the simulation must pass as well.

import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeSys } from '../sys.compliance.ts';
import { createLibc } from './libc.ts';

describeSys('libc', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'));
  chmodSync(folder, 0o700);
  let paths = 0;
  return {
    sys: createLibc(),
    unixPath: () => join(folder, `${paths++}.sock`),
    placeFile: (path) => writeFileSync(path, ''),
    modeOf: (path) => statSync(path).mode & 0o777,
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
});
