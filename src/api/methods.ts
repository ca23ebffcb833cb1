// Which methods a path has: whoever uses another one learns them, instead of hearing that the path is not there.
// Control thread.

interface Path {
  readonly pattern: RegExp;
  readonly methods: string[];
}

export function createMethods() {
  const paths = new Map<string, Path>();
  return {
    /** @param url as a route has it: `/v1/services/:name` */
    add(method: string | readonly string[], url: string): void {
      const pattern = new RegExp(`^${url.replace(/:[a-z]+/gi, '[^/]+')}$`);
      const path = paths.get(url) ?? { pattern, methods: [] };
      path.methods.push(...[method].flat());
      paths.set(url, path);
    },
    /** Sorted; none where there is no such path. */
    of(url: string): string[] {
      const path = url.split('?', 1)[0] as string;
      const methods = [...paths.values()].flatMap((one) => (one.pattern.test(path) ? one.methods : []));
      return [...new Set(methods)].sort();
    },
  };
}
