// Requests to a daemon's API over its Unix socket, one at a time on one connection that is kept alive.

import { Agent, request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly milliseconds: number;
}

export class ApiClient {
  private readonly socketPath: string;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** @throws where the answer is not 2xx */
  send(method: string, path: string, body: string, contentType = 'application/json'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const beganMs = performance.now();
      const headers = { 'content-type': contentType, 'content-length': Buffer.byteLength(body) };
      const sent = request(
        { socketPath: this.socketPath, agent: this.agent, method, path, headers },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (piece: string) => {
            text += piece;
          });
          response.on('end', () => {
            const status = response.statusCode ?? 0;
            const milliseconds = performance.now() - beganMs;
            if (status >= 200 && status < 300) resolve({ status, text, milliseconds });
            else reject(new Error(`${method} ${path} is answered ${status}: ${text.slice(0, 500)}`));
          });
          response.on('error', reject);
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}
