// A subject: one program that relays TCP from a port to the origin, as its own process on the proxy's core, configured
// as its users would for this job (one thread, long timeouts, no logs).

import type { ReferenceSize } from '../rules/reference-set.ts';

export interface Subject {
  readonly name: string;
  /** Why it can't run here, or undefined where it can. */
  missing(): string | undefined;
  version(): string;
  start(setting: Setting): Promise<Running>;
}

export interface Setting {
  /** The origin's port on 127.0.0.1. */
  readonly target: number;
  readonly core: number | undefined;
  /** Its own, empty; removed afterwards. */
  readonly directory: string;
  /** For a daemon that has many services: how many. */
  readonly services: number;
  /** For one that has the rules of the reference set: how large that is. */
  readonly reference: ReferenceSize;
}

export interface Running {
  /** Where clients connect, on 127.0.0.1. */
  readonly port: number;
  /** All its processes; empty for the direct connection. */
  readonly pids: readonly number[];
  output(): string;
  stop(): Promise<void>;
  /** Of a daemon that is governed while it is measured. */
  readonly governed?: Governed;
  /** Of a daemon whose configuration changes: the file. */
  readonly file?: string;
  /** Of a process of the benchmark's own: has it carry out an order. */
  ask?(order: object, timeoutMs: number): Promise<unknown>;
}

export interface Governed {
  /** The Unix socket of its API. */
  readonly socketPath: string;
  /** A second inbound, of another service, whose connections come and go. */
  readonly churnPort: number;
  /** From the start of its process until it was ready. */
  readonly startMs: number;
}
