// The admin API: one fastify application behind up to two listeners.
//
//   Unix socket (mode 0600)       whoever can open it may do everything
//   TCP, if configured            the bearer token; on loopback /metrics, /healthz and /readyz without it
//
// A request that reads or changes anything else never gets past the first hook without the token. Control thread.

import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import swagger from '@fastify/swagger';
import { fastify } from 'fastify';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Admin } from '../config/configuration.ts';
import type { OwnEndpoint } from '../control/edge.ts';
import { errnoText, SluiceError } from '../control/errors.ts';
import type { Log } from '../control/log.ts';
import type { Sys } from '../sys/sys.ts';
import { listenUnix } from '../sys/unix-socket.ts';
import type { UnixListener } from '../sys/unix-socket.ts';
import { connectionRoutes } from './connections.ts';
import type { ApiContext } from './context.ts';
import { evictionRoutes } from './evictions.ts';
import { healthRoutes } from './health.ts';
import { createMethods } from './methods.ts';
import { metricsRoute } from './metrics.ts';
import { completeOpenApi, type OpenApiDocument, openApiHead } from './openapi.ts';
import { isExpected, PROBLEM_TYPE, problem, problemOf } from './problem.ts';
import { reloadRoute } from './reload.ts';
import { ruleExplainRoute } from './rule-explain.ts';
import { ruleSetRoutes } from './rule-sets.ts';
import { ruleSnapshotRoutes } from './rule-snapshots.ts';
import { ruleListRoute } from './rule-list.ts';
import { ruleRoutes } from './rules.ts';
import { serviceRoutes } from './services.ts';
import { statusRoute } from './status.ts';
import { testFaultRoutes } from './test-faults.ts';
import { carriesToken, loadToken } from './token.ts';
import { createValidation } from './validation.ts';

const SOCKET_MODE = 0o600;
const BACKLOG = 64;
/** Of each listener; the descriptor budget keeps room for them. */
const CONNECTIONS_MAX = 48;
const BODY_BYTES_MAX = 1024 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 5_000;
/** A name of 128 characters, each of which may be three bytes and so nine characters of a path. */
const PARAMETER_LENGTH_MAX = 128 * 9;
const WITHOUT_TOKEN = new Set(['/metrics', '/healthz', '/readyz']);

export interface ApiServer {
  /** Of the TCP listener, with the port in force; undefined where there is none. */
  readonly address: string | undefined;
  /** The same, as no client may choose it for a target. */
  readonly endpoint: OwnEndpoint | undefined;
  close(): Promise<void>;
}

/** @throws SluiceError token_unusable or admin_listen_failed; nothing is open then */
export async function startApi(sys: Sys, admin: Admin, context: ApiContext, log: Log): Promise<ApiServer> {
  const token = admin.listen === undefined ? undefined : await loadToken(admin.tokenFile);
  const trusted = new WeakSet<Socket>();
  const app = await buildApi(context, log, (socket, path, authorization) => {
    if (trusted.has(socket)) return true;
    if (WITHOUT_TOKEN.has(path) && isLoopback(socket.remoteAddress)) return true;
    return token !== undefined && carriesToken(authorization, token);
  });

  const unix = listenUnix(sys, admin.socketPath, SOCKET_MODE, BACKLOG);
  if (typeof unix === 'number') {
    const why = errnoText(unix);
    const message = `the admin API cannot listen on unix:${admin.socketPath}: ${why}`;
    throw new SluiceError('admin_listen_failed', message, { address: `unix:${admin.socketPath}` });
  }
  const unixServer = makeServer(app);
  unixServer.on('connection', (socket) => trusted.add(socket));
  await listening(unixServer, { fd: unix.fd });
  const servers = [unixServer];
  let address: string | undefined;
  let endpoint: OwnEndpoint | undefined;
  if (admin.listen !== undefined) {
    const { text, port } = admin.listen;
    const tcpServer = makeServer(app);
    try {
      const host = text.slice(0, text.lastIndexOf(':')).replace(/^\[|\]$/g, '');
      await listening(tcpServer, { host, port, backlog: BACKLOG });
    } catch (cause) {
      await closeServers(sys, servers, unix);
      const message = `the admin API cannot listen on ${text}: ${(cause as Error).message}`;
      throw new SluiceError('admin_listen_failed', message, { address: text }, cause);
    }
    servers.push(tcpServer);
    const bound = tcpServer.address();
    if (bound !== null && typeof bound === 'object') {
      address = text.replace(/:\d+$/, `:${bound.port}`);
      endpoint = { words: admin.listen.words, port: bound.port };
    }
  }
  return {
    address,
    endpoint,
    async close() {
      await closeServers(sys, servers, unix);
      await app.close();
    },
  };
}

