// GET /healthz: the process is alive and its workers turn. GET /readyz: it takes connections. Both without a token on
// loopback, for whatever watches this machine.

import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { ApiContext } from './context.ts';
import { PROBLEM_TYPE, problem, problemSchema } from './problem.ts';

const probe = (operationId: string, summary: string) => ({
  operationId,
  summary,
  tags: ['probes'],
  security: [],
  response: { 200: Type.Object({ status: Type.String() }), 503: problemSchema },
});

export function healthRoutes(app: FastifyInstance, context: ApiContext): void {
  const { supervisor } = context;
  app.get('/healthz', { schema: probe('isHealthy', 'Alive: every worker turns') }, (_request, reply) => {
    const stalled = supervisor.states().flatMap((state, worker) => (state.stalled ? [worker] : []));
    if (stalled.length === 0) return { status: 'ok' };
    reply.code(503).type(PROBLEM_TYPE);
    return problem(503, 'workers_stalled', `workers without a turn for ten seconds: ${stalled.join(', ')}`);
  });
  app.get('/readyz', { schema: probe('isReady', 'Takes connections') }, (_request, reply) => {
    const phase = context.phase();
    if (phase === 'ready') return { status: 'ready' };
    reply.code(503).type(PROBLEM_TYPE);
    return problem(503, 'not_ready', `the daemon is ${phase}`);
  });
}
