// The command line: what there is to type. Each command loads what it needs when it is called, so that `sluice status`
// does not pay for the daemon. `run` comes from outside: only the composition root knows how to put a daemon together.

import { Argument, Command, CommanderError } from 'commander';
import { CommandFailure } from './client.ts';
import { SHELLS } from './completion.ts';
import type { Shell } from './completion.ts';
import { addGovernance } from './governance-commands.ts';
import { EXIT_CODES_HELP, EXIT_INTERNAL, EXIT_OK, EXIT_USAGE } from './exit-codes.ts';
import { watchOption } from './watch.ts';

export interface ProgramInit {
  readonly version: string;
  /** Runs the daemon in the foreground. @returns the exit code */
  readonly run: (fileName: string) => Promise<number>;
}

/** @param words the command line without node and script @returns the exit code */
export async function runProgram(words: readonly string[], init: ProgramInit): Promise<number> {
  let exitCode = EXIT_OK;
  const program = buildProgram(init, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(words, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    if (error instanceof CommandFailure) {
      process.stderr.write(`sluice: ${error.message}\n`);
      return error.exitCode;
    }
    process.stderr.write(`sluice: ${error instanceof Error ? error.stack : String(error)}\n`);
    return EXIT_INTERNAL;
  }
}

function buildProgram(init: ProgramInit, exit: (code: number) => void): Command {
  const program = new Command('sluice')
    .description(
      'An edge kernel: accepts TCP connections for many services, decides, relays and governs them.',
    )
    .version(init.version, '-V, --version')
    .exitOverride()
    .showHelpAfterError('(sluice --help lists the commands)')
    .addHelpText('after', EXIT_CODES_HELP);
  const withDaemon = (command: Command) =>
    command
      .option('-c, --config <file>', 'configuration of the daemon: its admin.socket is used')
      .option('--socket <path>', 'Unix socket of the daemon (else $SLUICE_SOCKET, else ./sluice.sock)')
      .option('--json', 'print JSON');

  program
    .command('run')
    .description('run the daemon in the foreground; logs go to standard error as JSON')
    .requiredOption('-c, --config <file>', 'configuration file, YAML or JSON')
    .action(async ({ config }: { config: string }) => exit(await init.run(config)));

  program
    .command('check')
    .description('check a configuration and list all its mistakes')
    .argument('[file]', 'configuration file; - for standard input')
    .option('-c, --config <file>', 'the same')
    .option('--json', 'print JSON')
    .action(
      async (file: string | undefined, options: { config?: string; json?: boolean }, command: Command) => {
        const fileName = file ?? options.config;
        if (fileName === undefined) command.error("error: missing the configuration's file name");
        const { checkCommand } = await import('./check.ts');
        exit(checkCommand(fileName, options));
      },
    );

  withDaemon(program.command('reload'))
    .description('let the daemon read its configuration again')
    .action(async (options) => {
      const { reloadCommand } = await import('./reload.ts');
      exit(await reloadCommand(options));
    });

  withDaemon(program.command('status'))
    .description('show what the daemon does')
    .addOption(watchOption())
    .action(async (options) => {
      const { statusCommand } = await import('./status.ts');
      exit(await statusCommand(options));
    });

  addGovernance(program, withDaemon, exit);

  program
    .command('schema')
    .description("print the configuration's JSON Schema, for editors")
    .action(async () => {
      const { schemaText } = await import('../config/schema.ts');
      process.stdout.write(schemaText());
    });

  program
    .command('completion')
    .description('print a completion script')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action(async (shell: Shell) => {
      const { completionScript } = await import('./completion.ts');
      process.stdout.write(completionScript(program, shell));
    });

  return program;
}
