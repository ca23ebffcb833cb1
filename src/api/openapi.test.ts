// The API's description, judged by a linter of OpenAPI documents, and held against the routes that there are.

import { createConfig, lintFromString } from '@redocly/openapi-core';
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import type { ApiContext } from './context.ts';
import { buildTestApi, makeTables, noteEvictions } from './api.fixture.ts';

let app: FastifyInstance | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
}

async function description() {
  app = await buildTestApi(makeTables(), {
    evictions: noteEvictions().evictions,
    serviceChanges: {} as NonNullable<ApiContext['serviceChanges']>,
  });
  const { payload } = await app.inject({ method: 'GET', url: '/v1/openapi.json' });
  const document = JSON.parse(payload) as {
    paths: Record<string, Record<string, Operation>>;
  };
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      ...operation,
    })),
  );
  return { payload, operations };
}

async function lint(source: string) {
  // `info-license-strict` and the like are in it; a probe need not answer with a 4xx.
  const config = await createConfig({ extends: ['recommended-strict'] });
  const problems = await lintFromString({ source, absoluteRef: '/openapi.json', config });
  return problems.map(({ ruleId, message, location }) => `${ruleId} ${location[0]?.pointer}: ${message}`);
}

describe('/v1/openapi.json', () => {
  it('has nothing that a linter complains of', async () => {
    const { payload } = await description();
    expect(
      (await lint(payload)).filter(
        (line) => !/^operation-4xx-response .*(healthz|readyz|metrics)/.test(line),
      ),
    ).toEqual([]);
    // The linter does see what is wrong.
    expect(await lint(payload.replace('"operationId":"getStatus",', ''))).not.toEqual([]);
  });

  it('says where a revision is answered, and where a path may be too long', async () => {
    const { operations } = await description();
    const tagged = operations.filter(({ responses }) =>
      Object.values(responses).some(
        (response) => 'ETag' in ((response as { headers?: object }).headers ?? {}),
      ),
    );
    expect(tagged.map(({ name }) => name).toSorted()).toEqual(
      [
        ...['GET', 'PATCH', 'PUT'].map((method) => `${method} /v1/services/{name}`),
        'GET /v1/rules',
        'POST /v1/rules/rollback',
        'PUT /v1/rules',
      ].toSorted(),
    );
    for (const { name, responses } of operations) expect('414' in responses, name).toBe(name.includes('{'));
    expect(operations.find(({ name }) => name === 'POST /v1/evictions')?.responses['503']).toBeDefined();
  });

  it('describes every operation with what it may answer', async () => {
    const { operations } = await description();
    expect(operations.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'GET /v1/connections',
        'GET /v1/connections/{id}',
        'DELETE /v1/connections/{id}',
        'POST /v1/evictions',
        'GET /v1/evictions',
        'GET /v1/evictions/{id}',
        'DELETE /v1/evictions/{id}',
        'GET /v1/services',
        'POST /v1/services',
        'PUT /v1/services',
        'GET /v1/services/{name}',
        'PUT /v1/services/{name}',
        'PATCH /v1/services/{name}',
        'DELETE /v1/services/{name}',
        'GET /v1/services',
        'POST /v1/services',
        'PUT /v1/services',
        'GET /v1/services/{name}',
        'PUT /v1/services/{name}',
        'PATCH /v1/services/{name}',
        'DELETE /v1/services/{name}',
        'GET /v1/rules',
        'PUT /v1/rules',
        'GET /v1/rules/installations',
        'GET /v1/rules/installations/{id}',
        'POST /v1/rules/explain',
        'GET /v1/rules/snapshots',
        'POST /v1/rules/rollback',
        'GET /v1/rule-sets',
        'POST /v1/rule-sets/{tag}/refresh',
        'GET /v1/status',
        'POST /v1/reload',
      ]),
    );
    for (const { name, operationId, tags, responses } of operations) {
      expect(operationId, name).toMatch(/^[a-z][A-Za-z]+$/);
      expect(tags, name).toHaveLength(1);
      for (const [status, { content }] of Object.entries(responses)) {
        const types = Object.keys(content ?? {});
        if (Number(status) >= 400) expect(types, `${name} ${status}`).toEqual(['application/problem+json']);
      }
      if (name.includes('/v1/')) expect(Object.keys(responses), name).toContain('401');
    }
  });
});
