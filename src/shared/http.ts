/**
 * The door of every listener: request ids, keys, problem documents, metrics and the access log.
 * The only place that turns an error into a status.
 */
import { Elysia, type TSchema } from "elysia";
import { type Fault, LakeError, messageOf, statusOf, toProblem } from "./errors.ts";
import type { KeyRing, Principal, Scope } from "./keys.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

export const PROBLEM_JSON = "application/problem+json";
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** What routes.ts asks of the listener it stands behind. */
export interface Door {
  /** Route options that let only a key with this scope pass: `...door.needs("queryd:read")`. */
  needs(scope: Scope): { beforeHandle(context: { request: Request }): void; detail?: never };
  /** Who sent this request. */
  principal(request: Request): Principal;
}

export function createDoor(keys: KeyRing): Door {
  return {
    needs: (scope) => ({
      beforeHandle({ request }) {
        keys.authorize(request.headers, scope);
      },
    }),
    principal: (request) => keys.identify(request.headers),
  };
}

/** What a request carries through its life; `started_ms` and `request_id` are set as it arrives. */
export interface Traced {
  started_ms: number;
  request_id: string;
}

export interface EdgeOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly max_json_bytes: number;
}

/**
 * The plugin that stands before every route of a listener.
 * Must be used before any route, since Elysia's hooks cover only what comes after them.
 */
export function edge({ log, metrics, max_json_bytes }: EdgeOptions) {
  return (
    new Elysia({ name: "edge", normalize: false })
      .onRequest((context) => {
        const { request, set } = context;
        const request_id = requestIdOf(request);
        set.headers["x-request-id"] = request_id;
        Object.assign(context, { started_ms: performance.now(), request_id } satisfies Traced);
      })
      // Elysia forgets `parse: "none"` where another parser is registered, unless "none" is one, too.
      .parser("none", () => null)
      .onParse({ as: "global" }, async ({ request, contentType }) => {
        if (contentType === "application/json") return readJson(request, max_json_bytes);
      })
      .onError({ as: "global" }, (context) => {
        const { error, code, set, request } = context;
        const { request_id = requestIdOf(request) } = context as unknown as Partial<Traced>;
        const known = translate(error, code, request);
        const problem = toProblem(known, request_id);
        if (problem.status >= 500)
          log.error(
            {
              request_id,
              err: { message: messageOf(error), stack: (error as Error).stack, cause: causes(error) },
            },
            "request failed",
          );
        set.status = problem.status;
        const { retry_after_s, allow, content_range } = known instanceof LakeError ? known.details : {};
        const headers: Record<string, string> = { "content-type": PROBLEM_JSON, "x-request-id": request_id };
        if (retry_after_s !== undefined) headers["retry-after"] = String(retry_after_s);
        if (allow !== undefined) headers.allow = allow.join(", ");
        if (content_range !== undefined) headers["content-range"] = content_range;
        if (problem.status === 401) headers["www-authenticate"] = "Bearer";
        return new Response(JSON.stringify(problem), { status: problem.status, headers });
      })
      .onAfterResponse({ as: "global" }, (context) => {
        const { request, route, set } = context;
        const { started_ms, request_id } = context as unknown as Traced;
        const elapsed_ms = performance.now() - started_ms;
        const status = typeof set.status === "number" ? set.status : 200;
        metrics.requests
          .labels(serviceOf(route), route || "unknown", request.method, String(status))
          .observe(elapsed_ms / 1000);
        if (log.isLevelEnabled("debug"))
          log.debug({ request_id, method: request.method, route, status, elapsed_ms }, "served");
      })
  );
}

/** Reads a JSON body, counted while it arrives. @throws LakeError `too_large` or `invalid` */
export async function readJson(request: Request, max_bytes: number): Promise<unknown> {
  const text = await readText(request, max_bytes);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LakeError("invalid", `The body is not valid JSON: ${messageOf(error)}`);
  }
}

