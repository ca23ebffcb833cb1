import { describe, expect, it } from 'vitest';
import { checkConfiguration } from '../config/check.ts';
import type { Configuration } from '../config/configuration.ts';
import type { Plan } from '../layout/messages.ts';
import { createDirectory, type Names } from './directory.ts';

const NONE: Names = { find: () => undefined, nameOf: () => undefined, all: () => [] };

function configured(inbounds: readonly string[], outbounds: readonly string[]): Configuration {
  const text = JSON.stringify({
    inbounds: inbounds.map((tag, at) => ({ tag, type: 'http', listen: `127.0.0.1:${4000 + at}` })),
    outbounds: outbounds.map((tag) => ({ tag, type: 'direct' })),
  });
  const { configuration, mistakes } = checkConfiguration(text, '/edge.json');
  if (configuration === undefined) throw new Error(JSON.stringify(mistakes));
  return configuration;
}

/** An edge that counts how often it is asked for a plan. */
function edgeOf(inbounds: readonly string[], outbounds: readonly string[]) {
  const asked = { plans: 0 };
  const edge = {
    version: 1,
    configuration: configured(inbounds, outbounds),
    identities: { services: NONE, users: NONE },
    /** Indexes from the highest down, so that no place stands for an index by chance. */
    indexes: (count: number) => Array.from({ length: count }, (_, at) => ({ index: 9 - at, generation: 3 })),
    planFor(): Plan {
      asked.plans++;
      const { inbounds: tags, outbounds: others } = edge.configuration;
      return {
        inbounds: edge.indexes(tags.length),
        outbounds: edge.indexes(others.length),
      } as unknown as Plan;
    },
  };
  return {
    edge,
    asked,
    directory: createDirectory(edge as unknown as Parameters<typeof createDirectory>[0]),
  };
}

describe('directory', () => {
  it('knows inbounds and outbounds of the plan in force, in both directions', () => {
    const { directory, asked } = edgeOf(['web', 'socks'], ['direct']);
    expect(directory.inbounds.find('socks')).toEqual({ index: 8, generation: 3 });
    expect(directory.inbounds.nameOf(8, 3)).toBe('socks');
    expect(directory.inbounds.nameOf(8, 2)).toBeUndefined();
    expect(directory.inbounds.nameOf(-1, 3)).toBeUndefined();
    expect(directory.inbounds.find('direct')).toBeUndefined();
    expect(directory.outbounds.nameOf(9, 3)).toBe('direct');
    expect([...directory.inbounds.all()]).toEqual(['web', 'socks']);
    expect(asked.plans).toBe(1);
  });

  it('forgets what a later plan does not have', () => {
    const { edge, directory } = edgeOf(['web', 'socks'], ['direct']);
    expect(directory.inbounds.nameOf(9, 3)).toBe('web');
    edge.configuration = configured(['socks'], ['direct']);
    edge.indexes = () => [{ index: 8, generation: 3 }];
    edge.version++;
    expect(directory.inbounds.nameOf(9, 3)).toBeUndefined();
    expect(directory.inbounds.find('web')).toBeUndefined();
    expect(directory.inbounds.nameOf(8, 3)).toBe('socks');
  });

  it('has no rules yet', () => {
    const { directory } = edgeOf(['web'], ['direct']);
    expect(directory.rules.find('any')).toBeUndefined();
    expect([...directory.rules.all()]).toEqual([]);
  });
});
