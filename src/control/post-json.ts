// One question to an HTTP address: JSON there, JSON back, on connections that are kept. Redirects are not followed, an
// answer is read up to ANSWER_BYTES_MAX, and a kept connection that the other side had closed meanwhile is tried again
// once. The deadline is the caller's. Control thread.

import { Agent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as TlsAgent, request as httpsRequest } from 'node:https';

const ANSWER_BYTES_MAX = 65_536;
const KEEP_MS = 30_000;

/** No answer; another status than 200; not JSON, or too much of it. */
export type PostFailure = 'failed' | 'status' | 'garbage';

/** Connections to all addresses. */
export class PostAgents {
  readonly plain: Agent;
  readonly tls: TlsAgent;

  /** @param socketsMax connections to one address */
  constructor(socketsMax: number) {
    const options = { keepAlive: true, maxSockets: socketsMax, timeout: KEEP_MS };
    this.plain = new Agent(options);
    this.tls = new TlsAgent(options);
  }

  close(): void {
    this.plain.destroy();
    this.tls.destroy();
  }
}

/** Never rejects; an abort is a failure. */
export async function postJson(
  agents: PostAgents,
  url: string,
  body: string,
  signal: AbortSignal,
): Promise<PostFailure | { readonly json: unknown }> {
  const first = await post(agents, url, body, signal);
  return first === 'stale' ? unstale(await post(agents, url, body, signal)) : first;
}

function unstale<T>(answer: T | 'stale'): T | 'failed' {
  return answer === 'stale' ? 'failed' : answer;
}

function post(
  agents: PostAgents,
  url: string,
  body: string,
  signal: AbortSignal,
): Promise<PostFailure | 'stale' | { readonly json: unknown }> {
  return new Promise((settle) => {
    if (signal.aborted) {
      settle('failed');
      return;
    }
    const request = open(agents, url, body, signal);
    if (request === undefined) {
      settle('failed');
      return;
    }
    request.on('response', (response) => {
      void readAnswer(response).then(settle);
    });
    // Also for a request that was aborted. Behind the answer it changes nothing.
    request.on('error', (error: NodeJS.ErrnoException) => {
      const isStale = request.reusedSocket && error.code === 'ECONNRESET' && !signal.aborted;
      settle(isStale ? 'stale' : 'failed');
    });
    request.end(body);
  });
}

/** @returns undefined for an address that can't be asked */
function open(agents: PostAgents, url: string, body: string, signal: AbortSignal): ClientRequest | undefined {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const isTls = url.startsWith('https:');
  const options = { method: 'POST', headers, signal, agent: isTls ? agents.tls : agents.plain };
  try {
    return isTls ? httpsRequest(url, options) : httpRequest(url, options);
  } catch {
    return undefined;
  }
}

async function readAnswer(response: IncomingMessage): Promise<PostFailure | { readonly json: unknown }> {
  if (response.statusCode !== 200) {
    // A short rest leaves the connection for others; of a long one the connection is not worth it.
    response.on('error', () => {});
    if (Number(response.headers['content-length'] ?? Infinity) <= ANSWER_BYTES_MAX) response.resume();
    else response.destroy();
    return 'status';
  }
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      length += part.length;
      // Leaving the loop destroys the connection.
      if (length > ANSWER_BYTES_MAX) return 'garbage';
      parts.push(part);
    }
  } catch {
    return 'failed';
  }
  try {
    return { json: JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown };
  } catch {
    return 'garbage';
  }
}
