// docs/reference/configuration.md, made from the schema: every key with its type, default and meaning. The text is the
// schema's own, so whoever adds a key there has documented it, and `npm run docs` writes the page.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { checkFileRules } from '../../src/compile/check/check-rules.ts';
import { checkConfiguration } from '../../src/config/check.ts';
import { DEFAULTS, configurationSchema } from '../../src/config/schema.ts';

/** What the page needs of JSON Schema. */
interface Schema {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly $ref?: string;
}

interface Section {
  readonly title: string;
  readonly lead: string;
  readonly schema: Schema;
}

const HEAD = `# Configuration

Made from \`src/config/schema.ts\` by \`npm run docs\`; do not edit.

YAML or JSON. Every key but \`inbounds\` has a default; a key that is not listed here is a mistake. \`sluice check FILE\` lists all
mistakes at once, each with its path, line and the nearest valid name. Relative paths start from the directory of the file.
\`sluice schema\` prints the JSON Schema for editors; it is also \`schema/sluice.schema.json\`.

| unit | written as | means |
| --- | --- | --- |
| duration | \`250ms\`, \`2s\`, \`10m\`, \`1h30m\`, \`1d\` | milliseconds to days; a number without a unit is a mistake |
| data rate | \`20mbit\`, \`1gbit\`, \`512kB/s\`, \`10MB/s\`, \`10MiB/s\` | bits or bytes a second; \`k\`, \`M\`, \`G\` are 1000s, \`Ki\` and on 1024s |
| rate of events | \`50/s\`, \`10/m\`, \`100/h\`, \`1000/d\` | events a second, minute, hour or day |
| network | \`10.0.0.0/8\`, \`2001:db8::/32\` | |
| target | \`host:port\`, \`[IPv6]:port\`, \`unix:/path\` | where to connect |
| listen address | \`address:port\`, \`[IPv6]:port\`, \`:port\`, \`unix:/path\` | \`:port\` is every address; port 0 any free port |

Accepted with a warning, but **not enforced yet**: `;

/** To its end, which is a full stop before another sentence or the end: file names and numbers have dots too. */
const DEFAULT_SENTENCE = / ?Default: (.+?)\.(?= [A-Z]|$)/;
const TARGET_FORMS = ': host:port, [IPv6]:port or unix:/path';

/** The page. */
export function configurationReference(): string {
  const sections: Section[] = [];
  const root = configurationSchema as unknown as Schema & { definitions: { rule: Schema } };
  collect(sections, { title: 'The file', lead: '', schema: root });
  collect(sections, {
    title: '`rules[]`',
    lead: 'Conditions of one rule all have to hold; several values of one condition are alternatives.',
    schema: root.definitions.rule,
  });
  return `${HEAD}${notEnforced().join(', ')}.\n${sections.map(sectionText).join('')}`;
}

/** The example that uses every key says itself what is waiting for its feature. */
function notEnforced(): string[] {
  const fileName = fileURLToPath(new URL('../../src/config/whole-example.yaml', import.meta.url));
  const { warnings } = checkConfiguration(readFileSync(fileName, 'utf8'), fileName, checkFileRules);
  const keys = warnings
    .filter(({ message }) => message.includes('not enforced yet'))
    .map(({ path, found }) => {
      const key = `\`${path.replaceAll(/\[\d+\]/g, '[]')}\``;
      return /^(type|network|action) /.test(found) ? `${key} with \`${found.split(' ')[1]}\`` : key;
    });
  return [...new Set(keys)];
}

/** A section for `section` and one for each mapping below it. */
function collect(sections: Section[], section: Section): void {
  sections.push(section);
  for (const [key, property] of Object.entries(section.schema.properties ?? {})) {
    const name = section.title.startsWith('`') ? `${bare(section.title)}.${key}` : key;
    collectBelow(sections, name, property);
  }
}

function collectBelow(sections: Section[], name: string, schema: Schema): void {
  if (schema.items !== undefined) collectBelow(sections, `${name}[]`, schema.items);
  for (const variant of schema.oneOf ?? []) {
    const type = String(variant.properties?.['type']?.const);
    const lead = variant.properties?.['type']?.description ?? '';
    collect(sections, { title: `\`${name}\` of type \`${type}\``, lead, schema: variant });
  }
  const mapping =
    schema.properties === undefined ? schema.anyOf?.find(({ properties }) => properties) : schema;
  if (mapping !== undefined) {
    collect(sections, { title: `\`${name}\``, lead: schema.description ?? '', schema: mapping });
  }
}

/** `inbounds[]` of `` `inbounds[]` of type `sni` ``. */
function bare(title: string): string {
  return title.split('`')[1] ?? title;
}

function sectionText({ title, lead, schema }: Section): string {
  const rows = Object.entries(schema.properties ?? {}).map(([key, property]) => {
    const required = schema.required?.includes(key) ? '**required**' : defaultText(key, property);
    return `| \`${key}\` | ${typeText(property)} | ${required} | ${cell(meaning(property))} |\n`;
  });
  const leadText = lead === '' ? '' : `${lead}\n\n`;
  return `\n## ${title}\n\n${leadText}| key | type | default | meaning |\n| --- | --- | --- | --- |\n${rows.join('')}`;
}

/** The default and the form have columns of their own. */
function meaning({ description = '' }: Schema): string {
  return description.replace(DEFAULT_SENTENCE, '').replace(TARGET_FORMS, '').trim();
}

function typeText(schema: Schema): string {
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.title !== undefined) return cell(schema.title.replace(/ such as .*$/, ''));
  if (schema.type === 'integer') {
    const { minimum, maximum } = schema;
    return minimum === undefined ? 'a whole number' : `a whole number from ${minimum} to ${maximum}`;
  }
  if (schema.type === 'boolean') return '`true` or `false`';
  if (schema.type === 'array') return 'a list';
  if (schema.type === 'object') return 'a mapping';
  return schema.type === 'string' ? 'a string' : '';
}

function defaultText(key: string, schema: Schema): string {
  if (key === 'enabled') return '`true`';
  if (schema.default !== undefined) return `\`${String(schema.default)}\``;
  const said = DEFAULT_SENTENCE.exec(schema.description ?? '')?.[1]?.replace(TARGET_FORMS, '');
  if (said !== undefined) return cell(said);
  return schema.properties !== undefined && key in DEFAULTS ? 'see below' : '';
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
