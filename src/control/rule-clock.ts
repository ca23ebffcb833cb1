// The minute of the week that `time` of rules is judged by: local time, as operators mean it. Written when a minute begins, so
// that workers neither ask for the time of day nor know of time zones. Control thread.

import type { Tables } from '../layout/tables.ts';

const MINUTE_MS = 60_000;

/** Minutes since Monday 00:00, local time. */
export function minuteOfWeek(date: Date): number {
  const day = (date.getDay() + 6) % 7;
  return day * 24 * 60 + date.getHours() * 60 + date.getMinutes();
}

/** @returns how to stop it */
export function startRuleClock({ machine }: Pick<Tables, 'machine'>): () => void {
  let timer: NodeJS.Timeout;
  const tick = (): void => {
    machine.setMinuteOfWeek(0, minuteOfWeek(new Date()));
    // A timer may come a little early: then it is set once more.
    timer = setTimeout(tick, MINUTE_MS - (Date.now() % MINUTE_MS)).unref();
  };
  tick();
  return () => clearTimeout(timer);
}
