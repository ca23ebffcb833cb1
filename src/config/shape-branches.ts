// What the validator tells of a value that may be one thing or another: of all branches that failed, only the one that was
// meant is of use to whoever wrote it.

import type { ErrorObject } from 'ajv';

/** Keywords that only say that a combination failed, where other errors or the branch taken say how. */
const NOT_TOLD: ReadonlySet<string> = new Set(['oneOf', 'if']);

/**
 * Replaces the errors of every failed `anyOf` by those of the branch whose type the value has, or by one error. The
 * validator tells them right before the one that says that all have failed.
 */
export function withoutOtherBranches(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const kept: ErrorObject[] = [];
  for (const error of errors) {
    if (NOT_TOLD.has(error.keyword)) continue;
    if (error.keyword !== 'anyOf') {
      kept.push(error);
      continue;
    }
    let first = kept.length;
    while (first > 0 && isInside(kept[first - 1] as ErrorObject, error)) first--;
    const inside = kept.splice(first);
    const branches = (error.schema as unknown[]).map((_, index) =>
      inside.filter(({ schemaPath }) => schemaPath.startsWith(`${error.schemaPath}/${index}/`)),
    );
    const meant = branches.find((branch) => !branch.some((one) => isOtherType(one, error)));
    for (const one of meant ?? [error]) kept.push(one);
  }
  return kept;
}

function isInside(error: ErrorObject, union: ErrorObject): boolean {
  if (!error.schemaPath.startsWith(`${union.schemaPath}/`)) return false;
  const { instancePath } = error;
  return instancePath === union.instancePath || instancePath.startsWith(`${union.instancePath}/`);
}

function isOtherType(error: ErrorObject, union: ErrorObject): boolean {
  if (error.instancePath !== union.instancePath) return false;
  return error.keyword === 'type' || error.keyword === 'const' || error.keyword === 'enum';
}