/** Whether a request may pass. */
type Admission = (socket: Socket, path: string, authorization: string | undefined) => boolean;

/** The application without a listener of its own. */
export async function buildApi(context: ApiContext, log: Log, admits: Admission): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    logger: false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    // A path that the router cannot read gets neither to hooks nor to the error handler.
    frameworkErrors: (error, _request, reply: FastifyReply) => {
      const answer = problemOf(error);
      reply.code(answer.status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(answer);
    },
  });
  // Its own answer to a body that nobody here can read: 415.
  app.removeContentTypeParser('text/plain');
  const methods = createMethods();
  app.addHook('onRoute', ({ method, url }) => methods.add(method, url));
  app.addHook('onRequest', async (request, reply) => {
    const path = request.url.split('?', 1)[0] as string;
    if (admits(request.raw.socket, path, request.headers.authorization)) return;
    reply.header('www-authenticate', 'Bearer').code(401).type(PROBLEM_TYPE);
    return reply.send(problem(401, 'unauthorized', 'this needs the token of admin.token_file'));
  });
  app.setErrorHandler((error, request, reply) => {
    const answer = problemOf(error);
    const { url } = request;
    if (!isExpected(answer)) {
      log.error({ event: 'api_error', err: error, url }, 'API request failed');
    } else if (answer.status >= 500) {
      const { code, detail } = answer;
      log.warn({ event: 'api_refused', code, detail, url }, 'API request refused for now');
    }
    reply.code(answer.status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(answer);
  });
  app.setNotFoundHandler((request, reply) => {
    const allowed = methods.of(request.url);
    if (allowed.length > 0) {
      const list = allowed.join(', ');
      const detail = `there is no ${request.method} ${request.url}, but ${list}`;
      const refused = problem(405, 'method_not_allowed', detail, { allowed });
      return reply.header('allow', list).code(405).type(PROBLEM_TYPE).send(refused);
    }
    const answer = problem(404, 'not_found', `there is no ${request.method} ${request.url}`);
    return reply.code(404).type(PROBLEM_TYPE).send(answer);
  });
  app.setValidatorCompiler(createValidation());
  await app.register(swagger, {
    openapi: openApiHead(context.version),
    transformObject: (document) => completeOpenApi(document as { openapiObject: OpenApiDocument }),
  });
  await app.register(async (scope) => {
    connectionRoutes(scope, context);
    evictionRoutes(scope, context);
    serviceRoutes(scope, context);
    ruleListRoute(scope, context);
    ruleRoutes(scope, context);
    ruleExplainRoute(scope, context);
    ruleSnapshotRoutes(scope, context);
    ruleSetRoutes(scope, context);
    statusRoute(scope, context);
    reloadRoute(scope, context);
    healthRoutes(scope, context);
    metricsRoute(scope, context);
    testFaultRoutes(scope, context);
    scope.get('/v1/openapi.json', { schema: { hide: true } }, () => app.swagger());
  });
  await app.ready();
  return app;
}

function makeServer(app: FastifyInstance): Server {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    app.routing(request, response);
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

function listening(server: Server, where: { fd: number } | { host: string; port: number; backlog: number }) {
  return new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** The path goes while the socket is still ours; node closes the descriptor. */
async function closeServers(sys: Sys, servers: readonly Server[], unix: UnixListener): Promise<void> {
  if (sys.socketInode(unix.path) === unix.inode) sys.unlink(unix.path);
  await Promise.all(
    servers.map((server) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    }),
  );
}

function isLoopback(address: string | undefined): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address ?? '');
}
