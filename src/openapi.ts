/** The OpenAPI document of a listener: its own routes, and those of the services it forwards to. */
import { type AnyElysia, Elysia } from "elysia";
import packageJson from "../package.json";
import { registry } from "./services/index.ts";
import { meant } from "./shared/openapi_schema.ts";
import type { Service } from "./shared/service.ts";

type Paths = Record<string, Record<string, object>>;

export interface OpenApiDocument {
  readonly paths: Paths;
  readonly components: { readonly schemas: Record<string, object> };
  readonly [member: string]: unknown;
}

export interface OpenApiOptions {
  readonly app: AnyElysia;
  readonly services: Iterable<Service<unknown>>;
  /** Where the services' routes lie here: "/v1" at the gateway, "" on a service's own port. */
  readonly prefix: string;
  readonly upstreams: readonly { readonly name: string; readonly base_url: string }[];
}

const UPSTREAM_TIMEOUT_MS = 2000;
/** How long the upstreams' documents are kept; they change with a restart only. */
const KEPT_MS = 10_000;

const PROBLEM = {
  type: "object",
  description: "What went wrong (RFC 9457)",
  required: ["type", "title", "status", "detail", "code", "request_id"],
  properties: {
    type: { type: "string", example: "urn:lakehouse:problem:invalid" },
    title: { type: "string", example: "The request is not valid" },
    status: { type: "integer", example: 400 },
    detail: { type: "string", description: "what happened, and what to do about it" },
    code: { type: "string", example: "invalid" },
    request_id: { type: "string", description: "also in the log, and in x-request-id" },
    errors: {
      type: "array",
      items: {
        type: "object",
        properties: { path: { type: "string" }, message: { type: "string" } },
      },
    },
  },
};

/** @returns a function that answers the document; made when first asked for */
export function openApi(options: OpenApiOptions): () => Promise<OpenApiDocument> {
  let own: Promise<OpenApiDocument> | undefined;
  let whole: { document: Promise<OpenApiDocument>; made_ms: number } | undefined;
  return () => {
    const now_ms = performance.now();
    if (whole && now_ms - whole.made_ms < KEPT_MS) return whole.document;
    own ??= ownDocument(options);
    whole = { document: own.then((document) => withUpstreams(document, options)), made_ms: now_ms };
    return whole.document;
  };
}

/** What Elysia's plugin finds of the routes, and the wildcard routes that it leaves out. */
async function ownDocument({ app, services, prefix }: OpenApiOptions): Promise<OpenApiDocument> {
  const { swagger } = await import("@elysiajs/swagger");
  const generator = new Elysia({ normalize: false }).use(
    swagger({ path: "/swagger", documentation: documentation(), exclude: [/^\/swagger/] }),
  );
  generator.use(app);
  const answer = await generator.handle(new Request("http://localhost/swagger/json"));
  const document = (await answer.json()) as OpenApiDocument;
  for (const service of services)
    for (const [path, operations] of Object.entries(service.documented ?? {}))
      document.paths[prefix + path] = { ...document.paths[prefix + path], ...operations };
  return meant(document);
}

async function withUpstreams(
  document: OpenApiDocument,
  { upstreams, prefix }: OpenApiOptions,
): Promise<OpenApiDocument> {
  if (upstreams.length === 0) return document;
  const found = await Promise.all(upstreams.map(({ base_url }) => upstreamDocument(base_url)));
  const missing = upstreams.filter((_, at) => found[at] === undefined).map(({ name }) => name);
  const merged = {
    ...document,
    info: { ...(document.info as object), ...missingNote(missing) },
    paths: { ...document.paths },
    components: { ...document.components, schemas: { ...document.components.schemas } },
  };
  for (const theirs of found) {
    if (!theirs) continue;
    for (const [path, operations] of Object.entries(theirs.paths))
      if (!Object.hasOwn(document.paths, path)) merged.paths[prefix + path] = operations;
    Object.assign(merged.components.schemas, theirs.components?.schemas);
  }
  return merged;
}

async function upstreamDocument(base_url: string): Promise<OpenApiDocument | undefined> {
  try {
    const response = await fetch(new URL("/swagger/json", base_url), {
      signal: AbortSignal.timeout(UPSTREAM_TIMEOUT_MS),
    });
    return response.ok ? ((await response.json()) as OpenApiDocument) : undefined;
  } catch {
    return undefined; // named in the document as missing
  }
}

function missingNote(missing: readonly string[]): { description?: string } {
  if (missing.length === 0) return {};
  return { description: `${DESCRIPTION}\n\nNot reachable now, and so not shown: ${missing.join(", ")}.` };
}

const DESCRIPTION =
  "Objects, tables, SQL, vectors, memory for agents, retrieval over many corpora, and a witness of every operation, behind one door. Keys go in `Authorization: Bearer` or `x-api-key`; every error is a problem document.";

function documentation() {
  return {
    // The schemas are JSON Schema as they stand (const, null, examples), which 3.0 is not.
    openapi: "3.1.0",
    info: { title: "Lakehouse", version: packageJson.version, description: DESCRIPTION },
    tags: [
      { name: "gateway", description: "The one door: health, metrics and these docs." },
      ...registry.map(({ name, about }) => ({ name, description: about })),
    ],
    servers: [{ url: "/" }],
    components: {
      schemas: { Problem: PROBLEM },
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "a key: lh_<name>_<secret>" },
      },
    },
    security: [{ key: [] }],
  } as object;
}
