/** Paths of queryd. */
import { Elysia } from "elysia";
import { LakeError } from "../../shared/errors.ts";
import { type Door, describe, patiently } from "../../shared/http.ts";
import { hasScope } from "../../shared/keys.ts";
import {
  FORMATS,
  INDEX_SCOPE,
  type Queryd,
  type QueryFormat,
  SqlAnswer,
  SqlBody,
  WITHOUT_SCOPE,
} from "./schema.ts";

export function createRoutes(queryd: Queryd, door: Door) {
  return new Elysia({ normalize: false }).post(
    "/sql",
    async ({ body, request, server }) => {
      const format = formatOf(request.headers.get("accept"));
      const may_read_indexes =
        hasScope(door.principal(request), INDEX_SCOPE) && request.headers.get(WITHOUT_SCOPE) !== INDEX_SCOPE;
      const query = { ...body, format, may_read_indexes, signal: request.signal };
      const result = await patiently(server, request, () => queryd.query(query));
      return new Response(result.kind === "text" ? result.json : resetting(result.body), {
        headers: { "content-type": FORMATS[result.format] },
      });
    },
    {
      ...door.needs("queryd:read"),
      body: SqlBody,
      detail: describe({
        summary: "Run one SELECT",
        description:
          "Runs one SELECT of DuckDB's dialect over the catalog's tables, by name or namespace.table, and over vector indexes as vectors('name') (id, text, metadata, expires_at, and vector where the statement names it), for which a key needs vectord:read, too. The Accept header chooses " +
          "application/json (max_rows at most), application/x-ndjson, text/csv or application/vnd.apache.parquet (these unlimited and " +
          "streamed; a failure midway resets the connection). A statement that is not one SELECT, or that reaches for files, settings or " +
          "the network, is refused with its position.",
        service: "queryd",
        example: { sql: "SELECT 6 * 7 AS answer" },
        answers: {
          200: {
            description: "The rows, in the format asked for",
            schema: SqlAnswer,
            example: {
              columns: [
                { name: "city", type: "VARCHAR" },
                { name: "trips", type: "BIGINT" },
              ],
              rows: [["Oslo", 42]],
              row_count: 1,
              truncated: false,
              elapsed_ms: 3.2,
              snapshot_ids: { trips: "3776207205136740581" },
            },
          },
        },
        problems: [400, 401, 403, 404, 413, 429, 500, 503, 504],
      }),
    },
  );
}

/** The same bytes; where they break off so does the connection, without Bun writing the error to the terminal. */
function resetting(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream(
    {
      async pull(controller) {
        const next = await reader.read().catch(() => undefined);
        if (next === undefined) controller.error(undefined);
        else if (next.done) controller.close();
        else controller.enqueue(next.value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

const BY_MEDIA_TYPE = new Map<string, QueryFormat>([
  ["application/json", "json"],
  ["application/x-ndjson", "ndjson"],
  ["application/ndjson", "ndjson"],
  ["text/csv", "csv"],
  ["application/vnd.apache.parquet", "parquet"],
  ["application/*", "json"],
  ["*/*", "json"],
]);

/** The format an Accept header asks for: the first of the highest weight that is known (RFC 9110, 12.5.1). */
function formatOf(accept: string | null): QueryFormat {
  if (accept === null || accept.trim() === "") return "json";
  let best: { format: QueryFormat; weight: number } | undefined;
  for (const part of accept.split(",")) {
    const [type = "", ...parameters] = part.split(";").map((it) => it.trim().toLowerCase());
    const format = BY_MEDIA_TYPE.get(type);
    const weight = Number(parameters.find((it) => it.startsWith("q="))?.slice(2) ?? 1);
    if (format && weight > (best?.weight ?? 0)) best = { format, weight };
  }
  if (best) return best.format;
  throw new LakeError(
    "invalid",
    `Accept asks for no format that is served: ${Object.values(FORMATS).join(", ")} are (got ${JSON.stringify(accept.slice(0, 200))}).`,
  );
}
