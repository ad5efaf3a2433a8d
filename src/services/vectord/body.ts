/** The body of a batch, counted while it arrives and left for a Worker to read. */
import { LakeError } from "../../shared/errors.ts";
import type { Batch } from "./schema.ts";
import { PARQUET } from "./tables_schema.ts";

const FORMATS = new Map<string, "json" | "ndjson">([
  ["application/json", "json"],
  ["application/x-ndjson", "ndjson"],
  ["application/ndjson", "ndjson"],
  ["application/jsonl", "ndjson"],
]);

/** @throws LakeError invalid (another content type), too_large */
export async function readBatch(
  body: ReadableStream<Uint8Array> | null,
  headers: Headers,
  max_bytes: number,
): Promise<Batch> {
  const content_type = headers.get("content-type") ?? "";
  const format = FORMATS.get((content_type.split(";")[0] as string).trim().toLowerCase());
  if (format === undefined)
    throw new LakeError(
      "invalid",
      `Send {"items": […]} as application/json, a line for each item as application/x-ndjson, or a Parquet file as ${PARQUET} (got "${content_type}").`,
    );
  const chunks: Uint8Array[] = [];
  let size = 0;
  const declared = Number(headers.get("content-length") ?? 0);
  if (declared <= max_bytes)
    for await (const chunk of body ?? []) {
      size += chunk.byteLength;
      if (size > max_bytes) break;
      chunks.push(chunk);
    }
  if (declared > max_bytes || size > max_bytes)
    throw new LakeError(
      "too_large",
      `A batch may have at most ${max_bytes} bytes (vectord.max_body_bytes): send several.`,
      {
        max_bytes,
      },
    );
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return { bytes, format };
}
