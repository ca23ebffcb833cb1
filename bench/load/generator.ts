// The load generator's process: takes one order at a time from the benchmark over Node's channel, runs it in its own
// epoll loop (nothing else of Node runs meanwhile), and answers. It lives through all runs, so that its code is compiled
// once; held connections live in it between orders.

import { createLibc } from '../../src/sys/libc/libc.ts';
import { type BulkWork, runBulk } from './bulk.ts';
import { type ChurnResult, type ChurnWork, runChurn } from './churn.ts';
import { type ClosedLoopWork, runClosedLoop } from './closed-loop.ts';
import { type ConnectCloseWork, runConnectClose } from './connect-close.ts';
import { type HelloConnectsWork, runHelloConnects } from './hello-connects.ts';
import { type HoldResult, type HoldWork, releaseHeld, runHold } from './hold.ts';
import { createLoad, type Load, type LoadResult } from './load.ts';
import { type OpenLoopWork, runOpenLoop } from './open-loop.ts';
import { type SwapsResult, runSwaps, type SwapsWork } from './swaps.ts';

export type Order =
  | { readonly kind: 'closed-loop'; readonly work: ClosedLoopWork }
  | { readonly kind: 'open-loop'; readonly work: OpenLoopWork }
  | { readonly kind: 'connect-close'; readonly work: ConnectCloseWork }
  | { readonly kind: 'hello-connects'; readonly work: HelloConnectsWork }
  | { readonly kind: 'churn'; readonly work: ChurnWork }
  | { readonly kind: 'swaps'; readonly work: SwapsWork }
  | { readonly kind: 'bulk'; readonly work: BulkWork }
  | { readonly kind: 'hold'; readonly work: HoldWork }
  | { readonly kind: 'release' }
  /** One more port of the origin that shares the generator's loop. */
  | { readonly kind: 'listen'; readonly service: number };

export interface Answers {
  'closed-loop': LoadResult;
  'open-loop': LoadResult;
  'connect-close': LoadResult;
  'hello-connects': LoadResult;
  churn: ChurnResult;
  swaps: SwapsResult;
  bulk: LoadResult;
  hold: HoldResult;
  release: HoldResult;
  listen: { readonly port: number };
}

export type Reply = { readonly answer: Answers[keyof Answers] } | { readonly error: string };

function carryOut(load: Load, order: Order): Answers[keyof Answers] {
  switch (order.kind) {
    case 'closed-loop':
      return runClosedLoop(load, order.work);
    case 'open-loop':
      return runOpenLoop(load, order.work);
    case 'connect-close':
      return runConnectClose(load, order.work);
    case 'hello-connects':
      return runHelloConnects(load, order.work);
    case 'churn':
      return runChurn(load, order.work);
    case 'swaps':
      return runSwaps(load, order.work);
    case 'bulk':
      return runBulk(load, order.work);
    case 'hold':
      return runHold(load, order.work);
    case 'release':
      return releaseHeld(load);
    case 'listen':
      return { port: load.origin.listen(order.service) };
  }
}

const sys = createLibc();
sys.raiseDescriptorLimit();
const load = createLoad(sys);
process.on('message', (order: Order) => {
  let reply: Reply;
  try {
    reply = { answer: carryOut(load, order) };
  } catch (error) {
    reply = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  process.send?.(reply);
});
process.on('disconnect', () => process.exit(0));
