// Completion scripts for three shells, made from the commands themselves, so that they cannot fall behind.

import type { Command } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface Words {
  readonly name: string;
  readonly description: string;
  readonly options: readonly string[];
  /** Takes the name of a file, or one of these. */
  readonly choices: readonly string[];
}

export function completionScript(program: Command, shell: Shell): string {
  const commands = program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    options: command.options.flatMap(({ short, long }) =>
      [short, long].filter((flag) => flag !== undefined && flag !== null),
    ),
    choices: command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
  }));
  return shell === 'bash' ? bash(commands) : shell === 'zsh' ? zsh(commands) : fish(commands);
}

function bash(commands: readonly Words[]): string {
  const cases = commands
    .map(
      ({ name, options, choices }) =>
        `    ${name}) words="${[...options, ...choices, '--help'].join(' ')}" ;;`,
    )
    .join('\n');
  return `# source <(sluice completion bash)
_sluice() {
  local current=\${COMP_WORDS[COMP_CWORD]} words
  case \${COMP_WORDS[1]} in
${cases}
    *) words="" ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words="${commands.map(({ name }) => name).join(' ')} --help --version"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [ "$COMP_CWORD" -gt 1 ]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _sluice sluice
`;
}

function zsh(commands: readonly Words[]): string {
  const names = commands.map(({ name, description }) => `    '${name}:${quoted(description)}'`).join('\n');
  const cases = commands
    .map(
      ({ name, options, choices }) =>
        `    ${name}) compadd -- ${[...options, ...choices, '--help'].join(' ')}; _files ;;`,
    )
    .join('\n');
  return `#compdef sluice
_sluice() {
  local -a commands
  commands=(
${names}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
${cases}
  esac
}
compdef _sluice sluice
`;
}

function fish(commands: readonly Words[]): string {
  const lines = commands.flatMap(({ name, description, options, choices }) => [
    `complete -c sluice -n __fish_use_subcommand -f -a ${name} -d '${quoted(description)}'`,
    ...options.map((option) =>
      option.startsWith('--')
        ? `complete -c sluice -n '__fish_seen_subcommand_from ${name}' -l ${option.slice(2)}`
        : `complete -c sluice -n '__fish_seen_subcommand_from ${name}' -s ${option.slice(1)}`,
    ),
    ...choices.map((choice) => `complete -c sluice -n '__fish_seen_subcommand_from ${name}' -f -a ${choice}`),
  ]);
  return `${lines.join('\n')}\n`;
}

function quoted(text: string): string {
  return text.replaceAll("'", "'\\''").replaceAll(':', '\\:');
}
