// Changes beside traffic: at fixed rates, and in one loop that never sleeps, round trips on standing connections (open loop),
// clients that come, send 64 bytes, get them back and reset (how long that takes from the moment each was due), and requests that
// change something, or only seem to.

import { Churn, ROLE_CHURN } from './churn.ts';
import { nowTicks, TICKS_PER_US } from './clock.ts';
import { LargeRequests } from './large-requests.ts';
import { type Load, type LoadResult, resultOf } from './load.ts';
import { OpenLoop, type OpenLoopWork } from './open-loop.ts';
import { ROLE_CLIENT } from './poll.ts';
import { MEASURING, OVER, WARMING, Window } from './window.ts';

export interface SwapsWork extends OpenLoopWork {
  readonly churnPort: number;
  readonly churnPerSecond: number;
  readonly socketPath: string;
  readonly path: string;
  /** Of PUT, in turn. */
  readonly bodies: readonly string[];
  readonly swapsPerSecond: number;
}

export interface SwapsResult extends LoadResult {
  /** From the moment a client was due until its 64 bytes were back. */
  readonly setUpP50Us: number;
  readonly setUpP99Us: number;
  /** Clients that came and went inside the measured time. */
  readonly ended: number;
  /** Requests that were answered inside it, and how long each took. */
  readonly answered: number;
  readonly requestP50Us: number;
  readonly requestP99Us: number;
  /** What was wrong with the first answer that was. */
  readonly failure: string;
}

const ROLE_CHANGE = 40;

export function runSwaps(load: Load, work: SwapsWork): SwapsResult {
  const { poll, origin } = load;
  const loop = new OpenLoop(load, work);
  const churn = new Churn(load, { ...work, end: 'reset', churnService: '' });
  const changes = new LargeRequests(load, ROLE_CHANGE, {
    socketPath: work.socketPath,
    method: 'PUT',
    path: work.path,
    bodies: work.bodies,
    perSecond: work.swapsPerSecond,
  });
  const window = new Window(work);
  let phase = WARMING;
  let endedBefore = 0;
  let answeredBefore = 0;
  while (phase !== OVER && loop.open > 0) {
    const now = nowTicks();
    loop.deal(now);
    churn.deal(now);
    changes.deal(now);
    const count = poll.wait(0);
    for (let index = 0; index < count; index++) {
      const role = poll.role(index);
      if (role === ROLE_CLIENT) loop.onEvent(poll.token(index));
      else if (role === ROLE_CHANGE) changes.onEvent();
      else if (role === ROLE_CHURN) churn.onEvent(role, poll.token(index));
      else origin.handle(role, poll.token(index), poll.mask(index));
    }
    origin.runReady();
    const before = phase;
    phase = window.phaseAt(nowTicks());
    if (before === WARMING && phase === MEASURING) {
      loop.operations = 0;
      load.histogram.reset();
      churn.setUp.reset();
      changes.durations.reset();
      endedBefore = churn.ended;
      answeredBefore = changes.answered;
    }
  }
  if (phase !== OVER) window.finish();
  const failures = loop.failures + churn.failures + changes.failures;
  const result: SwapsResult = {
    ...resultOf(load, window, loop.operations, failures),
    setUpP50Us: churn.setUp.quantile(0.5) / TICKS_PER_US,
    setUpP99Us: churn.setUp.quantile(0.99) / TICKS_PER_US,
    ended: churn.ended - endedBefore,
    answered: changes.answered - answeredBefore,
    requestP50Us: changes.durations.quantile(0.5) / TICKS_PER_US,
    requestP99Us: changes.durations.quantile(0.99) / TICKS_PER_US,
    failure: changes.failure,
  };
  loop.closeAll();
  churn.closeAll();
  changes.close();
  return result;
}
