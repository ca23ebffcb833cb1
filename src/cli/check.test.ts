// `sluice check` of rules and of the rule sets beside the file: every mistake with the file in which it is.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { checkCommand } from './check.ts';
import { EXIT_OK, EXIT_REFUSED } from './exit-codes.ts';

let directory = '';
let printed = '';
let complained = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-check-'));
  printed = '';
  complained = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => Boolean((printed += String(text))));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => Boolean((complained += String(text))));
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

function file(name: string, text: string): string {
  const fileName = join(directory, name);
  writeFileSync(fileName, text);
  return fileName;
}

const INBOUND = 'inbounds: [{ type: socks5, listen: 127.0.0.1:1080 }]';
const RULE_SET = `${INBOUND}
rule_sets: [{ tag: ads, path: ads.json }, { tag: far, url: "https://lists.example/far.srs" }]
rules: [{ rule_set: [ads, far], action: reject }]
`;

it('tells mistakes and warnings of rules at their lines', () => {
  const rules = 'rules:\n- { action: reject }\n- { domain: a.example, action: reject }';
  expect(checkCommand(file('edge.yaml', `${INBOUND}\n${rules}\n`), {})).toBe(EXIT_OK);
  expect(complained).toMatch(
    /edge\.yaml:4:3 warning: rules\[1\]: can never match: rule "r\w{8}" \(rules\[0\]\)/,
  );
  complained = '';
  expect(
    checkCommand(file('edge.yaml', `${INBOUND}\nrules: [{ domain: a..b, outbound: direct }]\n`), {}),
  ).toBe(EXIT_REFUSED);
  expect(complained).toMatch(/edge\.yaml:2:19 rules\[0\]\.domain: "a\.\.b" is not a name/);
});

it('reads rule sets of this machine, and asks for no others', () => {
  file('ads.json', '{ "version": 1, "rules": [{ "domain_suffix": "ads.example" }] }');
  expect(checkCommand(file('edge.yaml', RULE_SET), {})).toBe(EXIT_OK);
  expect(complained).toBe('');
});

it('tells mistakes in a rule set with its name, line and column', () => {
  file('ads.json', '{ "version": 1,\n  "rules": [{ "domain_sufix": "ads.example" }] }');
  expect(checkCommand(file('edge.yaml', RULE_SET), {})).toBe(EXIT_REFUSED);
  expect(complained).toMatch(/ads\.json:2:\d+ .*domain_sufix/);
  expect(printed).toBe('');
  expect(checkCommand(join(directory, 'edge.yaml'), { json: true })).toBe(EXIT_REFUSED);
  expect(JSON.parse(printed)).toMatchObject({
    ok: false,
    mistakes: [{ file: join(directory, 'ads.json'), line: 2 }],
  });
});

it('tells of a rule set that is not there', () => {
  expect(checkCommand(file('edge.yaml', RULE_SET), {})).toBe(EXIT_REFUSED);
  expect(complained).toMatch(/ads\.json:1:1 rule set "ads" cannot be read: ENOENT/);
});

it('tells of a database that is none', () => {
  const geo = `${INBOUND}\ngeo: { country: geo.mmdb }\nrules: [{ geoip: de, action: reject }]\n`;
  file('geo.mmdb', 'nothing of the kind');
  expect(checkCommand(file('edge.yaml', geo), {})).toBe(EXIT_REFUSED);
  expect(complained).toMatch(/geo\.mmdb:1:1 /);
});
