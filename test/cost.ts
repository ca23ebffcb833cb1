// What some work costs this process, for tests that bound it: by the clock, or by its processor time where that is less,
// because it had to wait for others then. Work that does too much has both.

export async function costMsOf(work: () => void | Promise<void>): Promise<number> {
  const beganMs = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return Math.min(performance.now() - beganMs, (user + system) / 1_000);
}
