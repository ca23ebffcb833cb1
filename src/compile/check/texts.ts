// Keywords and expressions of all rules together: what workers have no time for, told where it stands.

import type { RuleComplaint } from '../../layout/compiler-messages.ts';
import type { Path } from '../../config/mistakes.ts';
import { type Excess, TextBounds } from '../text-bounds.ts';
import type { Condition } from '../rule.ts';
import type { PlacedRule } from './placed-rule.ts';

interface Place {
  readonly owner: PlacedRule['rule']['owner'];
  readonly path: Path;
}

export function checkTexts(rules: readonly PlacedRule[], mistakes: RuleComplaint[]): void {
  const bounds = new TextBounds<Place>();
  const complain = ({ owner, path }: Place, excess: Excess): void => {
    mistakes.push({ owner, path, ...excess });
  };
  const look = (condition: Condition, owner: Place['owner'], path: Path): void => {
    if (condition.kind === 'logical') {
      for (const [index, rule] of condition.rules.entries()) look(rule, owner, [...path, 'rules', index]);
      return;
    }
    const { domainKeyword, domainRegex } = condition;
    if (domainKeyword.length > 0) {
      const excess = bounds.addKeywords(domainKeyword) ?? bounds.addPredicate();
      if (excess !== undefined) complain({ owner, path: [...path, 'domain_keyword'] }, excess);
    }
    for (const [index, text] of domainRegex.entries()) {
      // One may stand there without a list.
      const place = { owner, path: [...path, 'domain_regex', ...(domainRegex.length > 1 ? [index] : [])] };
      const excess = bounds.addExpression(text, place);
      // What is wrong with it by itself has been told.
      if (excess !== undefined && 'message' in excess) complain(place, excess);
    }
  };
  for (const { rule, path } of rules) look(rule.condition, rule.owner, path);
  const beyond = bounds.beyondWork();
  if (beyond !== undefined) complain(beyond.place, beyond.excess);
}
