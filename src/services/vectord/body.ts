/** The body of a batch, counted while it arrives and left for a Worker to read. */
import { LakeError } from "../../shared/errors.ts";
import { readBytes } from "../../shared/held.ts";
import type { Batch } from "./schema.ts";
import { PARQUET } from "./tables_schema.ts";

const FORMATS = new Map<string, "json" | "ndjson">([
  ["application/json", "json"],
  ["application/x-ndjson", "ndjson"],
  ["application/ndjson", "ndjson"],
  ["application/jsonl", "ndjson"],
]);

/** @throws LakeError invalid (another content type, cut short), too_large, queue_full */
export async function readBatch(request: Request, max_bytes: number): Promise<Batch> {
  const content_type = request.headers.get("content-type") ?? "";
  const format = FORMATS.get((content_type.split(";")[0] as string).trim().toLowerCase());
  if (format === undefined)
    throw new LakeError(
      "invalid",
      `Send {"items": […]} as application/json, a line for each item as application/x-ndjson, or a Parquet file as ${PARQUET} (got "${content_type}").`,
    );
  const tooLarge = () =>
    new LakeError(
      "too_large",
      `A batch may have at most ${max_bytes} bytes (vectord.max_body_bytes): send several.`,
      { max_bytes },
    );
  return { bytes: await readBytes(request, { max_bytes, tooLarge }), format };
}
