// `sluice rules` and what stands below it: here is what there is to type. Each command's own file is loaded when it is called.

import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import type { WithDaemon } from './governance-commands.ts';
import type { ConnectionOptions } from './rule-connection.ts';
import { watchOption } from './watch.ts';

type Exit = (code: number) => void;
/** Adds a command below `rules`. */
type Sub = (usage: string, description: string) => Command;

const FORMATS = ['source', 'binary', 'domains', 'networks'];
const WRITTEN_FORMATS = ['source', 'domains', 'networks'];

export function addRules(program: Command, withDaemon: WithDaemon, exit: Exit): void {
  const rules = program.command('rules').description('list, change, explain and test rules');
  const sub: Sub = (usage, description) => rules.command(usage).description(description);
  addListing(rules, withDaemon, exit);
  addChanges((usage, description) => withChange(withDaemon(sub(usage, description))), exit);
  addSets((usage, description) => withDaemon(sub(usage, description)), exit);
  addExplanations(sub, withDaemon, exit);
}

function addListing(rules: Command, withDaemon: WithDaemon, exit: Exit): void {
  withDaemon(rules.command('list', { isDefault: true }))
    .description('list rules in the order of their evaluation')
    .addOption(new Option('--owner <owner>', 'of this owner only').choices(['file', 'api']))
    .option('--names', 'ids only, one a line')
    .addOption(watchOption())
    .action(async (options) => {
      const { listRulesCommand } = await import('./rules.ts');
      exit(await listRulesCommand(options));
    });
  withDaemon(rules.command('show').description('show one rule as it was written'))
    .argument('<rule>', 'id')
    .action(async (id: string, options) => {
      const { showRuleCommand } = await import('./rules.ts');
      exit(await showRuleCommand(id, options));
    });
  withDaemon(rules.command('snapshots').description('list snapshots of rules, and the state of each'))
    .addOption(watchOption())
    .action(async (options) => {
      const { listSnapshotsCommand } = await import('./rules.ts');
      exit(await listSnapshotsCommand(options));
    });
}

function addChanges(sub: Sub, exit: Exit): void {
  sub('put', 'make the rules of the API exactly these')
    .argument('<file>', 'a list of rules, or a mapping with "rules", YAML or JSON; - for standard input')
    .action(async (fileName: string, options) => {
      const { putRulesCommand } = await import('./rules-change.ts');
      exit(await putRulesCommand(fileName, options));
    });
  sub('patch', 'change rules of the API by their ids')
    .argument('<file>', 'rules by id, null for those that go; or a list of {id, rule, before}')
    .action(async (fileName: string, options) => {
      const { patchRulesCommand } = await import('./rules-change.ts');
      exit(await patchRulesCommand(fileName, options));
    });
  sub('delete', 'delete rules of the API')
    .addArgument(new Argument('<rule...>', 'ids'))
    .action(async (ids: string[], options) => {
      const { deleteRulesCommand } = await import('./rules-change.ts');
      exit(await deleteRulesCommand(ids, options));
    });
  sub('rollback', 'put the rules of an earlier snapshot in force again')
    .addArgument(new Argument('<snapshot>', 'its id').argParser(parseWholeNumber(2 ** 31 - 1)))
    .action(async (snapshot: number, options) => {
      const { rollBackCommand } = await import('./rules-change.ts');
      exit(await rollBackCommand(snapshot, options));
    });
}

function addSets(sub: Sub, exit: Exit): void {
  sub('sets', 'list rule sets, and how fresh they are')
    .addOption(watchOption())
    .action(async (options) => {
      const { listRuleSetsCommand } = await import('./rules.ts');
      exit(await listRuleSetsCommand(options));
    });
  sub('refresh', 'read or fetch a rule set now')
    .argument('<tag>', 'of the rule set')
    .action(async (tag: string, options) => {
      const { refreshCommand } = await import('./rules-change.ts');
      exit(await refreshCommand(tag, options));
    });
}

