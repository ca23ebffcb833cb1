// Who waits in rules that are no longer in force, and how they are got out of them: a wait may last half a minute, and as long
// it holds a row of a snapshot; so silent clients and many changes could use up all rows. Where these run short, the slots of
// all workers are looked through, a share at a time, and whoever waits in another snapshot than the one in force is told to
// start over in that one. Workers look themselves whether that still holds. Control thread; nothing to do with an ordinary
// change of rules.

import type { FactsTable } from '../layout/facts.ts';
import type { ControlMessage } from '../layout/messages.ts';
import { SLOT_WAITING, type SlotTable } from '../layout/slot.ts';
import type { Tables } from '../layout/tables.ts';

/** Shares, so that neither this thread nor a worker is kept from its work for long. */
const SHARE_EVERY_MS = 1;
const SLOTS_PER_SHARE = 8_192;
const CONNECTIONS_PER_SHARE = 64;

export interface RuleWaits {
  /** Gets under way, unless it is. */
  end(): void;
  close(): void;
}

export interface RuleWaitsInit {
  readonly tables: Pick<Tables, 'slots' | 'facts' | 'machine'>;
  readonly tell: (worker: number, message: ControlMessage) => void;
}

export function createRuleWaits({ tables, tell }: RuleWaitsInit): RuleWaits {
  let timer: NodeJS.Timeout | undefined;
  let worker = 0;
  let slot = 0;

  function share(): void {
    const slots = tables.slots[worker];
    const facts = tables.facts[worker];
    if (slots === undefined || facts === undefined) {
      stop();
      return;
    }
    const connections: number[] = [];
    const end = Math.min(slots.count, slot + SLOTS_PER_SHARE);
    let isOver = false;
    for (; slot < end && !isOver && connections.length < CONNECTIONS_PER_SHARE * 2; slot++) {
      const generation = slots.generation(slot);
      // They are taken in order: behind the first one that nobody has had, none was had.
      if (generation === 0) isOver = true;
      else if (isBehind(slots, facts, slot)) connections.push(slot, generation);
    }
    if (connections.length > 0)
      tell(worker, { kind: 'end_waits', connections: Int32Array.from(connections) });
    if (!isOver && slot < slots.count) return;
    worker++;
    slot = 0;
  }

  function isBehind(slots: SlotTable, facts: FactsTable, at: number): boolean {
    if (slots.state(at) !== SLOT_WAITING) return false;
    const pinned = facts.pinned(at);
    return pinned !== 0 && pinned !== tables.machine.snapshot(0);
  }

  function stop(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    end() {
      if (timer !== undefined) return;
      worker = 0;
      slot = 0;
      timer = setInterval(share, SHARE_EVERY_MS).unref();
    },
    close: stop,
  };
}