/** Reads a text body, counted while it arrives. @throws LakeError `too_large` */
export async function readText(request: Request, max_bytes: number): Promise<string> {
  const declared = Number(request.headers.get("content-length") ?? Number.NaN);
  if (declared > max_bytes) throw tooLarge(max_bytes);
  return Number.isNaN(declared) ? readCounted(request, max_bytes) : request.text();
}

async function readCounted(request: Request, max_bytes: number): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: false });
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > max_bytes) throw tooLarge(max_bytes);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function tooLarge(max_bytes: number): LakeError {
  return new LakeError("too_large", `The body may have at most ${max_bytes} bytes here.`, { max_bytes });
}

function requestIdOf(request: Request): string {
  const given = request.headers.get("x-request-id");
  return given !== null && REQUEST_ID.test(given) ? given : Bun.randomUUIDv7();
}

/** Elysia's own errors, in our words; never its messages, which echo bodies. */
function translate(error: unknown, code: string | number, request: Request): unknown {
  if (error instanceof LakeError) return error;
  if (code === "NOT_FOUND")
    return new LakeError(
      "not_found",
      `There is no route ${request.method} ${new URL(request.url).pathname}.`,
    );
  if (code === "PARSE") {
    const { cause } = error as Error;
    if (cause instanceof LakeError) return cause;
    return new LakeError("invalid", "The body could not be read as its Content-Type says.");
  }
  if (code === "VALIDATION") {
    const faults = validationFaults(error);
    const first = faults[0];
    const where = first ? `${first.path || "the body"}: ${first.message}` : "it does not match the schema";
    return new LakeError("invalid", `The request is not valid: ${where}`, { errors: faults });
  }
  return error;
}

function validationFaults(error: unknown): Fault[] {
  const { all = [], type } = error as {
    all?: { path?: string; message?: string; summary?: string }[];
    type?: string;
  };
  return all.slice(0, 50).map((fault) => ({
    path: `${type && type !== "body" ? type : ""}${fault.path ?? ""}`,
    message: fault.message ?? fault.summary ?? "not valid",
  }));
}

function causes(error: unknown): string[] {
  const chain: string[] = [];
  for (
    let cause = (error as Error)?.cause;
    cause !== undefined && chain.length < 8;
    cause = (cause as Error)?.cause
  )
    chain.push(messageOf(cause));
  return chain;
}

/** The service a route belongs to: its first segment, past the edge's /v1. */
function serviceOf(route: string | undefined): string {
  const [, first, second] = (route ?? "").split("/");
  return (first === "v1" ? second : first) || "gateway";
}

/** One documented answer of a route. */
export interface Answer {
  description: string;
  schema?: TSchema;
  example?: unknown;
  content_type?: string;
}

export interface RouteDocs {
  summary: string;
  description: string;
  service: string;
  answers: Record<number, Answer>;
  /** The statuses of the problems it may answer. */
  problems: number[];
  /** An example of the request's body. */
  example?: unknown;
}

/** The OpenAPI operation of a route, for its `detail`. */
export function describe(docs: RouteDocs) {
  const responses: Record<string, { description: string; content?: Record<string, object> }> = {};
  for (const [status, answer] of Object.entries(docs.answers))
    responses[status] = {
      description: answer.description,
      ...(answer.schema || answer.content_type
        ? {
            content: {
              [answer.content_type ?? "application/json"]: {
                schema: answer.schema ?? { type: "string", format: "binary" },
                ...(answer.example === undefined ? {} : { example: answer.example }),
              },
            },
          }
        : {}),
    };
  for (const status of docs.problems)
    responses[status] = {
      description: "Problem",
      content: { [PROBLEM_JSON]: { schema: { $ref: "#/components/schemas/Problem" } } },
    };
  return { summary: docs.summary, description: docs.description, tags: [docs.service], responses };
}

export { statusOf };
