// Services as the API is sent them, by the same checks as those of a file: one vocabulary, and the same words for what is
// wrong. What only the services in force can tell (who owns a name, who has a user) is not looked at here. Control thread.

import type { Service } from './configuration.ts';
import {
  type Complaint,
  MISTAKES_MAX,
  messageOf,
  type Path,
  pathText,
  type RequestMistake,
} from './mistakes.ts';
import { notEnforced } from './not-enforced.ts';
import type { Reading } from './reading.ts';
import { checkServiceReferences, collectIdentities } from './references.ts';
import { readService } from './services.ts';
import { checkServicesShape } from './shape.ts';

export interface ServiceContext {
  /** What relative paths start from. */
  readonly baseDirectory: string;
  /** Tags of the outbounds in force. */
  readonly outbounds: readonly string[];
}

export interface CheckedServices {
  /** In the order given; whole only where there are no mistakes. */
  readonly services: readonly Service[];
  readonly mistakes: readonly RequestMistake[];
  readonly warnings: readonly RequestMistake[];
}

/**
 * @param list of plain values; they are changed where there are mistakes
 * @param pathOf where a service stands in what was sent; paths go on from there
 */
export function checkServices(
  list: readonly unknown[],
  context: ServiceContext,
  pathOf: (place: number) => Path = (place) => ['services', place],
): CheckedServices {
  const { written, complaints, untold } = checkServicesShape({ services: list });
  const reading: Reading = {
    mistakes: [...complaints],
    untold,
    warnings: [],
    baseDirectory: context.baseDirectory,
  };
  const services: Service[] = [];
  for (const [place, one] of (written.services ?? []).entries()) {
    const service = readService(reading, one, place);
    if (service !== undefined) services.push(service);
  }
  checkServiceReferences(reading, written, new Map(context.outbounds.map((tag) => [tag, tag])));
  collectIdentities(reading, written, (path) => requestPath(path, pathOf));
  const asked = (complaint: Complaint) => requestMistake(complaint, pathOf);
  return {
    services,
    mistakes: reading.mistakes.slice(0, MISTAKES_MAX).map(asked),
    warnings: notEnforced(written).map(asked),
  };
}

function requestPath(path: Path, pathOf: (place: number) => Path): Path {
  const [, place, ...rest] = path;
  return typeof place === 'number' ? [...pathOf(place), ...rest] : path;
}

/** @param complaint whose path begins with `services` and a place */
function requestMistake(complaint: Complaint, pathOf: (place: number) => Path): RequestMistake {
  return {
    path: pathText(requestPath(complaint.path, pathOf)),
    found: complaint.found,
    expected: complaint.expected,
    ...(complaint.nearest === undefined ? {} : { nearest: complaint.nearest }),
    message: messageOf(complaint),
  };
}
