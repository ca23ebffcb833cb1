// The commands that govern: who is connected, who is to go, what belongs to whom. Here is what there is to type; each
// command's own file is loaded when it is called.

import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import type { EvictOptions } from './evict.ts';
import { addRules } from './rule-commands.ts';
import { watchOption } from './watch.ts';

const LIMIT_DEFAULT = 1_000;

/** Adds how the daemon is found. */
export type WithDaemon = (command: Command) => Command;
type Exit = (code: number) => void;

export function addGovernance(program: Command, withDaemon: WithDaemon, exit: Exit): void {
  addPs(program, withDaemon, exit);
  addEvict(program, withDaemon, exit);
  addServices(program, withDaemon, exit);
  addRules(program, withDaemon, exit);
}

function addPs(program: Command, withDaemon: WithDaemon, exit: Exit): void {
  withDaemon(withFilter(program.command('ps').description('list live connections')))
    .option('--worker <index>', 'of this worker only')
    .addOption(limitOption())
    .addOption(watchOption())
    .action(async (options) => {
      const { psCommand } = await import('./ps.ts');
      exit(await psCommand(options));
    });
}

function addEvict(program: Command, withDaemon: WithDaemon, exit: Exit): void {
  withDaemon(withFilter(program.command('evict')))
    .description('end the connections that match, or one by its id')
    .argument('[id]', 'id of one connection, as ps shows it')
    .option('--all', 'every connection')
    .option('--dry-run', 'only count what would end')
    .option('--fin', 'close with FIN instead of a reset')
    .option('--rate <rate>', 'spread over time, such as 100/s')
    .option('--no-wait', 'do not follow an eviction that takes long')
    .action(async (id: string | undefined, options: EvictOptions, command: Command) => {
      const { evictCommand, namesConnections } = await import('./evict.ts');
      const named = namesConnections(options);
      if (id === undefined && !named) {
        command.error('error: say whose connections are to end, or --all');
      }
      if (id !== undefined && (named || options.dryRun === true || options.rate !== undefined)) {
        command.error('error: an id names one connection; of the other options only --fin goes with it');
      }
      exit(await evictCommand(id, options));
    });
}

function addServices(program: Command, withDaemon: WithDaemon, exit: Exit): void {
  const services = program.command('services').description('list and change services');
  const sub = (usage: string, description: string) =>
    withDaemon(services.command(usage)).description(description);
  const ifMatch = () => new Option('--if-match <revision>', 'only if this is still the revision');

  withDaemon(services.command('list', { isDefault: true }))
    .description('list services')
    .addOption(new Option('--owner <owner>', 'of this owner only').choices(['file', 'api']))
    .option('--online', 'with live connections only')
    .option('--names', 'names only, one a line')
    .addOption(limitOption())
    .addOption(watchOption())
    .action(async (options) => {
      const { listServicesCommand } = await import('./services.ts');
      exit(await listServicesCommand(options));
    });
  sub('show', 'show one service in full')
    .argument('<service>', 'name')
    .action(async (name: string, options) => {
      const { showServiceCommand } = await import('./services.ts');
      exit(await showServiceCommand(name, options));
    });
  sub('put', 'create or replace a service')
    .argument('<file>', 'the service, YAML or JSON; - for standard input')
    .addOption(ifMatch())
    .action(async (fileName: string, options) => {
      const { putServiceCommand } = await import('./services-change.ts');
      exit(await putServiceCommand(fileName, options));
    });
  sub('set', 'change what a service may do')
    .argument('<service>', 'name')
    .addArgument(new Argument('<key=value...>', 'such as rate.up=20mbit, gate=null, sources=[10.0.0.0/8]'))
    .addOption(ifMatch())
    .action(async (name: string, assignments: string[], options) => {
      const { setServiceCommand } = await import('./services-change.ts');
      exit(await setServiceCommand(name, assignments, options));
    });
  for (const [word, description] of [
    ['enable', 'let the clients of a service in'],
    ['disable', 'end all connections of a service and let nobody in'],
  ] as const) {
    sub(word, description)
      .argument('<service>', 'name')
      .addOption(ifMatch())
      .action(async (name: string, options) => {
        const { setServiceCommand } = await import('./services-change.ts');
        exit(await setServiceCommand(name, [`enabled=${word === 'enable'}`], options));
      });
  }
  sub('delete', 'delete a service that the API owns')
    .argument('<service>', 'name')
    .addOption(ifMatch())
    .action(async (name: string, options) => {
      const { deleteServiceCommand } = await import('./services-change.ts');
      exit(await deleteServiceCommand(name, options));
    });
  sub('load', 'create or replace many services, all or none')
    .argument('<file>', 'a list of services, YAML or JSON; - for standard input')
    .option('--replace', 'those of the API that the file does not name are deleted')
    .action(async (fileName: string, options) => {
      const { loadServicesCommand } = await import('./services-change.ts');
      exit(await loadServicesCommand(fileName, options));
    });
}

function withFilter(command: Command): Command {
  return command
    .option('--service <service>', 'of this service')
    .option('--user <name>', 'admitted by this user name')
    .option('--source <address>', 'from this address or prefix')
    .option('--inbound <tag>', 'through this inbound')
    .option('--outbound <tag>', 'through this outbound')
    .option('--rule <rule>', 'decided by this rule');
}

function limitOption(): Option {
  return new Option('--limit <count>', 'at most so many').default(LIMIT_DEFAULT).argParser((text) => {
    if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('expected a number from 1 on');
    return Number(text);
  });
}
