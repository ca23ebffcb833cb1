// A connection that never rests: it sends the pattern piece by piece to an echo, and checks what comes back, so that any
// byte that a change of the daemon lost, doubled or moved would be noticed, and so would an end.

import { MEGABYTE, patternBytes } from './origin.ts';
import { type Client, connectTo } from './client.ts';
import { until } from './until.ts';

const PIECE_BYTES = 16 * 1024;
const pieces = patternBytes(MEGABYTE);

export interface Flow {
  /** Bytes that have come back right. */
  readonly bytes: number;
  /** Why it ended; undefined while it flows, and after `stop`. */
  readonly failure: string | undefined;
  /** Waits until more has come back: it flows. Throws where it has failed. */
  flows(): Promise<void>;
  /** Waits until it has been cut. */
  cut(): Promise<void>;
  stop(): Promise<void>;
}

export async function startFlow(client: Client | number): Promise<Flow> {
  const { send, receive, socket } = typeof client === 'number' ? await connectTo(client) : client;
  let bytes = 0;
  let failure: string | undefined;
  let stopped = false;

  async function run(): Promise<void> {
    while (!stopped) {
      const at = bytes % MEGABYTE;
      const piece = pieces.subarray(at, at + PIECE_BYTES);
      send(piece);
      if (!(await receive(PIECE_BYTES)).equals(piece)) throw new Error(`wrong bytes after ${bytes}`);
      bytes += PIECE_BYTES;
    }
  }

  const over = run()
    .catch((error: Error) => {
      if (!stopped) failure = error.message;
    })
    .finally(() => socket.destroy());
  return {
    get bytes() {
      return bytes;
    },
    get failure() {
      return failure;
    },
    async flows() {
      const before = bytes;
      await until('bytes flow', () => failure !== undefined || bytes >= before + 2 * PIECE_BYTES);
      if (failure !== undefined) throw new Error(failure);
    },
    cut: () => until('the flow is cut', () => failure !== undefined),
    async stop() {
      stopped = true;
      socket.destroy();
      await over;
    },
  };
}
