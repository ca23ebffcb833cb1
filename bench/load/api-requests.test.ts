import { expect, test } from 'vitest';
import { isComplete } from './api-requests.ts';

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nconnection: keep-alive\r\n\r\n';

test('an answer is complete when its head and as many bytes as that says are there', () => {
  for (let length = 0; length < HEAD.length + 5; length++) {
    expect(isComplete(`${HEAD}12345`.slice(0, length)), `${length} bytes`).toBe(false);
  }
  expect(isComplete(`${HEAD}12345`)).toBe(true);
});

test('an answer without a body is complete with its head', () => {
  expect(isComplete('HTTP/1.1 204 No Content\r\n\r\n')).toBe(true);
  expect(isComplete('HTTP/1.1 204 No Content\r\n')).toBe(false);
});
