/**
 * The routes a listener answers, looked up before anything else is done with a request: what is not in
 * the table is 404 or 405, and what is in it is not reached without its scope.
 */
import type { AnyElysia } from "elysia";
import type { Durations, Series } from "./durations.ts";
import type { Scope } from "./keys.ts";

export interface Route {
  readonly template: string;
  /** What a key must allow; undefined where no key is needed. */
  readonly scope: Scope | undefined;
  /** Whether the route takes its body as a stream (`parse: "none"`), whatever its content type. */
  readonly streams_body: boolean;
  readonly series: Series;
}

interface Pattern {
  /** The template's segments; `:x` matches one, a last `*` any rest. */
  readonly segments: readonly string[];
  readonly methods: Map<string, Route>;
}

/** Paths that are open without a key; every other route must say what it needs. */
const OPEN = /^\/(health|swagger(\/.*)?)?$/;
const ANY = "ALL";

export class RouteTable {
  /** By path, without a trailing slash. */
  readonly #fixed = new Map<string, Map<string, Route>>();
  readonly #patterns: Pattern[] = [];

  /**
   * @param serviceOf the service that a path belongs to, for metrics
   * @throws Error where a route is neither open nor behind a scope: it would be served to anyone
   */
  constructor(app: AnyElysia, durations: Durations, serviceOf: (path: string) => string) {
    for (const { method, path, hooks } of app.routes) {
      const { scope, parse = [] } = hooks as { scope?: Scope; parse?: { fn: unknown }[] };
      if (scope === undefined && !OPEN.test(path))
        throw new Error(`${method} ${path} names no scope: it needs ...door.needs("<service>:read|write")`);
      const series = durations.series({ service: serviceOf(path), route: path, method });
      this.#methodsAt(path).set(method, {
        template: path,
        scope,
        streams_body: parse.some((it) => it.fn === "none"),
        series,
      });
    }
    this.#patterns.sort((a, b) => precedence(b) - precedence(a));
  }

  /** HEAD is answered by a path's GET where it has no HEAD of its own. */
  find(method: string, path: string): Route | undefined {
    const methods = this.#lookup(path);
    return methods?.get(method) ?? methods?.get(ANY) ?? (method === "HEAD" ? methods?.get("GET") : undefined);
  }

  /** The methods a path does serve; undefined where there is no such path. */
  allowed(path: string): string[] | undefined {
    const methods = this.#lookup(path);
    if (!methods) return undefined;
    const names = new Set(methods.keys());
    if (names.has("GET")) names.add("HEAD");
    return [...names].sort();
  }

  #lookup(path: string): Map<string, Route> | undefined {
    const fixed = this.#fixed.get(path) ?? this.#fixed.get(trimmed(path));
    if (fixed) return fixed;
    const segments = path.split("/");
    return this.#patterns.find((pattern) => matches(pattern.segments, segments))?.methods;
  }

  #methodsAt(path: string): Map<string, Route> {
    if (!/[:*]/.test(path)) {
      const methods = this.#fixed.get(trimmed(path)) ?? new Map<string, Route>();
      this.#fixed.set(trimmed(path), methods);
      return methods;
    }
    const segments = path.split("/");
    const same = this.#patterns.find((it) => it.segments.join("/") === path);
    if (same) return same.methods;
    const pattern: Pattern = { segments, methods: new Map() };
    this.#patterns.push(pattern);
    return pattern.methods;
  }
}

function trimmed(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
  for (const [at, segment] of pattern.entries()) {
    if (segment === "*") return path.length > at;
    const given = path[at];
    if (given === undefined) return false;
    if (segment.startsWith(":") ? given === "" : segment !== given) return false;
  }
  const rest = path.length - pattern.length;
  return rest === 0 || (rest === 1 && path.at(-1) === "");
}

/** A fixed segment goes before a named one, and that before `*`, from the left; as Elysia's router has it. */
function precedence({ segments }: Pattern): number {
  let rank = 0;
  for (let at = 0; at < 16; at++) {
    const segment = segments[at];
    const weight = segment === undefined || segment === "*" ? 0 : segment.startsWith(":") ? 1 : 2;
    rank = rank * 3 + weight;
  }
  return rank;
}
