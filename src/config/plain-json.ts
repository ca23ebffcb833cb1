// JSON without positions, for files of a hundred thousand services: the platform reads them a hundred times faster than a
// library that remembers where everything stood. Whatever is unusual is left to the latter, which can say what is wrong:
// this one answers only where both would read the same. Never throws.

/**
 * @returns undefined where the text is no JSON mapping, gives a key twice, or exceeds a bound
 */
export function readPlainJson(
  text: string,
  valuesMax: number,
  depthMax: number,
): Record<string, unknown> | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const keys = countKeys(value, valuesMax, depthMax);
  // Of a key that was given twice the parser keeps the last and says nothing: it shows in the number of colons.
  return keys === countColons(text) ? (value as Record<string, unknown>) : undefined;
}

/** @returns how many keys all mappings have, or -1 beyond a bound */
function countKeys(root: unknown, valuesMax: number, depthMax: number): number {
  let keys = 0;
  let values = 1;
  let level: unknown[] = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthMax) return -1;
    const below: unknown[] = [];
    for (const value of level) {
      if (typeof value !== 'object' || value === null) continue;
      const isList = Array.isArray(value);
      const inside: unknown[] = isList ? value : Object.values(value);
      if (!isList) keys += inside.length;
      if (Object.hasOwn(value, '__proto__')) return -1;
      values += inside.length;
      if (values > valuesMax) return -1;
      for (const one of inside) if (typeof one === 'object') below.push(one);
    }
    level = below;
  }
  return keys;
}

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** Those outside strings. The text is valid JSON. */
function countColons(text: string): number {
  let colons = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === COLON) colons++;
    else if (code === QUOTE) at = endOfString(text, at);
  }
  return colons;
}

/** @returns where the closing quote of a string of valid JSON stands */
export function endOfString(text: string, opening: number): number {
  let end = text.indexOf('"', opening + 1);
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
  return backslashes % 2 === 1;
}
