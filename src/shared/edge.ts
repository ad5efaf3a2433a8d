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
import type { Forward, Forwarded } from "./forward.ts";
import { countHeld, type Held, HeldBytes, UNCOUNTED_BYTES } from "./held.ts";
import { leaveBody, newRequestId } from "./http.ts";
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
  /** Bytes of bodies held at a time. */
  readonly max_held_bytes: number;
  /** The service that a path belongs to, for metrics. */
  serviceOf(path: string): string;
  /** Told of each request served; must neither throw nor wait. */
  witness?(served: Served): void;
}

/** A request from its arrival to its answer. */
class Trace implements Placed, Forwarded, Held {
  place = -1;
  held_bytes = 0;
  request_id = "";
  /** Filled for a request that is forwarded, whose answer comes with its id and its limits already. */
  headers: Record<string, string> = NO_HEADERS;

  constructor(
    private readonly edge: Edge,
    readonly request: Request,
    readonly server: Server<undefined>,
    readonly method: string,
    readonly path: string,
    readonly started_ms: number,
    public series: Series,
  ) {}

  hold(bytes: number): void {
    this.edge.held.take(bytes);
    this.held_bytes += bytes;
  }

  finish(response: Response): Response {
    return this.edge.finish(this, response);
  }

  refuse(error: unknown): Response {
    return this.edge.refuse(this, error);
  }
}

const NO_HEADERS = {};

interface There {
  readonly forward: Forward;
  readonly service: string;
  readonly route: string;
  /** By method. */
  readonly series: Map<string, Series>;
}

/** What a request's key is checked for before its body is read, where it goes, and who answers. */
export class Edge {
  readonly #options: EdgeOptions;
  readonly #routes: RouteTable;
  readonly #forwards: ReadonlyMap<string, There>;
  readonly #under_way = new Bag<Trace>();
  readonly held: HeldBytes;
  readonly #unknown: Series;
  readonly #is_logged: boolean;
  #is_draining = false;
  #last_arrival_ms = 0;
  /** The last that was found to be one: clients send the same. */
  #good_host: string | undefined;

