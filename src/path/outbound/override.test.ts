// A rule says where to go, and the client at which port: no way to our own listeners. What an operator wrote as a whole, port
// included, is not judged.

import { describe, expect, it } from 'vitest';
import { dial } from '../../../test/exactness/actors.ts';
import { asked, expectNothingLeft, named, socks, words } from '../../../test/exactness/questions.ts';
import { putInForce, route } from '../../../test/exactness/rules.ts';
import { LOOPBACK } from '../../../test/exactness/simulated-edge.ts';
import {
  FORWARD_PORT,
  HTTP_PORT,
  SERVER_PORT,
  SOCKS_PORT,
  startSmallEdge,
} from '../../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../../test/exactness/small-edge.ts';
import { TARGET_OWN_LISTENER } from '../../layout/reasons.ts';
import { MAPPED_WORD } from '../../sys/socket-address.ts';

const TO_LOOPBACK = { words: [0, 0, MAPPED_WORD, LOOPBACK] as const };
const TO_NAME = { name: 'inside.test' };
const overrides = [
  ['an address', TO_LOOPBACK],
  ['a name', TO_NAME],
] as const;

/** The server counts as a listener of ours as well: whether a connection came there can be seen. */
function startOwn(): SmallEdge {
  const ownListeners = [SOCKS_PORT, SERVER_PORT].flatMap((port) => [0, 0, MAPPED_WORD, LOOPBACK, port]);
  return startSmallEdge({
    settings: {
      ownListeners: Int32Array.from([...ownListeners, 0, 0, MAPPED_WORD, 0, HTTP_PORT]),
      localAddresses: words(LOOPBACK),
    },
  });
}

function answer(small: SmallEdge): void {
  const question = asked(small, 'resolve');
  expect(question.name).toBe(TO_NAME.name);
  small.edge.tell({ ...question, kind: 'resolved', addresses: words(LOOPBACK), reason: 0 });
}

describe.each(overrides)('an override to %s', (_, overrideAddress) => {
  it.each([SOCKS_PORT, SERVER_PORT, HTTP_PORT])('leads no client to our own listener at %i', (port) => {
    const small = startOwn();
    putInForce(small.edge, [{ action: route(undefined, { overrideAddress }) }]);
    const client = socks(small, named('one.test', port));
    if (overrideAddress === TO_NAME) answer(small);
    small.until(() => client.isOver);
    expect(client.text.charCodeAt(3)).toBe(2);
    client.close();
    expectNothingLeft(small);
    expect(small.edge.ended(TARGET_OWN_LISTENER)).toBe(1);
    expect(small.server.accepted).toEqual([]);
  });

  it('with a port, or of an operator`s target, is not judged', () => {
    for (const overridePort of [SERVER_PORT, undefined]) {
      const small = startOwn();
      putInForce(small.edge, [{ action: route(undefined, { overrideAddress, overridePort }) }]);
      if (overridePort === undefined) dial(small.edge, FORWARD_PORT);
      else socks(small, named('one.test', 7));
      if (overrideAddress === TO_NAME) answer(small);
      small.until(() => small.server.accepted.length === 1);
      small.edge.evict();
      expectNothingLeft(small);
    }
  });
});
