// The entry of the keeper's thread (keeper/keeper.ts). An exception ends the thread, and nothing else: the control thread
// starts another.

import { workerData } from 'node:worker_threads';
import { runKeeper } from './keeper/keeper.ts';
import type { KeeperStart } from './layout/keeper-messages.ts';

runKeeper(workerData as KeeperStart);
