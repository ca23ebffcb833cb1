// A log-linear histogram of latencies (the idea of HdrHistogram): small values are counted exactly, each further octave
// is split into 1,024 equal buckets, so that no answer is off by more than 0.1 %. Fixed memory, no allocation per value.
//
//   value    0 .. 2047        exact                          buckets    0 .. 2047
//            2048 .. 4095     2 values a bucket              buckets 2048 .. 3071
//            4096 .. 8191     4 values a bucket              ...
// @source http://hdrhistogram.org; wrk2's README on counting from the intended start

const EXACT_BITS = 11;
const EXACT_COUNT = 1 << EXACT_BITS;
const OCTAVE_COUNT = EXACT_COUNT >> 1;
const BUCKET_COUNT = EXACT_COUNT + (31 - EXACT_BITS) * OCTAVE_COUNT;

/** Larger values are counted as this one. */
export const HISTOGRAM_VALUE_MAX = 0x7fff_ffff;

/** The bucket of `value`, an integer in [0, HISTOGRAM_VALUE_MAX]. */
function bucketOf(value: number): number {
  if (value < EXACT_COUNT) return value;
  const shift = 32 - EXACT_BITS - Math.clz32(value);
  return EXACT_COUNT + (shift - 1) * OCTAVE_COUNT + ((value >>> shift) - OCTAVE_COUNT);
}

/** The middle of a bucket. */
function valueOf(bucket: number): number {
  if (bucket < EXACT_COUNT) return bucket;
  const shift = ((bucket - EXACT_COUNT) / OCTAVE_COUNT + 1) | 0;
  const first = (OCTAVE_COUNT + ((bucket - EXACT_COUNT) % OCTAVE_COUNT)) * 2 ** shift;
  return first + (2 ** shift - 1) / 2;
}

export class Histogram {
  private readonly counts = new Int32Array(BUCKET_COUNT);
  count = 0;

  record(value: number): void {
    const whole = value < 0 ? 0 : value > HISTOGRAM_VALUE_MAX ? HISTOGRAM_VALUE_MAX : value | 0;
    const bucket = bucketOf(whole);
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.count++;
  }

  reset(): void {
    this.counts.fill(0);
    this.count = 0;
  }

  /**
   * The value below or at which the share `quantile` of all values lies (nearest rank).
   * @param quantile (0, 1]
   * @returns NaN where nothing was recorded
   */
  quantile(quantile: number): number {
    if (this.count === 0) return Number.NaN;
    const rank = Math.max(1, Math.ceil(quantile * this.count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      seen += this.counts[bucket] as number;
      if (seen >= rank) return valueOf(bucket);
    }
    return HISTOGRAM_VALUE_MAX;
  }
}
