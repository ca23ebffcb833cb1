// Evictions on a worker of connections in whatever state, on the simulated network: in a handshake, waiting for somebody,
// connecting, refused, cut on one side, with bytes in a pipe or a buffer. Nothing of them is left.

import { describe, expect, it } from 'vitest';
import { dial } from '../../test/exactness/actors.ts';
import type { Actor } from '../../test/exactness/actors.ts';
import { evict, expectNothingLeft } from '../../test/exactness/evicting.ts';
import {
  HTTP_PORT,
  SOCKS_GREETING,
  SOCKS_PORT,
  socksRequest,
  startSmallEdge,
} from '../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../test/exactness/small-edge.ts';
import { LIST_SERVICE } from '../layout/lists.ts';
import { INBOUND_SOCKS5 } from '../layout/messages.ts';
import { EVICTED, SERVICE_DISABLED } from '../layout/reasons.ts';
import {
  SLOT_CONNECTING,
  SLOT_HANDSHAKE,
  SLOT_LINGERING,
  SLOT_RELAYING,
  SLOT_RESETTING,
  SLOT_WAITING,
  UP,
} from '../layout/slot.ts';

/** Where clients must say who they are. */
const CLOSED_PORT = 1_003;
const SILENT = [1, 192, 0, 2, 1];

describe('an eviction meets connections in every state', () => {
  /** One of each; the network is such that a flood comes into a pipe, and the next one into a leftover buffer. */
  function startAllStates(): { small: SmallEdge; clients: Actor[] } {
    const small = startSmallEdge({
      network: { sendBytesMax: 262_144, receiveBytesMax: 262_144 },
      limits: { pipesPerWorker: 1 },
    });
    const { edge, until, server } = small;
    const { table } = edge.w;
    edge.addUser('hal', 'secret', 0, true);
    const closed = { type: INBOUND_SOCKS5, listenFds: [edge.listen(CLOSED_PORT)], service: -1 };
    edge.plan([...small.inbounds, closed]);
    edge.turn();
    const flood = new Uint8Array(1_400_000).fill(0x61);
    const spliced = small.relayed();
    spliced.server.hold();
    spliced.client.say(flood);
    until(() => table.piped(0, UP) > 0);
    const kept = small.relayed();
    kept.server.hold();
    kept.client.say(flood);
    until(() => table.left(1, UP) >= 0 && table.pipe(1, UP) < 0);
    const resetting = small.relayed();
    resetting.server.hold();
    // More than the one side's buffer, less than both: the edge has read it all, and the server has not.
    resetting.client.say(flood.subarray(0, 390_000));
    small.pass(50);
    resetting.client.reset();
    until(() => table.state(2) === SLOT_RESETTING);
    const halfClosed = small.relayed();
    halfClosed.client.fin();
    until(() => server.last().sawFin);
    const greeting = dial(edge, SOCKS_PORT).say([5]);
    const naming = dial(edge, SOCKS_PORT)
      .say(SOCKS_GREETING)
      .say(socksRequest(80, [3, 6, ...Buffer.from('a.test')]));
    const verifying = dial(edge, CLOSED_PORT)
      .say([5, 1, 2])
      .say([1, 3, ...Buffer.from('hal'), 6, ...Buffer.from('secret')]);
    const connecting = dial(edge, SOCKS_PORT).say(SOCKS_GREETING).say(socksRequest(80, SILENT));
    const refused = dial(edge, HTTP_PORT).say('nonsense\r\n\r\n');
    const isIn = (state: number, count: number) => {
      let found = 0;
      for (let slot = 0; slot < 9; slot++) if (table.state(slot) === state) found++;
      return found === count;
    };
    until(
      () => refused.sawFin && isIn(SLOT_WAITING, 2) && isIn(SLOT_CONNECTING, 1) && isIn(SLOT_HANDSHAKE, 1),
    );
    expect([SLOT_LINGERING, SLOT_RESETTING].map((state) => isIn(state, 1))).toEqual([true, true]);
    expect(isIn(SLOT_RELAYING, 3)).toBe(true);
    const clients = [spliced, kept, halfClosed].map(({ client }) => client);
    return { small, clients: [...clients, greeting, naming, verifying, connecting] };
  }

  it.each([false, true])('and nothing of them is left (orderly: %s)', (orderly) => {
    const { small, clients } = startAllStates();
    const { edge, until } = small;
    const asked = edge.posted.slice();
    expect(edge.w.slots.live).toBe(9);
    expect(evict(small, { orderly })).toMatchObject({ matched: 9, closed: 9 });
    until(() => clients.every(({ isOver }) => isOver));
    edge.turn();
    expect(edge.leaks()).toEqual([]);
    expect(edge.ended(EVICTED)).toBe(9);
    // Answers that come now find nobody.
    const next = small.relayed();
    for (const message of asked) {
      if (message.kind === 'resolve') {
        const { slot, generation } = message;
        edge.tell({ kind: 'resolved', slot, generation, addresses: new Int32Array(4), reason: 0 });
      } else if (message.kind === 'verify') {
        const { slot, generation } = message;
        edge.tell({ kind: 'verified', slot, generation, reason: 0 });
      }
    }
    small.pass(10);
    expect(next.client.isOver).toBe(false);
    expectNothingLeft(small);
    expect(edge.close()).toEqual([]);
  });

  it('and a reconciliation only ends what no longer holds, each for its own reason', () => {
    const { small } = startAllStates();
    const { edge, until } = small;
    edge.reconcile(LIST_SERVICE, 0);
    small.pass(20);
    expect(edge.w.slots.live).toBe(9);
    edge.tables.services.setFlags(0, 0);
    edge.reconcile(LIST_SERVICE, 0);
    // In no service's list: who has only greeted, who is asked for a password, who was refused before.
    until(() => edge.w.slots.live <= 3);
    expect([edge.ended(SERVICE_DISABLED), edge.ended(EVICTED)]).toEqual([6, 0]);
    expectNothingLeft(small);
  });
});
