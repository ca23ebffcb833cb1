// A line chart as SVG text, both axes logarithmic, written by hand: no library draws so little. Pure.
//
// Text has a size and a font of its own, and the ground is white, so that it reads the same on a light and on a dark page.

export interface Series {
  readonly name: string;
  readonly color: string;
  /** Positive, ascending in x. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface Axis {
  readonly label: string;
  /** Text of a tick, with its unit. */
  readonly format: (value: number) => string;
}

export interface Plot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

const WIDTH = 720;
const HEIGHT = 420;
const LEFT = 84;
const RIGHT = 28;
const TOP = 48;
const BOTTOM = 60;
const TICK_GAP = 8;
const LABEL_LIFT = 10;
const LEGEND_LINE = 20;

/** The powers of ten that enclose all values. @returns exponents, ascending */
export function decades(values: readonly number[]): number[] {
  if (values.length === 0 || values.some((value) => !(value > 0) || !Number.isFinite(value))) {
    throw new RangeError('a logarithmic axis has positive values only, and at least one');
  }
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))));
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

export function plotSvg(plot: Plot): string {
  const points = plot.series.flatMap((series) => series.points);
  const xDecades = decades(points.map(({ x }) => x));
  const yDecades = decades(points.map(({ y }) => y));
  const x = scale(xDecades, LEFT, WIDTH - RIGHT);
  const y = scale(yDecades, HEIGHT - BOTTOM, TOP);
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13" role="img">`,
    `<title>${escaped(plot.title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text(LEFT, TOP / 2 + 4, plot.title, 'font-size="15" font-weight="bold"'),
    ...xDecades.flatMap((exponent) => {
      const at = x(10 ** exponent);
      const label = plot.x.format(10 ** exponent);
      return [
        line(at, TOP, at, HEIGHT - BOTTOM),
        text(at, HEIGHT - BOTTOM + 2 * TICK_GAP + 2, label, 'text-anchor="middle"'),
      ];
    }),
    ...yDecades.flatMap((exponent) => {
      const at = y(10 ** exponent);
      const label = plot.y.format(10 ** exponent);
      return [line(LEFT, at, WIDTH - RIGHT, at), text(LEFT - TICK_GAP, at + 4, label, 'text-anchor="end"')];
    }),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, plot.x.label, 'text-anchor="middle"'),
    text(
      0,
      0,
      plot.y.label,
      `text-anchor="middle" transform="translate(18 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)"`,
    ),
    ...plot.series.flatMap((series) => drawSeries(series, x, y, plot.y.format)),
    ...plot.series.flatMap(({ name, color }, index) => drawLegend(name, color, index)),
    '</svg>',
  ];
  return `${lines.join('\n')}\n`;
}

function drawSeries(
  series: Series,
  x: (value: number) => number,
  y: (value: number) => number,
  format: (value: number) => string,
): string[] {
  const { color, points } = series;
  const path = points.map((point) => `${round(x(point.x))},${round(y(point.y))}`).join(' ');
  return [
    `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2.5"/>`,
    ...points.map(
      (point) => `<circle cx="${round(x(point.x))}" cy="${round(y(point.y))}" r="4" fill="${color}"/>`,
    ),
    ...points.map((point, index) => {
      const anchor = index === 0 ? 'start' : index === points.length - 1 ? 'end' : 'middle';
      const attributes = `fill="${color}" text-anchor="${anchor}"`;
      return text(x(point.x), y(point.y) - LABEL_LIFT, format(point.y), attributes);
    }),
  ];
}

/** In the upper left: whatever grows is further down there. */
function drawLegend(name: string, color: string, index: number): string[] {
  const at = TOP + LEGEND_LINE * (index + 1);
  const attributes = `fill="${color}" font-weight="bold"`;
  return [
    `<circle cx="${LEFT + LEGEND_LINE}" cy="${at}" r="4" fill="${color}"/>`,
    text(LEFT + 2 * LEGEND_LINE, at + 4, name, attributes),
  ];
}

/** From values to places, between the ends of the decades. */
function scale(exponents: readonly number[], from: number, to: number): (value: number) => number {
  const first = exponents[0] ?? 0;
  const last = exponents.at(-1) ?? 1;
  return (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from);
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="#d8dce2"/>`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  const fill = attributes.includes('fill=') ? '' : ' fill="#1f2933"';
  return `<text x="${round(x)}" y="${round(y)}"${fill} ${attributes}>${escaped(content)}</text>`;
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
