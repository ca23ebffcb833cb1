// One request to the daemon, over its Unix socket. The CLI does nothing that the API cannot do.

import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { resolve } from 'node:path';
import { EXIT_REFUSED, EXIT_UNREACHABLE } from './exit-codes.ts';

const DEFAULT_SOCKET = './sluice.sock';
/** A reload waits for its workers, 10 s for each of two plans and as long for connections that end; a little more than that. */
const TIMEOUT_MS = 45_000;

/** How the daemon is found: the first of these that is set, then SLUICE_SOCKET, then ./sluice.sock. */
export interface DaemonOptions {
  readonly socket?: string;
  readonly config?: string;
}

/** Ends a command with this exit code after printing `message` to standard error. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface Answer {
  readonly status: number;
  /** undefined of an answer without content. */
  readonly body: unknown;
}

export interface Question {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** @throws CommandFailure where the daemon cannot be reached or does not speak our language */
export async function ask(question: Question, options: DaemonOptions): Promise<Answer> {
  const socketPath = await findSocket(options);
  const { status, text } = await exchange(question, socketPath);
  if (text === '') return { status, body: undefined };
  try {
    return { status, body: JSON.parse(text) as unknown };
  } catch {
    throw new CommandFailure(EXIT_UNREACHABLE, `what answers at ${socketPath} is not a Sluice daemon`);
  }
}

async function findSocket(options: DaemonOptions): Promise<string> {
  if (options.socket !== undefined) return resolve(options.socket);
  if (options.config !== undefined) return socketOf(options.config);
  return resolve(process.env['SLUICE_SOCKET'] ?? DEFAULT_SOCKET);
}

async function socketOf(fileName: string): Promise<string> {
  let text: string;
  try {
    text = readFileSync(fileName, 'utf8');
  } catch (error) {
    throw new CommandFailure(EXIT_REFUSED, `${fileName} cannot be read: ${(error as Error).message}`);
  }
  // Only who needs it waits for it: it takes longer to load than all the rest.
  const { checkConfiguration } = await import('../config/check.ts');
  const { configuration, mistakes } = checkConfiguration(text, fileName);
  if (configuration === undefined) {
    const { formatMistakes } = await import('../config/mistakes.ts');
    throw new CommandFailure(EXIT_REFUSED, formatMistakes(mistakes, fileName).trimEnd());
  }
  return configuration.admin.socketPath;
}

function exchange({ method, path, body, headers }: Question, socketPath: string) {
  const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const contentHeaders =
    content === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(content.length) };
  return new Promise<{ status: number; text: string }>((done, failed) => {
    const fail = (error: NodeJS.ErrnoException) => {
      const why = UNREACHABLE[error.code ?? ''] ?? error.message;
      const hint = 'name its socket with --socket, or its configuration with -c';
      failed(new CommandFailure(EXIT_UNREACHABLE, `no daemon answers at ${socketPath}: ${why}; ${hint}`));
    };
    const outgoing = request(
      {
        socketPath,
        method,
        path,
        host: 'sluice',
        timeout: TIMEOUT_MS,
        headers: { ...contentHeaders, ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', fail);
        response.on('end', () => {
          done({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
        });
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')));
    outgoing.on('error', fail);
    outgoing.end(content);
  });
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nobody listens there any more',
  EACCES: 'this user may not open it',
};
