// Where lines of the access log go: a file, or standard error. Never waits for a reader, never throws: what cannot be
// written is counted, said once, and tried again with the lines that come later. Keeper thread.
//
// Lines for a file are gathered and written together at the end of a turn. Those for standard error go one by one: the
// daemon's log goes there too, and a pipe takes a line as a whole only if it comes alone.

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { createLogDestination } from '../sys/log-destination.ts';

const MODE = 0o640;
const REOPEN_AFTER_MS = 1_000;
const GATHERED_CHARACTERS_MAX = 256 * 1024;
const NEWLINE = 0x0a;

export interface LineSink {
  /** One line, with its end. */
  write(line: string): void;
  /** No more lines for now. */
  endTurn(): void;
  /** Lines that were lost. */
  readonly lost: number;
  close(): Promise<void>;
}

export interface LineSinkInit {
  /** null: standard error. */
  readonly path: string | null;
  /** The first line that is lost after one that was written. */
  readonly onFailure: (message: string) => void;
  readonly onRecovery: () => void;
}

export function createLineSink({ path, onFailure, onRecovery }: LineSinkInit): LineSink {
  const file = path === null ? undefined : createFile(path);
  const destination = file === undefined ? createLogDestination() : createLogDestination(putInto(file));
  let hasFailed = false;
  let lost = 0;
  let putsFailed = 0;
  let gathered = '';
  let gatheredLines = 0;

  /** A write that fails may be one that has waited: only here it is known how many lines it held. */
  function putInto(opened: OpenFile): (bytes: Buffer) => number {
    return (bytes) => {
      try {
        return opened.put(bytes);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') {
          putsFailed++;
          lost += linesIn(bytes);
          fail((error as Error).message);
        }
        throw error;
      }
    };
  }

  function fail(message: string): void {
    if (!hasFailed) onFailure(message);
    hasFailed = true;
  }

  function send(text: string, lines: number): void {
    const before = destination.dropped - putsFailed;
    const failedBefore = putsFailed;
    destination.write(text);
    if (destination.dropped - putsFailed > before) {
      lost += lines;
      fail('its reader does not keep up, or has gone');
    } else if (hasFailed && putsFailed === failedBefore && destination.queuedBytes === 0) {
      hasFailed = false;
      onRecovery();
    }
  }

  function sendGathered(): void {
    if (gatheredLines > 0) send(gathered, gatheredLines);
    gathered = '';
    gatheredLines = 0;
  }

  return {
    write(line) {
      if (file === undefined) {
        send(line, 1);
        return;
      }
      gathered += line;
      gatheredLines++;
      if (gathered.length >= GATHERED_CHARACTERS_MAX) sendGathered();
    },
    endTurn: sendGathered,
    get lost() {
      return lost;
    },
    async close() {
      sendGathered();
      await destination.drain();
      file?.close();
    },
  };
}

function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}

interface OpenFile {
  /** As writeSync; opens the file where it is not open. */
  put(bytes: Buffer): number;
  close(): void;
}

/** Opened at once, and again where that failed, but not with each line. A line that was cut short is ended first. */
function createFile(path: string): OpenFile {
  const { O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants;
  let fd = -1;
  let triedMs = 0;
  let failure: unknown;
  let isTorn = false;

  function open(): void {
    triedMs = performance.now();
    try {
      fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, MODE);
      failure = undefined;
    } catch (error) {
      failure = error;
    }
  }

  open();
  return {
    put(bytes) {
      if (fd < 0 && performance.now() - triedMs >= REOPEN_AFTER_MS) open();
      if (fd < 0) throw failure;
      if (failure !== undefined && isTorn) {
        writeSync(fd, '\n');
        isTorn = false;
      }
      try {
        const taken = writeSync(fd, bytes);
        isTorn = bytes[taken - 1] !== NEWLINE;
        failure = undefined;
        return taken;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') failure = error;
        throw error;
      }
    },
    close() {
      if (fd >= 0) closeSync(fd);
      fd = -1;
    },
  };
}
