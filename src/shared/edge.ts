/**
 * What stands before every route of a listener: request ids, keys, limits, problems, metrics, the log.
 * It wraps the router instead of hooking into it: hooks cost a third of a small route's pace
 * (docs/decisions/2026-11-23-edge.md), and what the router would answer by itself must be a problem, too.
 */
import type { Server } from "bun";
import type { AnyElysia } from "elysia";
import { Bag, type Placed } from "./bag.ts";
import type { Series } from "./durations.ts";
import { LakeError } from "./errors.ts";
import type { Forward } from "./forward.ts";
import { leaveBody, newRequestId, rememberRequestId } from "./http.ts";
import type { KeyRing } from "./keys.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { problemResponse } from "./problems.ts";
import { type Route, RouteTable } from "./routes.ts";

/** Requests for paths under `/v1/<prefix>` go to another process. */
export interface ForwardedPrefix {
  readonly service: string;
  readonly prefix: string;
  readonly forward: Forward;
}

/** One request served, as the witness is told of it. */
export interface Served {
  readonly path: string;
  readonly method: string;
  readonly status: number;
  readonly duration_ms: number;
  readonly request_id: string;
}

export interface EdgeOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly keys: KeyRing;
  readonly app: AnyElysia;
  readonly forwards: readonly ForwardedPrefix[];
  /** The largest body that any route takes; each route has its own limit besides. */
  readonly max_body_bytes: number;
  /** The service that a path belongs to, for metrics. */
  serviceOf(path: string): string;
  /** Told of each request served; must neither throw nor wait. */
  witness?(served: Served): void;
}

interface Trace extends Placed {
  readonly request_id: string;
  readonly method: string;
  readonly path: string;
  readonly started_ms: number;
  series: Series;
  /** Whether the answer comes with its id, and without a limit to its silence, already. */
  is_forwarded: boolean;
}

/** What a request's key is checked for before its body is read, where it goes, and who answers. */
export class Edge {
  readonly #options: EdgeOptions;
  readonly #routes: RouteTable;
  readonly #forwards: Map<string, { forward: Forward; series: Map<string, Series>; service: string }>;
  readonly #under_way = new Bag<Trace>();
  readonly #unknown: Series;
  readonly #is_logged: boolean;
  #is_draining = false;
  #last_arrival_ms = 0;

