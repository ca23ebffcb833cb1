// The figure of eviction time against registry size, from a file of results. Pure.

import { EVICTION_METRIC, EVICTION_SIZE_WORK, SCAN_METRIC, SIZE_METRIC } from './eviction-size.ts';
import { plotSvg } from './plot.ts';

/** What this needs of results/<date>-<name>.json. */
export interface Results {
  readonly date: string;
  readonly machine: { readonly processor: string; readonly kernel: string; readonly node: string };
  readonly works: readonly {
    readonly work: string;
    readonly metrics: readonly {
      readonly metric: string;
      readonly subjects: Readonly<Record<string, { readonly median: number | null }>>;
    }[];
  }[];
}

/** @throws where the results have no figures of that work */
export function evictionFigure(results: Results): string {
  const work = results.works.find((each) => each.work === EVICTION_SIZE_WORK);
  if (work === undefined) throw new Error(`the results have no "${EVICTION_SIZE_WORK}"`);
  const medians = (name: string): Map<string, number> => {
    const metric = work.metrics.find((each) => each.metric === name);
    const cells = Object.entries(metric?.subjects ?? {});
    return new Map(cells.flatMap(([subject, { median }]) => (median === null ? [] : [[subject, median]])));
  };
  const sizes = medians(SIZE_METRIC);
  const pointsOf = (name: string) =>
    [...medians(name)]
      .flatMap(([subject, y]) => {
        const x = sizes.get(subject);
        return x === undefined ? [] : [{ x, y }];
      })
      .toSorted((a, b) => a.x - b.x);
  const { processor, kernel, node } = results.machine;
  return plotSvg({
    title: 'Ending 32 connections of one (service, source)',
    x: {
      label: `registered connections (${processor}, Linux ${kernel}, Node ${node}, ${results.date.slice(0, 10)})`,
      format: (value) => value.toLocaleString('en-US'),
    },
    y: { label: 'time of the worker, median', format: formatMicroseconds },
    series: [
      {
        name: 'eviction through the index',
        color: '#0b6bcb',
        points: pointsOf(EVICTION_METRIC),
      },
      {
        name: 'scan of the same table, counting only',
        color: '#c2410c',
        points: pointsOf(SCAN_METRIC),
      },
    ],
  });
}

/** Three digits at most, in the unit that fits. */
export function formatMicroseconds(value: number): string {
  const [amount, unit] =
    value >= 1e6 ? [value / 1e6, 's'] : value >= 1000 ? [value / 1000, 'ms'] : [value, 'µs'];
  return `${Number(amount.toPrecision(3))} ${unit}`;
}
