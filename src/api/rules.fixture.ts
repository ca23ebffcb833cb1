// Rules that only note what is asked of them: two rules, one rule set, two snapshots. `outcome` is what comes of the next
// change: an answer, an error, or nothing for as long as the test wants.

import type {
  InstallationProgress,
  RuleChangeOptions,
  RuleInForce,
  RulesChanged,
  RulesControl,
  RuleSetStatus,
  SnapshotStatus,
} from '../control/rules-control.ts';
import type { ExplainedConnection } from '../layout/compiler-messages.ts';

export const REVISION = 3;

export const CHANGED: RulesChanged = {
  installation: 1,
  snapshot: 8,
  revision: REVISION + 1,
  isDryRun: false,
  rules: 2,
  added: ['new'],
  changed: [],
  removed: [],
  moved: ['corp'],
  rollbackOf: null,
  compile: {
    durationUs: 1_500.4,
    cpuUs: 1_200,
    words: 900,
    sets: [{ tag: 'ads', words: 40, domains: 3, networks: 0, rules: 1 }],
  },
  effectiveUs: 2_000.6,
  rejudged: {
    matched: 5,
    ended: 4,
    undecided: 1,
    durationUs: 300,
    workerUs: 20,
    lastGoneUs: 4_000,
    byService: { alice: 4 },
    byInbound: { socks: 4 },
    sample: [],
    isSuperseded: false,
  },
  warnings: [{ path: 'rules[1]', found: 'a rule', expected: 'one that can match', message: 'never matches' }],
};

const RULES: readonly RuleInForce[] = [
  {
    id: 'corp',
    owner: 'api',
    position: 0,
    key: 1,
    connections: 12,
    action: 'route',
    written: { id: 'corp', domain_suffix: 'corp.example', external: 'http://judge.example/' },
  },
  {
    id: 'ads',
    owner: 'file',
    position: 1,
    key: 2,
    connections: 0,
    action: 'reject',
    written: { rule_set: 'ads', action: 'reject' },
  },
];

const SET: RuleSetStatus = {
  tag: 'ads',
  from: 'https://lists.example/ads.srs',
  kind: 'remote',
  format: 'binary',
  state: 'stale',
  version: 'v1',
  etag: '"abc"',
  lastOkAtMs: 1_000,
  lastTryAtMs: 2_000,
  failures: 7,
  lastError: 'answered 503',
  nextTryAtMs: 3_000,
  bytes: 100,
  domains: 3,
  networks: 0,
  rules: 1,
  words: 40,
};

const SNAPSHOT: SnapshotStatus = {
  id: 7,
  state: 'in_force',
  cause: 'reload',
  rollbackOf: null,
  canRollBack: true,
  rules: 2,
  words: 900,
  sets: ['ads'],
  pins: 1,
  compiledAtMs: 1_000,
  publishedAtMs: 1_001,
  retiredAtMs: undefined,
  drainedAtMs: undefined,
  releasedAtMs: undefined,
  compileUs: 1_500.4,
};

export function noteRules() {
  const asked: unknown[][] = [];
  const outcome: { error?: Error; pending?: Promise<RulesChanged>; state?: InstallationProgress } = {};
  const install = (...words: unknown[]) => {
    asked.push(words);
    const { dryRun } = words.at(-1) as RuleChangeOptions;
    const { error, pending } = outcome;
    const answer = { ...CHANGED, isDryRun: dryRun === true };
    const finished = pending ?? (error === undefined ? Promise.resolve(answer) : Promise.reject(error));
    return { id: 1, finished };
  };
  const progress = (): InstallationProgress =>
    outcome.state ?? {
      id: 1,
      cause: 'api',
      state: 'compiling',
      startedAtMs: 1_000,
      compiling: { what: 'ads', done: 10, all: 100 },
      snapshot: undefined,
      result: undefined,
      error: undefined,
    };
  const rules: RulesControl = {
    current({ id, owner, from = 0, limit = Number.POSITIVE_INFINITY } = {}) {
      const wanted = RULES.filter(
        (rule) =>
          rule.position >= from &&
          (id === undefined || rule.id === id) &&
          (owner === undefined || rule.owner === owner),
      );
      return {
        revision: REVISION,
        snapshot: 7,
        rules: wanted.slice(0, limit),
        next: wanted[limit]?.position ?? null,
        ruleSets: [SET],
        final: 'direct',
        finalConnections: 5,
      };
    },
    revision: REVISION,
    replace: (written, options) => install('replace', written, options),
    patch: (changes, options) => install('patch', changes, options),
    rollback: (snapshot, options) => install('rollback', snapshot, options),
    snapshots: () => [
      SNAPSHOT,
      { ...SNAPSHOT, id: 6, state: 'released', canRollBack: false, releasedAtMs: 2_000 },
    ],
    async explain(connection: ExplainedConnection) {
      asked.push(['explain', connection]);
      if (outcome.error !== undefined) throw outcome.error;
      return {
        snapshot: 7,
        rule: 'corp',
        action: 'route',
        outbound: 'direct',
        needs: ['process_name'],
        rules: [
          {
            id: 'corp',
            path: 'rules[0]',
            result: 'match',
            items: [{ item: 'domain_suffix', result: 'match', matched: 'corp.example' }],
          },
        ],
      };
    },
    ruleSets: () => [SET],
    refresh(tag) {
      asked.push(['refresh', tag]);
      if (tag !== 'ads') return undefined;
      return outcome.error === undefined ? Promise.resolve(SET) : Promise.reject(outcome.error);
    },
    progress: () => [progress()],
    installation: (id) => (id === 1 ? progress() : undefined),
    statistics: () => ({
      snapshot: 7,
      rules: 2,
      swaps: 4,
      compiles: 6,
      compilesFailed: 1,
      compileUsLast: 1_500,
      compileUsTotal: 9_000,
      snapshotsByState: {
        compiling: 0,
        compiled: 0,
        in_force: 1,
        retired: 2,
        drained: 0,
        released: 1,
        failed: 1,
      },
      pins: 1,
      arenaWordsUsed: 940,
      arenaWords: 65_536,
      compilerDeaths: 0,
      rejudgedEnded: 4,
      undecided: 1,
    }),
  };
  return { rules, asked, outcome };
}
