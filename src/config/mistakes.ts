// What an operator wrote wrong, or what will not do what it seems to do, and how it is printed: one line each, as a
// compiler does. Secrets never get here: whoever makes a mistake uses `shown` for values, which hides what it must.
// Control thread and CLI.

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

/** `edge.yaml:12:7 inbounds[0].lisen: unknown key "lisen"; did you mean "listen"?`, one line for each. */
export function formatMistakes(mistakes: readonly Mistake[], fileName: string, label = ''): string {
  let text = '';
  for (const mistake of mistakes) {
    const path = mistake.path === '' ? '' : `${mistake.path}: `;
    text += `${fileName}:${mistake.line}:${mistake.column} ${label}${path}${mistake.message}\n`;
  }
  return text;
}
