// POST /v1/reload: the configuration file once more. 200 says what changed; 422 lists every mistake, and nothing has.

import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { shownReconciled } from '../control/reload.ts';
import type { ApiContext } from './context.ts';
import { problemSchema } from './problem.ts';

const Names = Type.Array(Type.String());
const tagChangesSchema = Type.Object({ added: Names, changed: Names, removed: Names });

/** Connections that a change has made contradictory. */
export const reconciledSchema = Type.Object(
  {
    ended: Type.Integer({ description: 'connections that what is in force no longer allows' }),
    duration_us: Type.Integer({ description: 'from the change until every worker was through' }),
    worker_us: Type.Integer({ description: 'of the threads of all workers' }),
    last_gone_us: Type.Integer({ description: 'from the change until the last violator had gone; 0: none' }),
  },
  { title: 'Reconciled' },
);

export const reloadedSchema = Type.Object(
  {
    plan: Type.Integer(),
    duration_ms: Type.Integer(),
    inbounds: tagChangesSchema,
    outbounds: tagChangesSchema,
    services: tagChangesSchema,
    users: Type.Object({ added: Type.Integer(), changed: Type.Integer(), removed: Type.Integer() }),
    server_names: Type.Object({ added: Type.Integer(), removed: Type.Integer() }),
    reconciled: reconciledSchema,
    restart_needed: Type.Array(Type.String(), { description: 'keys whose new value waits for a restart' }),
    warnings: Names,
  },
  { title: 'Reloaded' },
);

export function reloadRoute(app: FastifyInstance, context: ApiContext): void {
  const response = { 200: reloadedSchema, 422: problemSchema, 503: problemSchema };
  app.post(
    '/v1/reload',
    {
      schema: {
        operationId: 'reload',
        summary: 'Apply the configuration file once more',
        tags: ['daemon'],
        response,
      },
    },
    async () => {
      const { error, changes, version, durationMs, restartNeeded, warnings } =
        await context.reloader.reload('api');
      if (error !== undefined || changes === undefined) throw error;
      const { identities } = changes;
      return {
        plan: version,
        duration_ms: durationMs,
        inbounds: changes.inbounds,
        outbounds: changes.outbounds,
        services: {
          added: identities.servicesAdded,
          changed: identities.servicesChanged,
          removed: identities.servicesRemoved,
        },
        users: {
          added: identities.usersAdded,
          changed: identities.usersChanged,
          removed: identities.usersRemoved,
        },
        server_names: { added: identities.serverNamesAdded, removed: identities.serverNamesRemoved },
        reconciled: shownReconciled(changes.reconciled),
        restart_needed: restartNeeded,
        warnings: warnings.map((warning) => `${warning.path}: ${warning.message}`),
      };
    },
  );
}
