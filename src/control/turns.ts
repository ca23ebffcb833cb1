// One job after the other, in the order in which they came. Control thread.

/** Runs `job` when those before it are over, however they ended; rejects as it does. */
export type InTurn = <T>(job: () => Promise<T>) => Promise<T>;

export function createTurns(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (job) => {
    const result = last.then(job, job);
    last = result.catch(() => {});
    return result;
  };
}
