// From the text of a configuration to its checked form, or to all of its mistakes at once. Skeleton.

import type { Configuration } from './configuration.ts';
import type { Mistake } from './mistakes.ts';

export interface Checked {
  /** Present exactly when there are no mistakes. */
  readonly configuration?: Configuration;
  readonly mistakes: readonly Mistake[];
  readonly warnings: readonly Mistake[];
}

export function checkConfiguration(_text: string, _fileName: string): Checked {
  return { mistakes: [], warnings: [] };
}