  constructor(options: EdgeOptions) {
    const { app, forwards, metrics, log } = options;
    this.#options = options;
    this.#routes = new RouteTable(app, metrics.requests, options.serviceOf);
    this.#forwards = new Map(
      forwards.map(({ prefix, forward, service }) => [prefix, { forward, service, series: new Map() }]),
    );
    this.#unknown = metrics.requests.series({ service: "none", route: "unknown", method: "any" });
    this.#is_logged = log.isLevelEnabled("debug");
  }

  /** The handler of Bun's server; never throws. */
  readonly fetch = (request: Request, server: Server<undefined>): Response | Promise<Response> => {
    const started_ms = performance.now();
    this.#last_arrival_ms = started_ms;
    const trace: Trace = {
      request_id: newRequestId(request),
      method: request.method,
      path: pathOf(request.url),
      started_ms,
      series: this.#unknown,
      is_forwarded: false,
      place: -1,
    };
    this.#under_way.add(trace);
    let answer: Response | Promise<Response>;
    try {
      answer = this.#dispatch(request, trace, server);
    } catch (error) {
      return this.#finish(request, this.#problem(error, trace), trace, server);
    }
    if (!(answer instanceof Promise)) return this.#finish(request, answer, trace, server);
    return answer.then(
      (response) => this.#finish(request, response, trace, server),
      (error) => this.#finish(request, this.#problem(error, trace), trace, server),
    );
  };

  /** From now on each answer closes its connection, so that no client sends another request on it. */
  drain(): void {
    this.#is_draining = true;
  }

  /** How long no request has arrived, in milliseconds. */
  get quiet_ms(): number {
    return performance.now() - this.#last_arrival_ms;
  }

  /** The requests that have no answer yet, as `GET /v1/sql 1200 ms`. */
  underWay(): string[] {
    const now_ms = performance.now();
    return [...this.#under_way].map(
      ({ method, path, started_ms }) => `${method} ${path} ${Math.round(now_ms - started_ms)} ms`,
    );
  }

  #dispatch(request: Request, trace: Trace, server: Server<undefined>): Response | Promise<Response> {
    const { keys, max_body_bytes, app } = this.#options;
    const { headers } = request;
    refuseHost(headers.get("host"));
    const declared = headers.get("content-length");
    if (declared !== null && Number(declared) > max_body_bytes)
      throw new LakeError("too_large", `A body may have at most ${max_body_bytes} bytes here.`, {
        max_bytes: max_body_bytes,
      });
    if (this.#forwards.size > 0) {
      const prefix = prefixOf(trace.path);
      const there = this.#forwards.get(prefix);
      if (there) return this.#forward(there, prefix, request, trace, server);
    }
    const route = this.#routeOf(trace);
    trace.series = route.series;
    if (route.scope !== undefined) keys.authorize(headers, route.scope);
    if (keys.is_empty) refuseForeignPage(headers);
    if (route.streams_body) leaveBody(request);
    rememberRequestId(request, trace.request_id);
    return app.fetch(request);
  }

  #forward(
    { forward, series, service }: { forward: Forward; series: Map<string, Series>; service: string },
    prefix: string,
    request: Request,
    trace: Trace,
    server: Server<undefined>,
  ): Promise<Response> {
    let held = series.get(trace.method);
    if (!held) {
      held = this.#options.metrics.requests.series({
        service,
        route: `/v1/${prefix}/*`,
        method: trace.method,
      });
      series.set(trace.method, held);
    }
    trace.series = held;
    trace.is_forwarded = true;
    const { keys } = this.#options;
    keys.identify(request.headers);
    if (keys.is_empty) refuseForeignPage(request.headers);
    const { url } = request;
    return forward(request, url.slice(url.indexOf("/v1/", 7) + 3), trace.request_id, server);
  }

  #routeOf({ method, path }: Trace): Route {
    const route = this.#routes.find(method, path);
    if (route) return route;
    const allow = this.#routes.allowed(path);
    if (allow === undefined) throw new LakeError("not_found", `There is no route ${method} ${path}.`);
    throw new LakeError("method_not_allowed", `${path} takes ${allow.join(", ")}, not ${method}.`, { allow });
  }

  #finish(request: Request, response: Response, trace: Trace, server: Server<undefined>): Response {
    this.#under_way.remove(trace);
    const duration_ms = performance.now() - trace.started_ms;
    const { status } = response;
    const { request_id } = trace;
    if (!trace.is_forwarded) {
      response.headers.set("x-request-id", request_id);
      if (response.headers.get("content-type")?.startsWith("text/event-stream")) server.timeout(request, 0);
    }
    if (this.#is_draining) response.headers.set("connection", "close");
    trace.series.observe(status, duration_ms / 1000);
    const { method, path } = trace;
    this.#options.witness?.({ method, path, status, duration_ms, request_id });
    if (this.#is_logged) this.#options.log.debug({ request_id, method, path, status, duration_ms }, "served");
    return response;
  }

  #problem(error: unknown, { request_id }: Trace): Response {
    return problemResponse(error, request_id, this.#options.log);
  }
}

/** The path as it came, without the query. */
function pathOf(url: string): string {
  const from = url.charCodeAt(0) === SLASH ? 0 : url.indexOf("/", 8);
  const query = url.indexOf("?", from);
  return query < 0 ? url.slice(from) : url.slice(from, query);
}

const SLASH = 47;

/** `x` of `/v1/x` and of what is under it. */
function prefixOf(path: string): string {
  if (!path.startsWith("/v1/")) return "";
  const end = path.indexOf("/", 4);
  return end < 0 ? path.slice(4) : path.slice(4, end);
}

/** Two Host headers arrive as one with a comma: which of them counts is how requests are smuggled. */
function refuseHost(host: string | null): void {
  if (host === null || !HOST.test(host))
    throw new LakeError("invalid", "Send exactly one Host header, as host or host:port.");
}

const HOST = /^(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/**
 * Without keys, whoever reaches the port may do everything; a page of another site that a person on this
 * machine has open in a browser reaches it too, and must not. Browsers name such a page in Origin.
 */
function refuseForeignPage(headers: Headers): void {
  const origin = headers.get("origin");
  if (origin === null || origin.slice(origin.indexOf("//") + 2) === headers.get("host")) return;
  throw new LakeError(
    "forbidden",
    `No key is configured, and so pages of other sites may not call this one (Origin: ${origin.slice(0, 200)}).`,
  );
}
