// Evictions: ends exactly the connections that a filter names, at the price of those connections. Control thread.

export interface EvictionRequest {
  /** Names; undefined: any. */
  readonly service?: string;
  readonly user?: string;
  readonly inbound?: string;
  readonly outbound?: string;
  readonly rule?: string;
  /** Address or prefix. */
  readonly source?: string;
  /** Needed to evict without any filter. */
  readonly all?: boolean;
  readonly dryRun?: boolean;
  /** Close with FIN instead of a reset. */
  readonly orderly?: boolean;
  readonly ratePerSecond?: number;
  readonly connection?: { readonly worker: number; readonly slot: number; readonly generation: number };
}

/** How far an eviction has come. */
export interface Eviction {
  readonly id: number;
  readonly request: EvictionRequest;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly state: 'running' | 'done' | 'cancelled' | 'failed';
  readonly matched: number;
  readonly closed: number;
  readonly durationUs: number;
  readonly workerUs: number;
  /** Milliseconds since 1970. */
  readonly lastGoneAtMs: number | undefined;
  readonly byService: Readonly<Record<string, number>>;
  readonly byInbound: Readonly<Record<string, number>>;
}

export interface Evictions {
  /** @throws SluiceError eviction_invalid: nothing has been half-applied */
  start(request: EvictionRequest): Eviction;
  get(id: number): Eviction | undefined;
  /** Resolves when it is over, or after `ms`, with its state then. */
  wait(id: number, ms: number): Promise<Eviction>;
  cancel(id: number): Eviction | undefined;
  /** The last 1,000. */
  list(): readonly Eviction[];
  statistics(): {
    readonly started: number;
    readonly running: number;
    readonly closed: number;
    readonly lastReconcile?: { readonly ended: number; readonly durationUs: number };
  };
}
