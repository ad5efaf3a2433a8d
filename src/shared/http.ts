/**
 * What a service's routes and the edge share of HTTP: scopes, request ids, bodies, and the documentation
 * of routes.
 */
import { Elysia, type TSchema } from "elysia";
import { PARSER, type RouteParser } from "./body_parsing.ts";
import { MAX_JSON_DEPTH, parseJson } from "./depth.ts";
import { LakeError } from "./errors.ts";
import { declaredBytes, type ReadOptions, readArriving } from "./held.ts";
import type { KeyRing, Principal, Scope } from "./keys.ts";
import type { Log } from "./log.ts";
import { BODY_EXAMPLE, problemAnswers } from "./openapi_schema.ts";
import { problemResponse, translate } from "./problems.ts";

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** What routes.ts asks of the listener it stands behind. */
export interface Door {
  /** Route options that let only a key with this scope pass: `...door.needs("queryd:read")`. */
  needs(scope: Scope): object;
  /** Who sent this request. */
  principal(request: Request): Principal;
}

export function createDoor(keys: KeyRing): Door {
  return {
    // Read by the edge's table of routes, which checks it before the body is read.
    needs: (scope) => ({ scope }),
    principal: (request) => keys.identify(request.headers),
  };
}

/** Told apart from every other process by the prefix, from every other request by the count. */
const id_prefix = `${crypto.randomUUID().slice(0, 18)}-`;
let id_count = 0;

/** The id that came with a request where it is fit to be passed on, or a new one. */
export function newRequestId(given?: string | null): string {
  return given && REQUEST_ID.test(given) ? given : id_prefix + (++id_count).toString(36);
}

export interface Conventions {
  readonly log: Log;
  readonly max_json_bytes: number;
  /** The id that a request was given at the edge. */
  requestId(request: Request): string;
}

/**
 * The plugin that reads bodies and words errors, used before any route: Elysia's hooks cover only what
 * comes after them.
 */
export function conventions({ log, max_json_bytes, requestId }: Conventions) {
  const limit = limitedTo(max_json_bytes);
  return (
    new Elysia({ name: "conventions", normalize: false })
      // Elysia forgets `parse: "none"` where another parser is registered, unless "none" is one, too.
      .parser("none", () => null)
      .parser(PARSER, (context, parsers) => readBody(context, parsers as never, limit))
      // Which calls that parser: the composition's adapter says so.
      .guard({ as: "global", parse: ["json"] })
      .onError({ as: "global" }, ({ error, code, request }) =>
        problemResponse(
          isTooDeep(error) ? TOO_DEEP : translate(error, code, request),
          requestId(request),
          log,
          new URL(request.url).pathname,
        ),
      )
  );
}

const TOO_DEEP = new LakeError("invalid", "The body is nested too deeply.");

/** Parsers take any depth; what looks at a value member by member does not. */
function isTooDeep(error: unknown): boolean {
  return error instanceof RangeError; // of the stack, or of the memory to print it
}

/** Requests whose route reads the body itself: this parser comes before the route's own `parse: "none"`. */
const unread = new WeakSet<Request>();

/** Keeps the request's body a stream, whatever its content type. */
export function leaveBody(request: Request): void {
  unread.add(request);
}

/** What Elysia would read by itself, without a limit; and what a page of any site may send unasked. */
const FORMS = [
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "application/octet-stream",
];

function notJson(content_type: string): LakeError {
  return new LakeError("invalid", `Send the body as application/json (got ${content_type}).`);
}

/** The silence after which a listener closes a connection, in seconds: the longest that Bun allows. */
export const IDLE_TIMEOUT_S = 255;

/** Waits for work that has a deadline of its own, past the silence at which the connection would be cut. */
export async function patiently<T>(
  server: { timeout(request: Request, seconds: number): void } | null,
  request: Request,
  work: () => Promise<T>,
): Promise<T> {
  server?.timeout(request, 0);
  try {
    return await work();
  } finally {
    server?.timeout(request, IDLE_TIMEOUT_S);
  }
}

/** A JSON body, counted while it arrives where its length is not declared; what else the route itself can parse. */
function readBody(
  context: { request: Request },
  parsers: readonly (RouteParser | string)[],
  options: ReadOptions,
): unknown {
  const { request } = context;
  if (unread.has(request)) return null;
  const content_type = essenceOf(request.headers.get("content-type"));
  if (content_type !== JSON_TYPE) {
    if (FORMS.includes(content_type) && request.body) throw notJson(content_type);
    const own = parsers.find((it) => typeof it === "function");
    return own?.({ ...context, contentType: content_type });
  }
  const bytes = declaredBytes(request, options);
  if (bytes === undefined) return request.body ? readArriving(request, options).then(readJson) : undefined;
  if (bytes > 2 * MAX_JSON_DEPTH) return request.text().then(readJson);
  return bytes === 0 ? undefined : request.json(); // What it throws is worded with the other problems.
}

const JSON_TYPE = "application/json";

/** A content type without its parameters. */
function essenceOf(content_type: string | null): string {
  if (content_type === null || content_type === JSON_TYPE) return content_type ?? "";
  const end = content_type.indexOf(";");
  return end === -1 ? content_type : content_type.slice(0, end);
}

const readJson = (text: string): unknown => parseJson(text, "The body");

/** Reads a text body, counted while it arrives. @throws LakeError `too_large`, `queue_full` */
export async function readText(request: Request, max_bytes: number): Promise<string> {
  const options = limitedTo(max_bytes);
  return declaredBytes(request, options) === undefined ? readArriving(request, options) : request.text();
}

function limitedTo(max_bytes: number): ReadOptions {
  const tooLarge = () =>
    new LakeError("too_large", `The body may have at most ${max_bytes} bytes here.`, { max_bytes });
  return { max_bytes, tooLarge };
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
  Object.assign(responses, problemAnswers(docs.problems));
  return {
    summary: docs.summary,
    description: docs.description,
    tags: [docs.service],
    responses,
    ...(docs.example === undefined ? {} : { [BODY_EXAMPLE]: docs.example }),
  };
}
