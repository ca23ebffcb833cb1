// What a service, and each of its users, has used: rows of counters for each worker, written by that worker alone and
// only ever growing; the control thread adds them up (control/hot-set.ts). A connection counts in one row: that of its
// credential where it has one, else that of its service. So an event costs one addition, and a service's use is the sum of
// its own row and those of its credentials.
//
// `dirty` is the mark of the hot set: a worker that changes a row whose mark is 0 sets it and puts the row into its ring
// of dirty rows; the control thread takes the mark away once it has seen the row unchanged.

import { defineRecords, f64, i32, words } from '../memory/records.ts';
import { REFUSALS_MAX } from './reasons.ts';
import { SPARE_ROWS } from './spare-rows.ts';

export const usageType = defineRecords('Usage', {
  /** Bytes delivered. */
  upBytes: f64,
  downBytes: f64,
  /** Connections that were told apart as this row's. */
  connections: f64,
  /** Refusals by kind (reasons.ts), counted with wrap-around. */
  refused: words(REFUSALS_MAX),
  dirty: i32,
});

export type UsageTable = ReturnType<typeof usageType.attach>;

/** Row of a service's connections that no credential admitted. */
export function usageOfService(service: number): number {
  return service;
}

/** @param servicesMax `TableLimits.services` */
export function usageOfCredential(servicesMax: number, credential: number): number {
  return servicesMax + SPARE_ROWS + credential;
}

export function usageRows(servicesMax: number, credentialsMax: number): number {
  return servicesMax + SPARE_ROWS + credentialsMax;
}
