// Every configuration in the pages and examples passes `sluice check`, without mistakes and without warnings: what a
// reader copies must work, and hold. Fragments without inbounds get the smallest one.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkFileRules } from '../../src/compile/check/check-rules.ts';
import { checkConfiguration } from '../../src/config/check.ts';
import { blocks, pages, ROOT } from './pages.ts';

const INBOUNDS = 'inbounds: [{ type: socks5, listen: 127.0.0.1:1080 }]\n';

const texts = pages()
  .flatMap(({ name, text }) => blocks(text, 'yaml').map((block, index) => ({ name, index, text: block })))
  .map(({ name, index, text }) => ({
    name: `${name}, block ${index + 1}`,
    text: /^inbounds:/m.test(text) ? text : INBOUNDS + text,
  }));
const example = {
  name: 'examples/edge.yaml',
  text: readFileSync(join(ROOT, 'examples/edge.yaml'), 'utf8'),
};

describe('configurations', () => {
  it('are there', () => expect(texts.length).toBeGreaterThan(5));

  it.each([...texts, example])('$name passes the check', ({ text }) => {
    const { mistakes, warnings } = checkConfiguration(text, join(ROOT, 'examples/edge.yaml'), checkFileRules);
    expect([...mistakes, ...warnings].map(({ path, message }) => `${path}: ${message}`)).toEqual([]);
  });
});
