// `node dist/bench/governance/draw.js bench/results/FILE.json`: draws the figure of the documentation anew.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from '../checkout.ts';
import { evictionFigure, type Results } from './eviction-figure.ts';

const FIGURE = join(CHECKOUT, 'docs/figures/eviction-by-registry-size.svg');

const file = process.argv[2];
if (file === undefined) {
  process.stderr.write('usage: node dist/bench/governance/draw.js RESULTS.json\n');
  process.exit(2);
}
writeFileSync(FIGURE, evictionFigure(JSON.parse(readFileSync(file, 'utf8')) as Results));
process.stdout.write(`written to ${FIGURE}\n`);
