/** queryd in another process: the same interface over HTTP. */
import type { HttpClient } from "../../shared/client.ts";
import { FORMATS, INDEX_SCOPE, type Queryd, type QueryResult, WITHOUT_SCOPE } from "./schema.ts";

/** Beyond the query's own deadline, for the way there and back. */
const SLACK_MS = 5000;

export function createQuerydClient(http: HttpClient): Queryd {
  return {
    async query({ format = "json", signal, may_read_indexes = true, ...body }): Promise<QueryResult> {
      const response = await http.call("/sql", {
        method: "POST",
        json: body,
        headers: { accept: FORMATS[format], ...(may_read_indexes ? {} : { [WITHOUT_SCOPE]: INDEX_SCOPE }) },
        signal,
        ...(body.timeout_ms === undefined ? {} : { timeout_ms: body.timeout_ms + SLACK_MS }),
      });
      if (format === "json") return { kind: "text", format, json: await response.text() };
      return { kind: "stream", format, body: response.body ?? new ReadableStream() };
    },
  };
}
