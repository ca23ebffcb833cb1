// What an operator wrote wrong, or what will not do what it seems to do, and how it is printed: one line each, as a
// compiler does. Secrets never get into a mistake: every value goes through `shown`, which knows from its path whether
// it may be repeated. Control thread and CLI.

export interface Mistake {
  /** Where in the structure: `services[0].rate.up`; empty for the whole file. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units as editors count. */
  readonly column: number;
  readonly found: string;
  readonly expected: string;
  /** The valid name or key that is closest to what was found. */
  readonly nearest?: string;
  /** A whole sentence without path and position. */
  readonly message: string;
}

/** A mistake in what somebody asked over the API, where there are no lines. */
export type RequestMistake = Omit<Mistake, 'line' | 'column'>;

/** Keys and indexes from the root of the file. */
export type Path = readonly (string | number)[];

/** What is wrong at a path, before anybody has looked up the line. */
export interface Complaint {
  readonly path: Path;
  /** Point at the key, not at its value: the key is what is wrong. */
  readonly atKey?: boolean;
  /** Where in the text, if the path does not lead there. */
  readonly offset?: number;
  readonly found: string;
  readonly expected: string;
  readonly nearest?: string | undefined;
  /** Defaults to one made of found, expected and nearest. */
  readonly message?: string;
}

/** Nobody mends more in one go, and a wrong program may write a mistake into each of a million lines. */
export const MISTAKES_MAX = 1_000;
const SHOWN_LENGTH_MAX = 60;

/** `services[0].rate.up`; keys that are not plain words are quoted. */
export function pathText(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z_$][\w-]{0,63}$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${quoted(step)}]`;
  }
  return text;
}

/** A value as a mistake may show it. Whatever stands under `users` or a password is hidden, also if misplaced. */
export function shown(value: unknown, path: Path): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (isSecret(path)) return 'a value that is not shown';
  return typeof value === 'string' ? quoted(value) : String(value);
}

/** In double quotes, on one line, shortened. */
export function quoted(text: string): string {
  // `user:password@` may stand in front of what somebody took for an address.
  const harmless = text.replace(/^[^@]*:[^@]*@/, '...@');
  const short = harmless.length > SHOWN_LENGTH_MAX ? `${harmless.slice(0, SHOWN_LENGTH_MAX)}...` : harmless;
  return JSON.stringify(short);
}

function isSecret(path: Path): boolean {
  const last = path.at(-1);
  if (last === 'username') return false;
  return path.some((step) => typeof step === 'string' && /^users$|pass|secret|token$/i.test(step));
}

/** `found "x", expected y; did you mean "z"?` */
export function messageOf(complaint: Complaint): string {
  const message = complaint.message ?? `found ${complaint.found}, expected ${complaint.expected}`;
  return complaint.nearest === undefined ? message : `${message}; did you mean ${quoted(complaint.nearest)}?`;
}

/** What stands for all that is not told. */
export function restOf(untold: number): Pick<Mistake, 'found' | 'expected' | 'message'> {
  const message = `and ${untold} more ${untold === 1 ? 'mistake' : 'mistakes'} that are not told`;
  return { found: `${untold} more`, expected: 'none', message };
}

/** `edge.yaml:12:7 inbounds[0].lisen: unknown key "lisen"; did you mean "listen"?`, one line for each. */
export function formatMistakes(mistakes: readonly Mistake[], fileName: string, label = ''): string {
  let text = '';
  for (const mistake of mistakes) {
    const path = mistake.path === '' ? '' : `${mistake.path}: `;
    text += `${fileName}:${mistake.line}:${mistake.column} ${label}${path}${mistake.message}\n`;
  }
  return text;
}
