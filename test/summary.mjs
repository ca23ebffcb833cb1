// The last line of a test run: `N passed, N failed`. A file that could not even be loaded counts as one failed test, and a
// run that left no results as well: nothing must look like success because nothing was asked.

import { existsSync, readFileSync } from 'node:fs';

const fileName = process.argv[2];
let passed = 0;
let failed = 0;
if (fileName !== undefined && existsSync(fileName)) {
  const results = JSON.parse(readFileSync(fileName, 'utf8'));
  passed = results.numPassedTests;
  failed = results.numFailedTests;
  for (const file of results.testResults) {
    if (file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'))
      failed++;
  }
}
if (passed + failed === 0) failed = 1;
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
