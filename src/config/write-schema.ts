// Writes schema/sluice.schema.json, from the compiled program and as a part of the build. The file is committed, so that
// editors can load it from the repository; a test compares it with its source.

import { mkdirSync, writeFileSync } from 'node:fs';
import { schemaText } from './schema.ts';

const directory = new URL('../../../schema/', import.meta.url);
mkdirSync(directory, { recursive: true });
writeFileSync(new URL('sluice.schema.json', directory), schemaText());
