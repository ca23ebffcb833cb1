import { describe, expect, it } from 'vitest';
import { checkConfiguration } from '../config/check.ts';
import type { Configuration } from '../config/configuration.ts';
import { createDirectory, type Names } from './directory.ts';
import { createPlanner } from './plan.ts';

const NONE: Names = { find: () => undefined, nameOf: () => undefined, all: () => [] };

function configured(inbounds: readonly string[], outbounds: readonly string[], type = 'http'): Configuration {
  const text = JSON.stringify({
    inbounds: inbounds.map((tag, at) => ({ tag, type, listen: `127.0.0.1:${4000 + at}` })),
    outbounds: outbounds.map((tag) => ({ tag, type: 'direct' })),
  });
  const { configuration, mistakes } = checkConfiguration(text, '/edge.json');
  if (configuration === undefined) throw new Error(JSON.stringify(mistakes));
  return configuration;
}

/** Over a planner that has no listeners at all, as in a drain. */
function directoryOf(configuration: Configuration) {
  const planner = createPlanner();
  function assign(next: Configuration) {
    planner.assignOutbounds(next);
    planner.assignInbounds(next);
    planner.complete(next);
    planner.settle();
  }
  assign(configuration);
  const identities = { services: NONE, users: NONE } as Parameters<typeof createDirectory>[0]['identities'];
  return { assign, directory: createDirectory({ identities, objects: planner }, NONE) };
}

describe('directory', () => {
  it('knows inbounds and outbounds in force, in both directions, whether or not anybody listens', () => {
    const { directory } = directoryOf(configured(['web', 'socks'], ['direct']));
    const { index, generation } = directory.inbounds.find('socks') ?? { index: -1, generation: -1 };
    expect(directory.inbounds.nameOf(index, generation)).toBe('socks');
    expect(directory.inbounds.nameOf(index, generation + 1)).toBeUndefined();
    expect(directory.inbounds.nameOf(-1, generation)).toBeUndefined();
    expect(directory.inbounds.find('direct')).toBeUndefined();
    const direct = directory.outbounds.find('direct') ?? { index: -1, generation: -1 };
    expect(directory.outbounds.nameOf(direct.index, direct.generation)).toBe('direct');
    expect([...directory.inbounds.all()]).toEqual(['web', 'socks']);
  });

  it('forgets what is gone, also where another has its index or its tag', () => {
    const { assign, directory } = directoryOf(configured(['web', 'socks'], ['direct']));
    const web = directory.inbounds.find('web') ?? { index: -1, generation: -1 };
    const socks = directory.inbounds.find('socks') ?? { index: -1, generation: -1 };
    assign(configured(['socks'], ['direct']));
    expect(directory.inbounds.nameOf(web.index, web.generation)).toBeUndefined();
    expect(directory.inbounds.find('web')).toBeUndefined();
    expect(directory.inbounds.nameOf(socks.index, socks.generation)).toBe('socks');
    assign(configured(['socks', 'other'], ['direct']));
    expect(directory.inbounds.nameOf(web.index, web.generation)).toBeUndefined();
    expect(directory.inbounds.find('other')).toMatchObject({ index: web.index });
    assign(configured(['socks'], ['direct'], 'socks5'));
    expect(directory.inbounds.nameOf(socks.index, socks.generation)).toBeUndefined();
    expect(directory.inbounds.find('socks')).not.toMatchObject({
      generation: socks.generation,
      index: socks.index,
    });
  });
});
