// POST /v1/test/workers/{worker}/fail: makes a worker throw. It exists only where the daemon was started with
// SLUICE_TEST_FAULTS=1, for the tests of replacement.

import type { FastifyInstance } from 'fastify';
import type { ApiContext } from './context.ts';
import { PROBLEM_TYPE, problem } from './problem.ts';

export function testFaultRoutes(app: FastifyInstance, context: ApiContext): void {
  if (!context.testFaults) return;
  app.post<{ Params: { worker: string } }>(
    '/v1/test/workers/:worker/fail',
    { schema: { hide: true } },
    (request, reply) => {
      const { worker } = request.params;
      if (context.supervisor.fail(Number(worker))) {
        reply.code(202);
        return { worker: Number(worker) };
      }
      reply.code(404).type(PROBLEM_TYPE);
      return problem(404, 'not_found', `no worker ${worker} is running`);
    },
  );
}