function addExplanations(sub: Sub, withDaemon: WithDaemon, exit: Exit): void {
  withConnection(
    withDaemon(sub('explain', 'which rule in force would decide about a connection, and why')),
  ).action(async (options) => {
    const { explainCommand } = await import('./rules-explain.ts');
    exit(await explainCommand(options));
  });
  withConnection(sub('test', 'judge a connection by a rule set or a configuration, without a daemon'))
    .argument('[file]', 'a rule set; - for standard input')
    .option('-c, --config <file>', 'the rules of this configuration instead')
    .addOption(new Option('--from <format>', 'of the rule set; default: guessed').choices(FORMATS))
    .option('--json', 'print JSON')
    .action(async (fileName: string | undefined, options: { config?: string }, command: Command) => {
      if ((fileName === undefined) === (options.config === undefined)) {
        command.error('error: name either a rule set, or a configuration with -c');
      }
      const { testCommand } = await import('./rules-test.ts');
      exit(await testCommand(fileName, options as Parameters<typeof testCommand>[1]));
    });
  sub('convert', 'write a rule set in another format, without a daemon')
    .argument('<file>', 'a rule set; - for standard input')
    .addOption(new Option('--from <format>', 'of the file; default: guessed').choices(FORMATS))
    .addOption(
      new Option('--to <format>', 'source: JSON of sing-box; domains, networks: one a line')
        .choices(WRITTEN_FORMATS)
        .default('source'),
    )
    .option('-o, --output <file>', 'where to; default: standard output')
    .action(async (fileName: string, options) => {
      const { convertCommand } = await import('./rules-convert.ts');
      exit(convertCommand(fileName, options));
    });
}

function withChange(command: Command): Command {
  return command
    .addOption(
      new Option('--reconcile <whom>', 'who is judged again and may end (default: reject)').choices([
        'none',
        'reject',
        'all',
      ]),
    )
    .option('--rate <rate>', 'spread the ends over time, such as 100/s')
    .option('--dry-run', 'only compile, and count who would end')
    .option('--if-match <revision>', 'only if this is still the revision')
    .option('--no-wait', 'do not follow a change that takes long');
}

function withConnection(command: Command): Command {
  return command
    .requiredOption('--target <name>', 'name or address that the client wants')
    .addOption(
      new Option('--port <number>', 'of the target').default(443).argParser(parseWholeNumber(65_535)),
    )
    .option('--address <address...>', 'what the name resolves to')
    .option('--inbound <tag>', 'through this inbound')
    .option('--service <service>', 'of this service')
    .option('--user <name>', 'admitted by this user name')
    .addOption(new Option('--network <network>', 'default: tcp').choices(['tcp', 'udp']))
    .option('--protocol <protocol>', 'as sniffed: tls, http, quic, ssh, dns')
    .option('--source <address>', 'from this address')
    .addOption(new Option('--source-port <number>', 'and port').argParser(parseWholeNumber(65_535)))
    .option('--process-name <name>', 'program of a local client')
    .option('--process-path <program>', 'its path')
    .addOption(new Option('--user-id <number>', 'its user').argParser(parseWholeNumber(2 ** 32 - 1)))
    .option('--device <state>', 'known, new, on_grace, denied')
    .option('--time <moment>', 'local, such as 2026-01-31T08:30; default: now')
    .addOption(
      new Option(
        '--judgement <url=yes>',
        'what an external address answers: yes or no; may be repeated',
      ).argParser(collectJudgement),
    );
}

function collectJudgement(
  text: string,
  before: ConnectionOptions['judgement'],
): ConnectionOptions['judgement'] {
  const parts = /^(https?:.+)=(yes|no)$/.exec(text);
  if (parts === null)
    throw new InvalidArgumentError('expected an address and what it answers: http://...=yes');
  return { ...before, [parts[1] as string]: parts[2] === 'yes' };
}

function parseWholeNumber(maximum: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d{1,10}$/.test(text) || number > maximum) {
      throw new InvalidArgumentError(`expected a number from 0 to ${maximum}`);
    }
    return number;
  };
}
