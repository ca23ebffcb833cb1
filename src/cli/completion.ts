// Completion scripts for three shells, made from the commands themselves, so that they cannot fall behind. What may stand at
// a place is one of five kinds: words that are known, a file, the name of a service or the id of a rule (asked of the daemon
// that the line names), or anything.

import type { Argument, Command } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

type Kind = 'file' | 'service' | 'rule' | 'any';

interface OptionWords {
  readonly flags: readonly string[];
  readonly description: string;
  /** What follows it; undefined: nothing has to. */
  readonly value: Kind | undefined;
  readonly choices: readonly string[];
}

interface CommandWords {
  /** `services set`; `services` for itself. */
  readonly path: string;
  readonly description: string;
  readonly options: readonly OptionWords[];
  /** Words that may stand there: choices of an argument, commands below. */
  readonly words: readonly string[];
  readonly argument: Kind;
}

export function completionScript(program: Command, shell: Shell): string {
  const commands = program.commands.flatMap((command) => [
    wordsOf(command, command.name()),
    ...command.commands.map((below) => wordsOf(below, `${command.name()} ${below.name()}`)),
  ]);
  return shell === 'bash' ? bash(commands) : shell === 'zsh' ? zsh(commands) : fish(commands);
}

function wordsOf(command: Command, path: string): CommandWords {
  // `sluice services --json` means `services list --json`.
  const byDefault = command.commands.find((below) => below.name() === 'list');
  const options = [...command.options, ...(byDefault?.options ?? [])];
  return {
    path,
    description: command.description(),
    options: options.map(({ short, long, flags, description, required, argChoices }) => ({
      flags: [short, long].filter((flag) => typeof flag === 'string'),
      description,
      value: required ? kindOf(/<([^>]+)>/.exec(flags)?.[1] ?? '') : undefined,
      choices: argChoices ?? [],
    })),
    words: [
      ...command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
      ...command.commands.map((below) => below.name()),
    ],
    argument: argumentKind(command.registeredArguments),
  };
}

function argumentKind(registered: readonly Argument[]): Kind {
  return kindOf(registered[0]?.name() ?? '');
}

function kindOf(name: string): Kind {
  if (name === 'file' || name === 'path') return 'file';
  return name === 'service' || name === 'rule' ? name : 'any';
}

/** Flags with a value, by what it is; a flag means the same in every command. */
function valueFlags(commands: readonly CommandWords[], kind: Kind): string[] {
  const options = commands.flatMap((command) => command.options);
  const flags = options.filter(({ value, choices }) => value === kind && choices.length === 0);
  return [...new Set(flags.flatMap((option) => option.flags))];
}

function choiceFlags(commands: readonly CommandWords[]): Map<string, readonly string[]> {
  const options = commands.flatMap((command) => command.options).filter(({ choices }) => choices.length > 0);
  return new Map(options.flatMap(({ flags, choices }) => flags.map((flag) => [flag, choices] as const)));
}

function topLevel(commands: readonly CommandWords[]): CommandWords[] {
  return commands.filter(({ path }) => !path.includes(' '));
}

function allWords({ words, options }: CommandWords): string {
  return [...words, ...new Set(options.flatMap(({ flags }) => flags)), '--help'].join(' ');
}

/** Part of bash and zsh alike: what to offer behind the flag before, and for the command. */
function cases(commands: readonly CommandWords[], indent: string): { flags: string; paths: string } {
  const flags = [
    `${valueFlags(commands, 'file').join('|')}) kind=file ;;`,
    `${valueFlags(commands, 'service').join('|')}) kind=service ;;`,
    `${valueFlags(commands, 'rule').join('|')}) kind=rule ;;`,
    ...[...choiceFlags(commands)].map(
      ([flag, choices]) => `${flag}) kind=words; offered="${choices.join(' ')}" ;;`,
    ),
    `${valueFlags(commands, 'any').join('|')}) kind=any ;;`,
  ];
  const paths = commands.map(
    (command) => `"${command.path}") offered="${allWords(command)}"; argument=${command.argument} ;;`,
  );
  const lines = (all: readonly string[]) => all.map((line) => `${indent}${line}\n`).join('');
  return { flags: lines(flags), paths: lines(paths) };
}

/** Commands that have others below them. */
function holders(commands: readonly CommandWords[]): string {
  const names = commands.flatMap(({ path }) => (path.includes(' ') ? [path.split(' ')[0] as string] : []));
  return [...new Set(names)].join('|');
}

