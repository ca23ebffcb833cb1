// What goes between the control thread and the compiler's thread: jobs with large buffers, answered in order. The compiler
// owns the arena of rules: it places blocks and snapshots there and frees them when it is told that nobody reads them.

/** What a rule set's bytes are. */
export type RuleSetFormat = 'source' | 'binary' | 'domains' | 'networks' | 'mmdb';

/** A complaint with the path in what was written; positions are found by whoever has the text. As config/mistakes.ts has it. */
export interface RuleComplaint {
  readonly path: readonly (string | number)[];
  readonly found: string;
  readonly expected: string;
  readonly nearest?: string | undefined;
  readonly message?: string;
  readonly atKey?: boolean;
  /** Whose rules the path leads into: it begins with `rules` and the place among theirs. Absent: of a rule-set file. */
  readonly owner?: 'file' | 'api';
  /** Of a rule-set file: its name, and the place in it, from 1. */
  readonly fileName?: string;
  readonly line?: number;
  readonly column?: number;
}

/** A rule set as the compiler is given it. `source` is absent where it has compiled this version already. */
export interface RuleSetSource {
  readonly tag: string;
  /** Hash of the content and of all that its compilation depends on. */
  readonly version: string;
  readonly source?: {
    readonly fileName: string;
    readonly format: RuleSetFormat;
    readonly bytes: Uint8Array;
  };
}

/** What tags stand for. */
export interface BoundObject {
  readonly tag: string;
  readonly index: number;
  readonly generation: number;
}

export interface CompileJob {
  readonly kind: 'compile';
  readonly job: number;
  /** Of the snapshot that it makes. */
  readonly snapshotId: number;
  /** As written, those of the API before those of the file; evaluated in this order. */
  readonly apiRules: readonly unknown[];
  readonly fileRules: readonly unknown[];
  readonly ruleSets: readonly RuleSetSource[];
  /** mmdb files that `geoip` and `asn` speak of. */
  readonly geo: readonly RuleSetSource[];
  readonly outbounds: readonly BoundObject[];
  /** Tags that rules may name. */
  readonly inbounds: readonly string[];
  /** Rules whose keys nobody uses any more: (id) free them first. */
  readonly freedRules: readonly string[];
}

/** A rule of a compiled snapshot, as the control thread needs to know it. */
export interface CompiledRule {
  readonly id: string;
  readonly owner: 'file' | 'api';
  /** `rules[3]`. */
  readonly path: string;
  /** List key. Stays while a rule of that id lives, or has connections. */
  readonly key: number;
  /** Hash of all that it says: whether it changed. */
  readonly version: string;
  readonly action: string;
}

export interface Compiled {
  readonly kind: 'compiled';
  readonly job: number;
  readonly snapshotId: number;
  /** Where the snapshot begins in the arena. */
  readonly at: number;
  readonly rules: readonly CompiledRule[];
  /** Judgements, by number: what is asked. */
  readonly externals: readonly { readonly url: string; readonly timeoutMs: number }[];
  /** NEED_* bits over all rules. */
  readonly needs: number;
  readonly warnings: readonly RuleComplaint[];
  /** Words of the snapshot and its main block, and of the sets' blocks with the items in each. */
  readonly words: number;
  readonly sets: readonly {
    readonly tag: string;
    readonly version: string;
    readonly words: number;
    readonly domains: number;
    readonly networks: number;
    readonly rules: number;
  }[];
  /** Of the arena: the snapshot's own first, then those of its sets. */
  readonly blocks: readonly ArenaBlock[];
  /** In use, of the whole arena. */
  readonly wordsUsed: number;
  readonly durationUs: number;
  readonly cpuUs: number;
}

export interface ArenaBlock {
  readonly at: number;
  readonly words: number;
}

/** What the compiler has not compiled yet, or no more: the same job is to be sent again with these sources. */
export interface SourcesMissing {
  readonly kind: 'sources_missing';
  readonly job: number;
  /** Of rule sets and geo files. */
  readonly versions: readonly string[];
}

export interface CompileFailed {
  readonly kind: 'compile_failed';
  readonly job: number;
  readonly mistakes: readonly RuleComplaint[];
  readonly warnings: readonly RuleComplaint[];
}

/** What a connection would be, for an explanation. Absent: not known. */
export interface ExplainedConnection {
  readonly inbound?: string;
  readonly service?: string;
  readonly user?: string;
  readonly network?: 'tcp' | 'udp';
  readonly protocol?: string;
  readonly source?: string;
  readonly source_port?: number;
  /** A name, in which case `addresses` may say what it resolves to, or an address. */
  readonly target: string;
  readonly port: number;
  readonly addresses?: readonly string[];
  readonly process_name?: string;
  readonly process_path?: string;
  readonly user_id?: number;
  readonly device?: string;
  /** ISO 8601, local; default: now. */
  readonly time?: string;
  /** By address: the judgement. */
  readonly externals?: Readonly<Record<string, boolean>>;
}

/** One rule that was looked at. */
export interface ExplainedRule {
  readonly id: string;
  readonly path: string;
  readonly result: 'match' | 'no_match' | 'needs';
  /** Items that were looked at: `domain_suffix`, what of it matched, in the order of evaluation. */
  readonly items: readonly {
    readonly item: string;
    readonly result: 'match' | 'no_match' | 'needs';
    readonly matched?: string;
  }[];
}

export interface Explanation {
  readonly snapshot: number;
  /** null: none, `final` decides. */
  readonly rule: string | null;
  readonly action: string;
  readonly outbound: string | null;
  /** Metadata that was asked for and not given. */
  readonly needs: readonly string[];
  readonly rules: readonly ExplainedRule[];
}

export type CompilerRequest =
  | CompileJob
  /** Frees a snapshot and its main block; sets that no snapshot refers to any more go with it. */
  | { readonly kind: 'release'; readonly snapshotId: number }
  | {
      readonly kind: 'explain';
      readonly job: number;
      readonly snapshotId: number;
      readonly connection: ExplainedConnection;
    }
  | { readonly kind: 'stop' };

export type CompilerAnswer =
  | Compiled
  | CompileFailed
  | SourcesMissing
  /** While large sets compile. `done` and `all` are bytes of sources. */
  | {
      readonly kind: 'compiling';
      readonly job: number;
      readonly what: string;
      readonly done: number;
      readonly all: number;
    }
  | { readonly kind: 'released'; readonly snapshotId: number; readonly wordsUsed: number }
  | { readonly kind: 'explained'; readonly job: number; readonly explanation: Explanation }
  | { readonly kind: 'explain_failed'; readonly job: number; readonly mistakes: readonly RuleComplaint[] };

/** What the compiler's thread finds in `workerData`. */
export interface CompilerStart {
  readonly arena: SharedArrayBuffer;
  readonly hashKey: Int32Array;
  readonly nice: number;
  /** Snapshots of the thread before that have not been released: their blocks stay where they are. */
  readonly kept: readonly { readonly snapshotId: number; readonly blocks: readonly ArenaBlock[] }[];
  /** List keys that rules have. */
  readonly keys: readonly (readonly [id: string, key: number])[];
}
