// Who may use a service, asked of connections that come and, when it changed meanwhile, of those that wait.

import { describe, expect, it } from 'vitest';
import { dial } from '../../test/exactness/actors.ts';
import { FORWARD_PORT, startSmallEdge } from '../../test/exactness/small-edge.ts';
import type { SmallEdge } from '../../test/exactness/small-edge.ts';
import { LIST_SERVICE } from '../layout/lists.ts';
import { compileNetworks, NETWORK_WORDS } from '../layout/network-set.ts';
import { SOURCE_NOT_ALLOWED } from '../layout/reasons.ts';
import { readmit } from './admit.ts';
import { CONTINUE } from './flags.ts';

const BLOCK = 8;

/** Lets only these come. */
function allow({ edge }: SmallEdge, ...networks: string[]): void {
  const { tables } = edge.w;
  const compiled = compileNetworks(networks);
  tables.networks[BLOCK] = compiled.length / NETWORK_WORDS;
  tables.networks.set(compiled, BLOCK + 1);
  tables.services.setSources(0, networks.length === 0 ? 0 : BLOCK);
}

describe('source networks of a service', () => {
  it('let in who comes from one of them', () => {
    const small = startSmallEdge();
    allow(small, '10.0.0.0/8', '127.0.0.0/8');
    small.relayed();
    expect(small.edge.ended(SOURCE_NOT_ALLOWED)).toBe(0);
  });

  it('refuse everybody else, once the service is known', () => {
    const small = startSmallEdge();
    allow(small, '10.0.0.0/8', '::/0');
    dial(small.edge, FORWARD_PORT);
    small.until(() => small.edge.ended(SOURCE_NOT_ALLOWED) === 1);
    expect(small.server.accepted).toHaveLength(0);
    allow(small);
    small.relayed();
  });

  it('are asked again of a connection that stands', () => {
    const small = startSmallEdge();
    allow(small, '127.0.0.0/8');
    small.relayed();
    const { w } = small.edge;
    const slot = w.tables.lists[0]?.first(LIST_SERVICE, 0) as number;
    expect(readmit(w, slot)).toBe(CONTINUE);
    allow(small, '10.0.0.0/8');
    expect(readmit(w, slot)).toBe(SOURCE_NOT_ALLOWED);
  });

  it('hold nobody who has no address, as on a Unix socket', () => {
    const small = startSmallEdge();
    small.relayed();
    const { w } = small.edge;
    const slot = w.tables.lists[0]?.first(LIST_SERVICE, 0) as number;
    for (let word = 0; word < 4; word++) w.table.setSource(slot, word, 0);
    expect(readmit(w, slot)).toBe(CONTINUE);
    allow(small, '::/0', '0.0.0.0/0');
    expect(readmit(w, slot)).toBe(SOURCE_NOT_ALLOWED);
  });
});
