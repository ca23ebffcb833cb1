import { describe, expect, it } from 'vitest';
import {
  AUTH_BUSY,
  AUTH_FAILED,
  AUTH_REQUIRED,
  COMMAND_UNSUPPORTED,
  CONNECT_REFUSED,
  CONNECT_TIMEOUT,
  CONNECT_UNREACHABLE,
  DESCRIPTORS_EXHAUSTED,
  HANDSHAKE_TIMEOUT,
  HEADER_TOO_LARGE,
  MALFORMED_HTTP,
  NAME_FAILED,
  NAME_NOT_FOUND,
  REASONS_COUNT,
  reasonName,
  SERVICE_DISABLED,
  TARGET_FORBIDDEN,
  TRANSFER_CODING_UNSUPPORTED,
} from '../../layout/reasons.ts';
import { HTTP_ESTABLISHED, httpRefusal, type RefusalStatus, refusalResponse } from './http-refusals.ts';

const textOf = (response: Uint8Array): string => Buffer.from(response).toString('latin1');

describe('HTTP refusals', () => {
  it.each([
    [MALFORMED_HTTP, 400],
    [TARGET_FORBIDDEN, 403],
    [SERVICE_DISABLED, 403],
    [AUTH_REQUIRED, 407],
    [AUTH_FAILED, 407],
    [HANDSHAKE_TIMEOUT, 408],
    [HEADER_TOO_LARGE, 431],
    [COMMAND_UNSUPPORTED, 501],
    [TRANSFER_CODING_UNSUPPORTED, 501],
    [NAME_NOT_FOUND, 502],
    [NAME_FAILED, 502],
    [CONNECT_REFUSED, 502],
    [CONNECT_UNREACHABLE, 502],
    [DESCRIPTORS_EXHAUSTED, 503],
    [AUTH_BUSY, 503],
    [CONNECT_TIMEOUT, 504],
    [-1, 503],
    [9999, 503],
  ])('answers reason %d with %d', (reason, status) => {
    expect(textOf(httpRefusal(reason))).toContain(`HTTP/1.1 ${status} `);
  });

  it('frames every response, ends the connection and names the reason', () => {
    for (let reason = 0; reason < REASONS_COUNT; reason++) {
      const [head = '', body = ''] = textOf(httpRefusal(reason)).split('\r\n\r\n');
      expect(body).toBe(`sluice: ${reasonName(reason)}\n`);
      expect(head).toContain(`\r\nContent-Length: ${body.length}\r\n`);
      expect(head.endsWith('\r\nConnection: close')).toBe(true);
      expect(head.includes('\r\nProxy-Authenticate: Basic realm="sluice"\r\n')).toBe(head.includes(' 407 '));
    }
  });

  it('has words for the statuses that no reason has yet', () => {
    for (const status of [413, 414, 429] satisfies RefusalStatus[]) {
      expect(textOf(refusalResponse(status, 'x'))).toMatch(new RegExp(`^HTTP/1.1 ${status} [A-Z]`));
    }
  });

  it('opens a tunnel without a body or framing', () => {
    expect(textOf(HTTP_ESTABLISHED)).toBe('HTTP/1.1 200 Connection established\r\n\r\n');
  });
});
