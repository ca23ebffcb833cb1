// What is written as a range: ports (`1000:2000`), and times of the week (`mon-fri 08:00-18:00`), which become minutes since
// Monday 00:00.

import type { AddressMistake } from '../../config/addresses.ts';
import { nearest } from '../../config/nearest.ts';
import type { Range } from '../rule.ts';

const PORT_MAX = 65_535;
const PORT_FORMS = 'a range such as 1000:2000, :2000 or 3000:';
const TIME_FORMS = 'days, hours or both, such as "mon-fri 08:00-18:00", "sat,sun" or "22:00-06:00"';

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const DAY_MINUTES = 1_440;
const WEEK_MINUTES = DAYS.length * DAY_MINUTES;

/** As in sing-box: either end may be left out. */
export function parsePortRange(text: string): Range | AddressMistake {
  const found = /^(\d{0,5}):(\d{0,5})$/.exec(text);
  if (found === null || text === ':') {
    const hint = /^\d+-\d+$/.test(text) ? { nearest: text.replace('-', ':') } : {};
    return { expected: PORT_FORMS, wrong: 'is not a range of ports', ...hint };
  }
  const [, first = '', last = ''] = found;
  const from = first === '' ? 0 : Number(first);
  const to = last === '' ? PORT_MAX : Number(last);
  if (from > PORT_MAX || to > PORT_MAX)
    return { expected: PORT_FORMS, wrong: `has a port above ${PORT_MAX}` };
  if (from > to) return { expected: PORT_FORMS, wrong: 'ends before it begins', nearest: `${to}:${from}` };
  return { from, to };
}

/** A time over midnight belongs to the day on which it begins. @returns ranges of minutes, both ends included */
export function parseTimes(text: string): readonly Range[] | AddressMistake {
  const parts = text.trim().toLowerCase().split(/\s+/);
  if (parts.length > 2) return { expected: TIME_FORMS, wrong: 'has more than two parts' };
  const [first = '', second] = parts;
  const hasDays = /^[a-z]/.test(first);
  if (!hasDays && second !== undefined) {
    return { expected: TIME_FORMS, wrong: 'has no days before its hours', nearest: `${second} ${first}` };
  }
  const days = hasDays ? parseDays(first) : DAYS.map((_, day) => day);
  if ('wrong' in days) return days;
  const hours = hasDays ? second : first;
  const span = hours === undefined ? { from: 0, minutes: DAY_MINUTES } : parseHours(hours);
  if ('wrong' in span) return span;
  return days.flatMap((day) => rangesOf(day * DAY_MINUTES + span.from, span.minutes));
}

/** Cut where the week begins again. */
function rangesOf(from: number, minutes: number): Range[] {
  const to = from + minutes - 1;
  if (to < WEEK_MINUTES) return [{ from, to }];
  return [
    { from, to: WEEK_MINUTES - 1 },
    { from: 0, to: to - WEEK_MINUTES },
  ];
}

function parseDays(text: string): number[] | AddressMistake {
  const days: number[] = [];
  for (const part of text.split(',')) {
    const ends = part.split('-');
    const [first, last = first] = ends.map((name) => DAYS.indexOf(name as (typeof DAYS)[number]));
    const wrong = ends.find((name) => !DAYS.some((day) => day === name));
    if (wrong !== undefined || first === undefined || last === undefined || ends.length > 2) {
      const near = nearest((wrong ?? '').slice(0, 3), DAYS);
      const hint = near === undefined ? {} : { nearest: near };
      return {
        expected: `days such as mon, mon-fri or ${DAYS.slice(-2)}`,
        wrong: 'has a wrong day',
        ...hint,
      };
    }
    for (let day = first; ; day = (day + 1) % DAYS.length) {
      days.push(day);
      if (day === last) break;
    }
  }
  return [...new Set(days)].toSorted((a, b) => a - b);
}

function parseHours(text: string): { from: number; minutes: number } | AddressMistake {
  const found = /^(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(text);
  const [h1 = 99, m1 = 99, h2 = 99, m2 = 99] = (found ?? []).slice(1).map(Number);
  const from = h1 * 60 + m1;
  const to = h2 * 60 + m2;
  if (m1 > 59 || m2 > 59 || from >= DAY_MINUTES || to > DAY_MINUTES) {
    return { expected: TIME_FORMS, wrong: 'has wrong hours; they are written 08:00-18:00, up to 24:00' };
  }
  if (from === to) return { expected: TIME_FORMS, wrong: 'begins when it ends; a whole day has no hours' };
  return { from, minutes: to > from ? to - from : to + DAY_MINUTES - from };
}
