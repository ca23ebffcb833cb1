import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogDestination } from './log-destination.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A reader that takes `room` bytes, then stalls until it gets more. */
function setUp() {
  const reader = { room: 0, text: '', failure: 'EAGAIN' };
  const destination = createLogDestination((bytes) => {
    if (reader.room === 0) throw Object.assign(new Error(reader.failure), { code: reader.failure });
    const taken = Math.min(reader.room, bytes.length);
    reader.room -= taken;
    reader.text += bytes.toString('utf8', 0, taken);
    return taken;
  });
  return { reader, destination };
}

describe('log destination', () => {
  it('writes a line at once, and keeps order where the reader stalls in the middle of one', () => {
    const { reader, destination } = setUp();
    reader.room = 8;
    destination.write('first\n');
    expect(reader.text).toBe('first\n');
    destination.write('second\n');
    destination.write('third\n');
    expect(reader.text).toBe('first\nse');
    reader.room = 7;
    vi.advanceTimersByTime(100);
    destination.write('fourth\n');
    reader.room = 100;
    vi.advanceTimersByTime(100);
    expect(reader.text).toBe('first\nsecond\nthird\nfourth\n');
    expect([destination.dropped, destination.queuedBytes]).toEqual([0, 0]);
  });

  it('holds a mebibyte for a reader that stalls, drops whole lines beyond it, and counts them', () => {
    const { reader, destination } = setUp();
    const line = `${'x'.repeat(1023)}\n`;
    for (let i = 0; i < 1030; i++) destination.write(line);
    expect(destination.queuedBytes).toBe(1024 * 1024);
    expect(destination.dropped).toBe(6);
    reader.room = Number.MAX_SAFE_INTEGER;
    vi.advanceTimersByTime(100);
    expect(reader.text).toBe(line.repeat(1024));
  });

  it('goes on where there is no reader any more', () => {
    const { reader, destination } = setUp();
    reader.failure = 'EPIPE';
    destination.write('lost\n');
    expect([destination.dropped, destination.queuedBytes]).toEqual([1, 0]);
  });

  it('waits for a stalled reader at the end, but not for ever', async () => {
    vi.useRealTimers();
    const { reader, destination } = setUp();
    destination.write('late\n');
    await destination.drain();
    expect([reader.text, destination.queuedBytes]).toEqual(['', 5]);
    const drained = destination.drain();
    reader.room = 100;
    await drained;
    expect(reader.text).toBe('late\n');
  });
});
