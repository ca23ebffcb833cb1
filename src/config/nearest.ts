// The name that an operator probably meant: the candidate with the least edit distance, if it is near enough to be a
// slip of the fingers. Control thread and CLI.

/** Longer texts are not compared: nobody mistypes one name into another of this length. */
const COMPARED_LENGTH_MAX = 128;

/** @param text as written; @returns the nearest candidate within max(1, length / 3) edits, or undefined */
export function nearest(text: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(text.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - text.length) >= bestDistance) continue;
    const distance = editDistance(text.toLowerCase(), candidate.toLowerCase());
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/**
 * Insertions, deletions, replacements and swaps of neighbours that turn `from` into `to`.
 * @source Optimal string alignment, Boytsov 2011
 */
export function editDistance(from: string, to: string): number {
  if (from.length > COMPARED_LENGTH_MAX || to.length > COMPARED_LENGTH_MAX) return from === to ? 0 : Infinity;
  let before: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let least = Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + (same ? 0 : 1),
      );
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        least = Math.min(least, at(before, column - 2) + 1);
      }
      current.push(least);
    }
    before = previous;
    previous = current;
  }
  return at(previous, to.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