  constructor(options: EdgeOptions) {
    const { app, forwards, metrics, log } = options;
    this.#options = options;
    this.held = new HeldBytes(options.max_held_bytes);
    metrics.gauge("held_bytes", "Bytes of bodies of requests under way", () => this.held.bytes);
    this.#routes = new RouteTable(app, metrics.requests, options.serviceOf);
    this.#forwards = new Map(
      forwards.map(({ prefix, forward, service }) => [
        prefix,
        { forward, service, route: `/v1/${prefix}/*`, series: new Map() },
      ]),
    );
    this.#unknown = metrics.requests.series({ service: "none", route: "unknown", method: "any" });
    this.#is_logged = log.isLevelEnabled("debug");
  }

  /** The handler of Bun's server; never throws. */
  readonly fetch = (request: Request, server: Server<undefined>): Response | Promise<Response> => {
    const started_ms = performance.now();
    this.#last_arrival_ms = started_ms;
    const { url } = request;
    const path = pathOf(url);
    const there = this.#forwards.size > 0 ? this.#forwards.get(prefixOf(path)) : undefined;
    const trace = new Trace(this, request, server, request.method, path, started_ms, this.#unknown);
    this.#under_way.add(trace);
    try {
      if (there) return this.#forward(there, url, trace);
      const answer = this.#dispatch(request, trace);
      if (!(answer instanceof Promise)) return this.finish(trace, answer);
      return answer.then(
        (response) => this.finish(trace, response),
        (error) => this.refuse(trace, error),
      );
    } catch (error) {
      return this.refuse(trace, error);
    }
  };

  /** Bun's handler of what is thrown past `fetch`, whose own answer would be a page. */
  readonly error = (error: unknown): Response => problemResponse(error, newRequestId(), this.#options.log);

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

  /**
   * The id of a request that has no answer yet, for the problems that are worded inside the router: they are few, and
   * so looked for, where a map by request would cost every other request 0.1 µs and its collection.
   */
  requestIdOf(request: Request): string {
    for (const trace of this.#under_way) if (trace.request === request) return trace.request_id;
    return "";
  }

  #dispatch(request: Request, trace: Trace): Response | Promise<Response> {
    const { keys, app } = this.#options;
    const { headers } = request;
    trace.request_id = newRequestId(headers.get("x-request-id"));
    const host = headers.get("host");
    this.#refuseHost(host);
    const length = headers.get("content-length");
    this.#refuseLarge(length);
    const route = this.#routeOf(trace);
    trace.series = route.series;
    if (route.scope !== undefined) keys.authorize(headers, route.scope);
    if (keys.is_empty) refuseForeignPage(headers.get("origin"), host);
    if (route.streams_body) leaveBody(request);
    if (length === null ? trace.method !== "GET" : Number(length) > UNCOUNTED_BYTES)
      countHeld(request, trace);
    return app.fetch(request);
  }

  #forward(there: There, url: string, trace: Trace): Promise<Response> {
    const { keys, metrics } = this.#options;
    const { method } = trace;
    let series = there.series.get(method);
    if (!series) {
      series = metrics.requests.series({ service: there.service, route: there.route, method });
      there.series.set(method, series);
    }
    trace.series = series;
    // Once all of them, since they are sent on: cheaper than to ask for each that is judged here.
    const headers = trace.request.headers.toJSON() as Record<string, string>;
    trace.headers = headers;
    trace.request_id = newRequestId(headers["x-request-id"]);
    this.#refuseHost(headers.host);
    this.#refuseLarge(headers["content-length"]);
    keys.identifyBy(headers["x-api-key"], headers.authorization);
    if (keys.is_empty) refuseForeignPage(headers.origin, headers.host);
    return there.forward(trace, url.slice(url.indexOf("/v1/", 7) + 3));
  }

  #routeOf({ method, path }: Trace): Route {
    const route = this.#routes.find(method, path);
    if (route) return route;
    const allow = this.#routes.allowed(path);
    if (allow === undefined)
      throw new LakeError("not_found", `There is no route ${method} ${path}.${this.#hintFor(path)}`);
    throw new LakeError("method_not_allowed", `${path} takes ${allow.join(", ")}, not ${method}.`, { allow });
  }

  /** Where the path is one but for the edge's /v1. */
  #hintFor(path: string): string {
    const there = `/v1${path}`;
    const is_route = this.#forwards.has(prefixOf(there)) || this.#routes.allowed(there) !== undefined;
    return is_route ? ` Did you mean ${there}? All routes are listed at /swagger.` : "";
  }

  /** Makes an answer ready for the client, and tells of it. @returns it, or a problem where that failed */
  finish(trace: Trace, response: Response): Response {
    try {
      return this.#finish(trace, response);
    } catch (error) {
      return problemResponse(error, trace.request_id, this.#options.log);
    }
  }

  refuse(trace: Trace, error: unknown): Response {
    // It was refused before it was looked at.
    if (trace.request_id === "") trace.request_id = newRequestId();
    return this.finish(trace, problemResponse(error, trace.request_id, this.#options.log, trace.path));
  }

  #finish(trace: Trace, response: Response): Response {
    this.#under_way.remove(trace);
    if (trace.held_bytes > 0) this.held.give(trace.held_bytes);
    trace.held_bytes = 0;
    const duration_ms = performance.now() - trace.started_ms;
    const { status } = response;
    const { request_id, method, path } = trace;
    if (trace.headers === NO_HEADERS) {
      response.headers.set("x-request-id", request_id);
      if (response.headers.get("content-type")?.startsWith("text/event-stream"))
        trace.server.timeout(trace.request, 0);
    }
    if (this.#is_draining) response.headers.set("connection", "close");
    trace.series.observe(status, duration_ms / 1000);
    this.#options.witness?.({ method, path, status, duration_ms, request_id });
    if (this.#is_logged) this.#options.log.debug({ request_id, method, path, status, duration_ms }, "served");
    return response;
  }

  /** Two Host headers arrive as one with a comma: which of them counts is how requests are smuggled. */
  #refuseHost(host: string | null | undefined): void {
    if (host && host === this.#good_host) return;
    if (!host || !HOST.test(host))
      throw new LakeError("invalid", "Send exactly one Host header, as host or host:port.");
    if (this.#options.keys.is_empty && !OWN_HOST.test(host))
      throw new LakeError(
        "forbidden",
        `No key is configured, and so this is served as localhost or by its address, not as ${host.slice(0, 200)}; configure a key to serve it by other names.`,
      );
    this.#good_host = host;
  }

  #refuseLarge(declared: string | null | undefined): void {
    if (!declared) return;
    // "5, 5", as Bun gives two that agree: no number, and so below every limit that it is compared with.
    if (!LENGTH.test(declared))
      throw new LakeError("invalid", "Send at most one Content-Length header, as a whole number of bytes.");
    const { max_body_bytes } = this.#options;
    if (Number(declared) > max_body_bytes)
      throw new LakeError("too_large", `A body may have at most ${max_body_bytes} bytes here.`, {
        max_bytes: max_body_bytes,
      });
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

/** What no stranger can point at this machine, as he can a name of his own (DNS rebinding): addresses, names without a dot. */
const OWN_HOST = /^(?:(?:[a-z0-9-]+\.)*localhost|[^.]+|\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\])(?::\d+)?$/i;
const LENGTH = /^\d+$/;
const HOST = /^(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/**
 * Without keys, whoever reaches the port may do everything; a page of another site that a person on this
 * machine has open in a browser reaches it too, and must not. Browsers name such a page in Origin.
 */
function refuseForeignPage(origin: string | null | undefined, host: string | null | undefined): void {
  if (origin === null || origin === undefined || origin.slice(origin.indexOf("//") + 2) === host) return;
  throw new LakeError(
    "forbidden",
    `No key is configured, and so pages of other sites may not call this one (Origin: ${origin.slice(0, 200)}).`,
  );
}
