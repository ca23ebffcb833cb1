// The mailbox of a worker: rare messages to and from the control thread. Behind it lies a MessagePort that is read
// synchronously, because a reactor thread never returns to an event loop; the simulated network uses two queues.
// Owner worker only. Posting allocates: what happens for each connection has no place here.

import { receiveMessageOnPort } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

export interface Mailbox<In, Out> {
  /** The next message, or undefined where there is none. */
  receive(): In | undefined;
  post(message: Out): void;
}

/** A mailbox over one end of a MessageChannel. The sender wakes the worker by its eventfd. */
export function portMailbox<In, Out>(port: MessagePort): Mailbox<In, Out> {
  return {
    receive: () => receiveMessageOnPort(port)?.message as In | undefined,
    post: (message) => port.postMessage(message),
  };
}
