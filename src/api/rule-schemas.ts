// The shapes of what the API answers about rules. Control thread; the types are the CLI's too.

import { type Static, Type } from 'typebox';
import { problemSchema } from './problem.ts';
import { mistakeSchema } from './validation.ts';

const Count = Type.Integer({ minimum: 0 });
const Text = Type.String();
const Moment = Type.String({ format: 'date-time' });
const Ids = Type.Array(Text);

function orNull<T extends Type.TSchema>(schema: T, description?: string) {
  return Type.Union([schema, Type.Null()], description === undefined ? {} : { description });
}

const ruleSchema = Type.Object(
  {
    id: Text,
    owner: Type.String({ description: 'api, file' }),
    position: Type.Integer({ minimum: 0, description: 'in the order of evaluation, from 0' }),
    key: Type.Integer({ minimum: 0, description: 'number of its list of connections' }),
    action: Text,
    connections: Type.Integer({ minimum: 0, description: 'live ones that it decided' }),
    rule: Type.Record(Text, Type.Unknown(), { description: 'as it was written' }),
  },
  { title: 'Rule' },
);

export const ruleSetSchema = Type.Object(
  {
    tag: Text,
    from: Type.String({ description: 'file or address' }),
    kind: Type.String({ description: 'file, remote' }),
    format: Type.String({ description: 'source, binary, domains, networks, mmdb' }),
    state: Type.String({ description: 'ok; stale: an older version is in force; loading' }),
    error: orNull(Text, 'why the last attempt failed'),
    failures: Type.Integer({ minimum: 0, description: 'since the daemon started' }),
    last_ok_at: orNull(Moment, 'when it was last read, or found unchanged'),
    last_try_at: orNull(Moment),
    next_try_at: orNull(Moment),
    etag: orNull(Text),
    version: Type.String({ description: 'of the content in force' }),
    bytes: Count,
    domains: Count,
    networks: Count,
    rules: Count,
    words: Type.Integer({ minimum: 0, description: 'compiled, 4 bytes each' }),
  },
  { title: 'Rule set' },
);

export type RuleSetAnswer = Static<typeof ruleSetSchema>;

export const rulesSchema = Type.Object(
  {
    revision: Type.Integer({ minimum: 0, description: 'of the rules of the API; the ETag' }),
    snapshot: orNull(Count, 'in force; null: there have been no rules since the start'),
    rules: Type.Array(ruleSchema, { description: 'in the order of evaluation' }),
    next: orNull(Text, '`cursor` of the next page'),
    final: Text,
    final_connections: Type.Integer({ minimum: 0, description: 'live ones that no rule decided' }),
    rule_sets: Type.Array(ruleSetSchema),
  },
  { title: 'Rules' },
);

export type RulesAnswer = Static<typeof rulesSchema>;

const rejudgedSchema = Type.Object(
  {
    matched: Type.Integer({
      minimum: 0,
      description: 'whom the change concerned; of a dry run: who would end',
    }),
    ended: Count,
    undecided: Type.Integer({
      minimum: 0,
      description: 'kept: to judge them somebody would have to be asked',
    }),
    duration_us: Type.Integer({ minimum: 0, description: 'until every worker was through' }),
    worker_us: Count,
    last_gone_us: Type.Integer({
      minimum: 0,
      description: 'from the publication until the last violator was gone; 0: none',
    }),
    by_service: Type.Record(Text, Count),
    by_inbound: Type.Record(Text, Count),
    sample: Type.Array(Text, { description: 'of a dry run: ids of connections that would end' }),
    superseded: Type.Boolean({ description: 'a later change took over what was left' }),
  },
  { title: 'Connections judged again' },
);

const compileSchema = Type.Object({
  duration_us: Count,
  cpu_us: Count,
  words: Type.Integer({ minimum: 0, description: '4 bytes each' }),
  sets: Type.Array(Type.Object({ tag: Text, words: Count, domains: Count, networks: Count, rules: Count })),
});

export const rulesChangedSchema = Type.Object(
  {
    installation: Count,
    snapshot: orNull(Count, 'in force from now on; of a dry run: compiled, and dropped again'),
    revision: Count,
    dry_run: Type.Boolean(),
    rollback_of: orNull(Count),
    rules: Type.Integer({ minimum: 0, description: 'of file and API' }),
    added: Ids,
    changed: Ids,
    removed: Ids,
    moved: Ids,
    compile: orNull(compileSchema),
    effective_us: Type.Integer({ minimum: 0, description: 'until it was in force, on all workers at once' }),
    reconciled: rejudgedSchema,
    warnings: Type.Array(mistakeSchema, { description: 'what is accepted and does not do what it seems to' }),
  },
  { title: 'Rules changed' },
);

export type RulesChangedAnswer = Static<typeof rulesChangedSchema>;

export const installationSchema = Type.Object(
  {
    id: Count,
    cause: Type.String({ description: 'api, reload, rule_set, rollback, dry_run' }),
    state: Type.String({ description: 'queued, compiling, publishing, rejudging, done, failed' }),
    started_at: Moment,
    compiling: orNull(Type.Object({ what: Text, done: Count, all: Count }), 'bytes of rule sets'),
    snapshot: orNull(Count),
    result: orNull(rulesChangedSchema),
    problem: orNull(problemSchema),
  },
  { title: 'Installation of rules' },
);

export type InstallationAnswer = Static<typeof installationSchema>;

export const snapshotSchema = Type.Object(
  {
    id: Count,
    state: Type.String({
      description: 'compiling, compiled, in_force, retired, drained, released, failed',
    }),
    cause: Text,
    rollback_of: orNull(Count),
    can_roll_back: Type.Boolean({ description: 'its rules are still known' }),
    rules: Count,
    words: Count,
    sets: Type.Array(Text),
    pins: Type.Integer({ minimum: 0, description: 'connections that wait in it' }),
    compile_us: orNull(Count),
    compiled_at: orNull(Moment),
    published_at: orNull(Moment),
    retired_at: orNull(Moment),
    drained_at: orNull(Moment),
    released_at: orNull(Moment),
  },
  { title: 'Snapshot of rules' },
);

export type SnapshotAnswer = Static<typeof snapshotSchema>;
