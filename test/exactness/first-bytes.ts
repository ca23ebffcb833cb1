// What clients of well-known protocols say first.

/** A ClientHello of TLS 1.2 in one record; without a name it has no extensions. */
export function clientHello(name: string): Uint8Array {
  const text = Buffer.from(name, 'latin1');
  const pair = (value: number) => [value >> 8, value & 0xff];
  const entry = [0, ...pair(text.length), ...text];
  const list = [...pair(entry.length), ...entry];
  const extension = [0, 0, ...pair(list.length), ...list];
  const body = [
    ...[3, 3],
    ...Buffer.alloc(32, 7),
    0,
    ...[0, 2, 0x13, 0x01],
    ...[1, 0],
    ...(name === '' ? [] : [...pair(extension.length), ...extension]),
  ];
  const message = [1, 0, ...pair(body.length), ...body];
  return Uint8Array.of(22, 3, 1, ...pair(message.length), ...message);
}

/** A query over TCP, for the addresses of a name. @param flags upper byte of the header's */
export function dnsQuery(name: string, flags = 0x01): Uint8Array {
  const labels = name === '' ? [] : name.split('.').map((label) => [label.length, ...Buffer.from(label)]);
  const question = [...labels.flat(), 0, 0, 1, 0, 1];
  const message = [0x12, 0x34, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...question];
  return Uint8Array.of(message.length >> 8, message.length & 0xff, ...message);
}