function bash(commands: readonly CommandWords[]): string {
  const { flags, paths } = cases(commands, '    ');
  return `# source <(sluice completion bash)
_sluice_names() {
  local -a daemon=()
  local at
  for ((at = 2; at < COMP_CWORD; at++)); do
    case \${COMP_WORDS[at]} in
    -c | --config | --socket) daemon+=("\${COMP_WORDS[at]}" "\${COMP_WORDS[at + 1]}") ;;
    esac
  done
  "\${COMP_WORDS[0]}" "$1" list --names "\${daemon[@]}" 2>/dev/null
}
_sluice() {
  local current=\${COMP_WORDS[COMP_CWORD]} path=\${COMP_WORDS[1]} offered="" kind="" argument=any
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${topLevel(commands)
      .map(({ path }) => path)
      .join(' ')} --help --version" -- "$current"))
    return
  fi
  case \${COMP_WORDS[COMP_CWORD - 1]} in
${flags}  esac
  if [ -z "$kind" ]; then
    case $path in
    ${holders(commands)}) [ "$COMP_CWORD" -gt 2 ] && path="$path \${COMP_WORDS[2]}" ;;
    esac
    case $path in
${paths}    esac
    kind=words
  else
    argument=any
  fi
  case $kind in words) COMPREPLY=($(compgen -W "$offered" -- "$current")) ;; esac
  case $kind:$argument in
  file:* | words:file)
    compopt -o filenames 2>/dev/null
    COMPREPLY+=($(compgen -f -- "$current"))
    ;;
  service:* | rule:* | words:service | words:rule)
    # Not by compgen -W, which would expand what a name may hold.
    case $current in
    -*) ;;
    *)
      local name list=services
      case $kind:$argument in *rule*) list=rules ;; esac
      while IFS= read -r name; do
        [[ $name == "$current"* ]] && COMPREPLY+=("$(printf %q "$name")")
      done < <(_sluice_names "$list")
      ;;
    esac
    ;;
  esac
}
complete -F _sluice sluice
`;
}

function zsh(commands: readonly CommandWords[]): string {
  const { flags, paths } = cases(commands, '      ');
  const names = topLevel(commands)
    .map(({ path, description }) => `    '${path}:${quoted(description).replaceAll(':', '\\:')}'`)
    .join('\n');
  return `#compdef sluice
_sluice_names() {
  local -a daemon
  local at
  for ((at = 3; at < CURRENT; at++)); do
    case $words[at] in
      -c|--config|--socket) daemon+=("$words[at]" "$words[at+1]") ;;
    esac
  done
  $words[1] $1 list --names $daemon 2>/dev/null
}
_sluice() {
  local -a commands
  local line=$words[2] offered="" kind="" argument=any
  commands=(
${names}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[CURRENT-1] in
${flags}  esac
  if [[ -z $kind ]]; then
    case $line in
      ${holders(commands)}) (( CURRENT > 3 )) && line="$line $words[3]" ;;
    esac
    case $line in
${paths}    esac
    kind=words
  else
    argument=any
  fi
  [[ $kind == words ]] && compadd -- \${=offered}
  case $kind:$argument in
    file:*|words:file) _files ;;
    service:*|words:service) compadd -- \${(f)"$(_sluice_names services)"} ;;
    rule:*|words:rule) compadd -- \${(f)"$(_sluice_names rules)"} ;;
  esac
}
compdef _sluice sluice
`;
}

function fish(commands: readonly CommandWords[]): string {
  const lines = [
    'complete -c sluice -f',
    'function __sluice_names; set -l line (commandline -opc); set -l daemon; for at in (seq 2 (count $line)); contains -- $line[$at] -c --config --socket; and set -a daemon $line[$at] $line[(math $at + 1)]; end; command $line[1] $argv[1] list --names $daemon 2>/dev/null; end',
  ];
  for (const command of commands) {
    const [name = '', below] = command.path.split(' ');
    const isHolder = commands.some(({ path }) => path.startsWith(`${command.path} `));
    const when =
      below === undefined
        ? `__fish_seen_subcommand_from ${name}`
        : `__fish_seen_subcommand_from ${name}; and __fish_seen_subcommand_from ${below}`;
    if (below === undefined) {
      lines.push(
        `complete -c sluice -n __fish_use_subcommand -a ${name} -d '${quoted(command.description)}'`,
      );
    } else {
      lines.push(
        `complete -c sluice -n '__fish_seen_subcommand_from ${name}' -a ${below} -d '${quoted(command.description)}'`,
      );
    }
    if (!isHolder) for (const word of command.words) lines.push(`complete -c sluice -n '${when}' -a ${word}`);
    if (command.argument === 'file') lines.push(`complete -c sluice -n '${when}' -F`);
    if (command.argument === 'service' || command.argument === 'rule')
      lines.push(`complete -c sluice -n '${when}' -a '(__sluice_names ${command.argument}s)'`);
    for (const option of isHolder ? [] : command.options) lines.push(fishOption(when, option));
  }
  return `${lines.join('\n')}\n`;
}

function fishOption(when: string, { flags, description, value, choices }: OptionWords): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const takes =
    choices.length > 0
      ? ` -x -a '${choices.join(' ')}'`
      : value === 'file'
        ? ' -r -F'
        : value === 'service' || value === 'rule'
          ? ` -x -a '(__sluice_names ${value}s)'`
          : value === 'any'
            ? ' -x'
            : '';
  return `complete -c sluice -n '${when}' ${names.join(' ')}${takes} -d '${quoted(description)}'`;
}

function quoted(text: string): string {
  return text.replaceAll("'", "'\\''");
}
