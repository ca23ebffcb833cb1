// What the store holds of services, back into services, when the daemon starts. It was checked before it was stored, but
// perhaps by another version, or edited since. Control thread.

import { dirname } from 'node:path';
import { checkServices } from '../config/check-service.ts';
import type { Configuration } from '../config/configuration.ts';
import { pathText, type RequestMistake } from '../config/mistakes.ts';
import type { StoredService } from '../layout/keeper-messages.ts';
import { SluiceError } from './errors.ts';
import { isMapping, type WrittenMapping } from './service-writing.ts';
import type { ApiService } from './services.ts';

/** More are not told: they are of one kind. */
const MISTAKES_MAX = 1_000;

/** @throws SluiceError stored_services_invalid, with all mistakes */
export function readStoredServices(
  stored: readonly StoredService[],
  configuration: Configuration,
): ApiService[] {
  if (stored.length === 0) return [];
  const mistakes: RequestMistake[] = [];
  const written = stored.map(({ name, definition }): WrittenMapping => {
    const value = parsed(definition);
    if (isMapping(value) && value['name'] === name) return value;
    const message = 'is not the service that its name says';
    mistakes.push({ path: pathText([name]), found: 'something else', expected: 'a service', message });
    return { name };
  });
  // Whether outbounds exist is asked where file and API meet (services.ts), which can say more.
  const named = written.flatMap(({ outbound }) => (typeof outbound === 'string' ? outbound : []));
  const outbounds = [...new Set([...configuration.outbounds.map(({ tag }) => tag), ...named])];
  const context = { baseDirectory: dirname(configuration.fileName), outbounds };
  const checked = checkServices(written, context, (place) => [stored[place]?.name ?? place]);
  mistakes.push(...checked.mistakes);
  if (mistakes.length > 0) {
    const message =
      `the store ${configuration.storePath} holds services that this version cannot read: ` +
      `${mistakes[0]?.path}: ${mistakes[0]?.message}`;
    throw new SluiceError('stored_services_invalid', message, { mistakes: mistakes.slice(0, MISTAKES_MAX) });
  }
  return checked.services.map((definition, place) => ({
    owner: 'api',
    revision: stored[place]?.revision ?? 1,
    definition,
    written: written[place],
  }));
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
