// docs/reference/admin-api.md lists the operations that there are, the exit codes that the command line has, and no others.

import { expect, it } from 'vitest';
import { buildTestApi, makeTables } from '../../src/api/api.fixture.ts';
import { EXIT_CODES_HELP } from '../../src/cli/exit-codes.ts';
import { page } from './pages.ts';

it('lists every operation of the API', async () => {
  const app = await buildTestApi(makeTables());
  const { paths } = (await app.inject('/v1/openapi.json')).json<{ paths: Record<string, object> }>();
  await app.close();
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const listed = [...page('docs/reference/admin-api.md').text.matchAll(/^\| `([A-Z]+ \/\S+)` +\|/gm)];
  expect(listed.map(([, operation = '']) => operation).toSorted()).toEqual(operations.toSorted());
});

it('gives every exit code its meaning, as --help does', () => {
  const told = [...page('docs/guide.md').text.matchAll(/^\| (\d+) +\| (.*?) +\|$/gm)];
  const codes = [...EXIT_CODES_HELP.matchAll(/^ {2}(\d+) +(.*)$/gm)];
  expect(codes.length).toBeGreaterThan(5);
  expect(told.map(([, code, meaning]) => [code, meaning])).toEqual(
    codes.map(([, code, meaning]) => [code, meaning]),
  );
});
