// Durations, data rates, event rates and sizes as operators write them. A number without a unit is always a mistake:
// nobody remembers whether `10` meant seconds or milliseconds. Parsers answer a number, or say precisely what is wrong;
// formatters write the shortest exact form, which the parser of the same kind reads back to the same number.
// Slow path: control thread and CLI.

/** Why a text is not the unit that was expected. Neither field repeats the text itself. */
export interface UnitMistake {
  /** The accepted forms. */
  readonly expected: string;
  /** What is wrong, as the rest of a sentence: `has no unit`. */
  readonly wrong: string;
}

export interface UnitBounds {
  readonly min: number;
  readonly max: number;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Largest first, which is also the order in which parts of one duration must follow each other. */
const DURATION_UNITS: readonly (readonly [string, number])[] = [
  ['d', DAY_MS],
  ['h', HOUR_MS],
  ['m', MINUTE_MS],
  ['s', SECOND_MS],
  ['ms', 1],
];

const DURATION_FORMS = 'a duration such as 250ms, 2s, 10m, 1h30m or 1d';
const DATA_RATE_FORMS = 'a data rate such as 20mbit, 1gbit, 512kB/s, 10MB/s or 10MiB/s';
const EVENT_RATE_FORMS = 'a rate of events such as 50/s, 10/m, 100/h or 1000/d';
const SIZE_FORMS = 'a size such as 512B, 64KiB, 10MB or 1GiB';

/** Above a year a duration is a typing mistake, or means `never`, which has its own key wherever it is allowed. */
const DURATION_BOUNDS: UnitBounds = { min: 1, max: 365 * DAY_MS };
/** 1 kbit/s to 10 Tbit/s. */
const DATA_RATE_BOUNDS: UnitBounds = { min: 125, max: 1.25e12 };
/** One a day to a million a second. */
const EVENT_RATE_BOUNDS: UnitBounds = { min: 1 / 86_400, max: 1e6 };
const SIZE_BOUNDS: UnitBounds = { min: 1, max: 2 ** 53 - 1 };

/** JSON Schema patterns for editors. They admit everything that the parsers do, and a little more. */
export const DURATION_PATTERN = '^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$';
export const DATA_RATE_PATTERN = '^[0-9]+(\\.[0-9]+)? ?([kKmMgGtT]?bit(/s)?|([kKMGT]|[KMGT]i)?B/s)$';
export const EVENT_RATE_PATTERN = '^[0-9]+(\\.[0-9]+)?/(s|m|h|d)$';

const NUMBER = '[0-9]{1,15}(?:\\.[0-9]{1,12})?';
const BARE_NUMBER = /^[+-]?[0-9]*\.?[0-9]+$/;

/**
 * @returns whole milliseconds, rounded from at most a thousandth: `1.5s` is 1500
 */
export function parseDuration(text: string, bounds: UnitBounds = DURATION_BOUNDS): number | UnitMistake {
  const general = commonMistake(text, DURATION_FORMS);
  if (general !== undefined) return general;
  const part = new RegExp(`(${NUMBER})(ms|s|m|h|d)`, 'y');
  let total = 0;
  let lastUnit = -1;
  while (part.lastIndex < text.length) {
    const found = part.exec(text);
    if (found === null) return { expected: DURATION_FORMS, wrong: 'is not a duration' };
    const unit = DURATION_UNITS.findIndex(([name]) => name === found[2]);
    if (unit <= lastUnit) {
      return {
        expected: DURATION_FORMS,
        wrong: 'must name each unit once, from the largest to the smallest',
      };
    }
    lastUnit = unit;
    total += Number(found[1]) * (DURATION_UNITS[unit]?.[1] ?? 0);
  }
  const ms = Math.round(total);
  if (Math.abs(ms - total) > 1e-6) {
    return { expected: DURATION_FORMS, wrong: 'is finer than a millisecond' };
  }
  return within(ms, bounds, DURATION_FORMS, formatDuration);
}

/**
 * Bits and bytes are decimal, as everywhere in networks: `1mbit` is 1,000,000 bits and `1kB` 1,000 bytes a second. The
 * `KiB/s` forms are binary. The case of `B` matters, because `mb` could be either.
 * @returns bytes per second, rounded down to whole bytes
 */
export function parseDataRate(text: string, bounds: UnitBounds = DATA_RATE_BOUNDS): number | UnitMistake {
  const general = commonMistake(text, DATA_RATE_FORMS);
  if (general !== undefined) return general;
  const bits = new RegExp(`^(${NUMBER}) ?([kmgt]?)bit(?:/s)?$`, 'i').exec(text);
  if (bits !== null) {
    const bitsPerSecond = Math.round(Number(bits[1]) * decimal(bits[2] ?? ''));
    return within(Math.floor(bitsPerSecond / 8), bounds, DATA_RATE_FORMS, formatRate);
  }
  const bytes = new RegExp(`^(${NUMBER}) ?([kKMGT]?|[KMGT]i)B/s$`).exec(text);
  if (bytes !== null) {
    const bytesPerSecond = Math.floor(Number(bytes[1]) * multiple(bytes[2] ?? '') + 1e-6);
    return within(bytesPerSecond, bounds, DATA_RATE_FORMS, formatRate);
  }
  if (/^[0-9.]+ ?[kmgt]?i?b$/i.test(text)) {
    return { expected: DATA_RATE_FORMS, wrong: 'is a size, or lacks "/s"' };
  }
  if (/^[0-9.]+ ?([kmgt]?bps|[kmgt]?i?b\/s|[kmgt])$/i.test(text)) {
    return { expected: DATA_RATE_FORMS, wrong: 'may mean bits or bytes' };
  }
  return { expected: DATA_RATE_FORMS, wrong: 'is not a data rate' };
}

const EVENT_PERIODS: readonly (readonly [string, number])[] = [
  ['s', 1],
  ['m', 60],
  ['h', 3_600],
  ['d', 86_400],
];

/** @returns events per second; a fraction for what is rarer */
export function parseEventRate(text: string, bounds: UnitBounds = EVENT_RATE_BOUNDS): number | UnitMistake {
  const general = commonMistake(text, EVENT_RATE_FORMS);
  if (general !== undefined) return general;
  const found = new RegExp(`^(${NUMBER})/(s|m|h|d)$`).exec(text);
  if (found === null) return { expected: EVENT_RATE_FORMS, wrong: 'is not a rate of events' };
  const period = EVENT_PERIODS.find(([name]) => name === found[2])?.[1] ?? 1;
  return within(Number(found[1]) / period, bounds, EVENT_RATE_FORMS, formatEventRate);
}

/** `kB`, `MB`, `GB`, `TB` are decimal; `KiB`, `MiB`, `GiB`, `TiB` binary. @returns bytes */
export function parseBytes(text: string, bounds: UnitBounds = SIZE_BOUNDS): number | UnitMistake {
  const general = commonMistake(text, SIZE_FORMS);
  if (general !== undefined) return general;
  const found = new RegExp(`^(${NUMBER}) ?([kKMGT]?|[KMGT]i)B$`).exec(text);
  if (found === null) {
    const wrong = /^[0-9.]+ ?[kmgt]?i?(b|bit)?$/i.test(text) ? 'may mean bits or bytes' : 'is not a size';
    return { expected: SIZE_FORMS, wrong };
  }
  return within(Math.round(Number(found[1]) * multiple(found[2] ?? '')), bounds, SIZE_FORMS, formatBytes);
}

/** `1h30m`; exact. @param ms whole and positive */
export function formatDuration(ms: number): string {
  let text = '';
  let rest = ms;
  for (const [name, unitMs] of DURATION_UNITS) {
    const count = Math.floor(rest / unitMs);
    if (count > 0) text += `${count}${name}`;
    rest -= count * unitMs;
  }
  return text === '' ? '0ms' : text;
}

/** In bits, as links are sold: 2,500,000 is `20mbit`. Exact for whole bytes. */
export function formatRate(bytesPerSecond: number): string {
  const bits = bytesPerSecond * 8;
  const exponent = Math.min(4, Math.floor((integerDigits(bits) - 1) / 3));
  return `${shifted(bits, exponent * 3)}${['', 'k', 'm', 'g', 't'][exponent] ?? ''}bit`;
}

/** `50/s`; the largest period in which the count is whole, else six digits a second. */
export function formatEventRate(eventsPerSecond: number): string {
  for (const [name, seconds] of EVENT_PERIODS) {
    const count = eventsPerSecond * seconds;
    if (count >= 1 && Math.abs(count - Math.round(count)) < 1e-9 * count)
      return `${Math.round(count)}/${name}`;
  }
  return `${Number(eventsPerSecond.toPrecision(6))}/s`;
}

/** The shorter of the exact decimal and the exact binary form: `64KiB`, `10GB`, `1.5kB`. @param bytes whole */
export function formatBytes(bytes: number): string {
  const exponent = Math.min(4, Math.floor((integerDigits(bytes) - 1) / 3));
  const plain = `${shifted(bytes, exponent * 3)}${['', 'k', 'M', 'G', 'T'][exponent] ?? ''}B`;
  let power = 0;
  let count = bytes;
  while (power < 4 && count > 0 && count % 1024 === 0) {
    count /= 1024;
    power++;
  }
  const binary = `${count}${['', 'Ki', 'Mi', 'Gi', 'Ti'][power] ?? ''}B`;
  return power > 0 && binary.length <= plain.length ? binary : plain;
}

/** What is wrong in the same way whatever the unit. */
function commonMistake(text: string, expected: string): UnitMistake | undefined {
  if (text === '') return { expected, wrong: 'is empty' };
  if (text.startsWith('-')) return { expected, wrong: 'is negative' };
  if (BARE_NUMBER.test(text)) return { expected, wrong: 'has no unit' };
  if (/[0-9]{16}/.test(text)) return { expected, wrong: 'has too many digits' };
  return undefined;
}

function within(
  value: number,
  bounds: UnitBounds,
  expected: string,
  format: (value: number) => string,
): number | UnitMistake {
  if (value === 0) return { expected, wrong: 'is zero, or rounds to it' };
  if (value < bounds.min) return { expected, wrong: `is below the least allowed, ${format(bounds.min)}` };
  if (value > bounds.max) return { expected, wrong: `is above the most allowed, ${format(bounds.max)}` };
  return value;
}

function decimal(prefix: string): number {
  return 1000 ** ['', 'k', 'm', 'g', 't'].indexOf(prefix.toLowerCase());
}

function multiple(prefix: string): number {
  if (prefix.endsWith('i')) return 1024 ** (['K', 'M', 'G', 'T'].indexOf(prefix.charAt(0)) + 1);
  return decimal(prefix);
}

function integerDigits(value: number): number {
  return String(Math.trunc(value)).length;
}

/** `value / 10 ** digits` in decimal, exact because it is done on the text. */
function shifted(value: number, digits: number): string {
  if (digits === 0) return String(value);
  const text = String(value).padStart(digits + 1, '0');
  const fraction = text.slice(-digits).replace(/0+$/, '');
  const whole = text.slice(0, -digits);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}
