// Names of what connections belong to, by kind, index and generation: a receipt carries numbers only. The control thread
// has one, and the keeper a copy of it.
//
// A receipt may arrive after its object was removed and the index given to another, so a name stays until its index has
// been given away twice. Invariant: an answer is the name that the object of that generation had, or none.

export type ObjectKind = 'service' | 'user' | 'inbound' | 'outbound' | 'target' | 'rule';

/** An object was given this index. */
export interface ObjectName {
  readonly kind: ObjectKind;
  readonly index: number;
  readonly generation: number;
  readonly name: string;
}

interface Named {
  readonly generation: number;
  readonly name: string;
  readonly before: { readonly generation: number; readonly name: string } | undefined;
}

export class NameBook {
  private readonly named: Readonly<Record<ObjectKind, Map<number, Named>>> = {
    service: new Map(),
    user: new Map(),
    inbound: new Map(),
    outbound: new Map(),
    target: new Map(),
    rule: new Map(),
  };

  add(names: readonly ObjectName[]): void {
    for (const { kind, index, generation, name } of names) {
      const last = this.named[kind].get(index);
      const before =
        last === undefined
          ? undefined
          : last.generation === generation
            ? last.before
            : { generation: last.generation, name: last.name };
      this.named[kind].set(index, { generation, name, before });
    }
  }

  /** @returns null where nobody told it, or too long ago */
  find(kind: ObjectKind, index: number, generation: number): string | null {
    const named = this.named[kind].get(index);
    if (named === undefined) return null;
    if (named.generation === generation) return named.name;
    return named.before?.generation === generation ? named.before.name : null;
  }

  /** Everything, in an order that another book can add. */
  all(): ObjectName[] {
    const names: ObjectName[] = [];
    for (const [kind, entries] of Object.entries(this.named) as [ObjectKind, Map<number, Named>][]) {
      for (const [index, { generation, name, before }] of entries) {
        if (before !== undefined) names.push({ kind, index, ...before });
        names.push({ kind, index, generation, name });
      }
    }
    return names;
  }
}
