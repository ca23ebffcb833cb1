import { expect, it } from 'vitest';
import { configurationReference } from './configuration-reference.ts';

it('the reference of the configuration is what the schema says (npm run docs writes it)', async () => {
  await expect(configurationReference()).toMatchFileSnapshot('../../docs/reference/configuration.md');
});
