// Rows behind the last service and the last target, one a worker: those that it warms itself with (path/warm.ts). No name
// leads to them.
export const SPARE_ROWS = 64;
