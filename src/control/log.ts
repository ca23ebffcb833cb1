// What the control thread wants of a log: facts first, then one short sentence. pino has this form; tests use a list.

export interface Log {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}
