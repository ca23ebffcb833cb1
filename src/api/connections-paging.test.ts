// Pages against a plain model, while connections come and go between them: whoever was there all the time is listed once,
// in order; whoever was not there when a page was read is not on it.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countConnections, readConnections } from '../control/connections.ts';
import { compileNetworks } from '../layout/network-set.ts';
import { dropConnection, makeTables, putConnection } from './api.fixture.ts';

const SLOTS = 24;

const change = fc.record({
  worker: fc.nat(1),
  slot: fc.nat(SLOTS - 1),
  service: fc.nat(2),
  inbound: fc.nat(1),
  host: fc.integer({ min: 1, max: 6 }),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

const wanted = fc.record({
  service: fc.option(fc.nat(2), { nil: undefined }),
  inbound: fc.option(fc.nat(1), { nil: undefined }),
  worker: fc.option(fc.nat(1), { nil: undefined }),
  host: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
});

const reference = (index: number | undefined) => (index === undefined ? undefined : { index, generation: 1 });

/** In place of a slot that is in use its connection goes. */
function apply(
  tables: ReturnType<typeof makeTables>,
  model: Map<string, Change & { id: string }>,
  one: Change,
) {
  const key = `${one.worker}-${one.slot}`;
  if (model.delete(key)) dropConnection(tables, one.worker, one.slot);
  else model.set(key, { ...one, id: putConnection(tables, one) });
}

describe('pages of connections', () => {
  it('hold everybody who stays, once and in order, and nobody who has gone', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { maxLength: 60 }),
        fc.array(fc.array(change, { maxLength: 6 }), { minLength: 1, maxLength: 8 }),
        wanted,
        fc.integer({ min: 1, max: 7 }),
        async (before, between, { service, inbound, worker, host }, limit) => {
          const tables = makeTables(SLOTS);
          const model = new Map<string, Change & { id: string }>();
          for (const one of before) apply(tables, model, one);
          const matching = () =>
            [...model.values()]
              .filter((one) => service === undefined || one.service === service)
              .filter((one) => inbound === undefined || one.inbound === inbound)
              .filter((one) => worker === undefined || one.worker === worker)
              .filter((one) => host === undefined || one.host === host)
              .sort((a, b) => a.worker - b.worker || a.slot - b.slot)
              .map(({ id }) => id);
          const source = host === undefined ? undefined : compileNetworks([`10.0.0.${host}`]);
          const filter = { service: reference(service), inbound: reference(inbound), worker, source };
          const count = countConnections(tables, filter);
          if (count !== undefined) expect(count).toBe(matching().length);

          const seen: string[] = [];
          let staying = new Set(matching());
          let after: Awaited<ReturnType<typeof readConnections>>['next'];
          for (let page = 0; ; page++) {
            const { connections, next } = await readConnections(tables, filter, after, limit);
            const ids = connections.map((one) => `${one.worker}-${one.slot}-${one.generation}`);
            const there = new Set(matching());
            expect(ids.filter((id) => !there.has(id))).toEqual([]);
            expect(ids.length).toBeLessThanOrEqual(limit);
            seen.push(...ids);
            if (next === undefined) break;
            after = next;
            for (const one of between[page] ?? []) apply(tables, model, one);
            const still = new Set(matching());
            staying = new Set([...staying].filter((id) => still.has(id)));
          }
          expect(new Set(seen).size).toBe(seen.length);
          expect([...staying].filter((id) => !seen.includes(id))).toEqual([]);
          const places = seen.map((id) => id.split('-').map(Number) as [number, number, number]);
          expect(places.toSorted(([a, b], [c, d]) => a - c || b - d)).toEqual(places);
        },
      ),
      { numRuns: 400 },
    );
  });
});
