// What the store holds of rules, back into rules, when the daemon starts. Whether they make sense is for the compiler to say,
// which tells mistakes as it does for any others. Control thread.

import type { StoredRuleList } from '../layout/keeper-messages.ts';
import { SluiceError } from './errors.ts';
import type { StoredRules } from './rules.ts';

/** @throws SluiceError rules_invalid for what is no list */
export function readStoredRules({ revision, rules }: StoredRuleList, storePath: string): StoredRules {
  const list = parsed(rules);
  if (Array.isArray(list)) return { revision, rules: list };
  const message = `the rules in the store ${storePath} are not a list`;
  const mistakes = [{ path: 'rules', found: 'something else', expected: 'a list', message }];
  throw new SluiceError('rules_invalid', message, { mistakes });
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
