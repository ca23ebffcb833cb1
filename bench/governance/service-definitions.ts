// Services as an operator with many customers has them: one user each, a network that it may come from, limits.

export interface ServiceDefinition {
  readonly name: string;
  readonly users: readonly { readonly username: string; readonly password: string }[];
  readonly sources: readonly string[];
}

export function serviceName(number: number): string {
  return `customer-${number}`;
}

export function serviceNumber(number: number): ServiceDefinition {
  return {
    name: serviceName(number),
    users: [{ username: `user-${number}`, password: `secret-${number}` }],
    sources: [`10.${(number >> 8) & 0xff}.${number & 0xff}.0/24`],
  };
}
