// Patterns of AdGuard's filters, as far as a rule set holds them: `||` in front, the name or what is below it; `|` in front, the
// beginning of the name; `^` behind, its end; `*`, anything. What is a name, a suffix or a keyword becomes one; the rest
// becomes a regular expression, of which there are few.
// @source AdGuard DNS filtering syntax; sing-box, adguard.md

import type { DomainSuffix } from '../rule.ts';
import { nameOf } from './names.ts';

const PATTERN_CHARACTERS_MAX = 1_024;

export interface DomainLists {
  readonly domain: string[];
  readonly domainSuffix: DomainSuffix[];
  readonly domainKeyword: string[];
  readonly domainRegex: string[];
}

/** @returns whether it is a pattern */
export function addAdGuardPattern(lists: DomainLists, text: string): boolean {
  const isSuffix = text.startsWith('||');
  const hasStart = !isSuffix && text.startsWith('|');
  const hasEnd = text.endsWith('^');
  const body = text.slice(isSuffix ? 2 : hasStart ? 1 : 0, hasEnd ? -1 : undefined).toLowerCase();
  if (!/^[a-z0-9_.*-]+$/.test(body) || body.length > PATTERN_CHARACTERS_MAX) return false;
  const name = nameOf(body);
  if (hasEnd && isSuffix && name !== undefined) lists.domainSuffix.push({ name, isBelow: false });
  else if (hasEnd && hasStart && name !== undefined) lists.domain.push(name);
  else if (!hasEnd && !hasStart && !isSuffix && !body.includes('*')) lists.domainKeyword.push(body);
  else lists.domainRegex.push(regexOf(body, isSuffix, hasStart, hasEnd));
  return true;
}

function regexOf(body: string, isSuffix: boolean, hasStart: boolean, hasEnd: boolean): string {
  const start = isSuffix ? '(?:^|\\.)' : hasStart ? '^' : '';
  return start + body.replaceAll('.', '\\.').replace(/\*+/g, '.*') + (hasEnd ? '$' : '');
}
