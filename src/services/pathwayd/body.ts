/** The body of an import, counted while it arrives. */
import { LakeError } from "../../shared/errors.ts";
import { readBytes } from "../../shared/held.ts";

const NDJSON = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/** @throws LakeError invalid (another content type, cut short), too_large, queue_full */
export async function readLines(request: Request, max_bytes: number): Promise<Uint8Array> {
  const content_type = request.headers.get("content-type") ?? "";
  if (!NDJSON.includes((content_type.split(";")[0] as string).trim().toLowerCase()))
    throw new LakeError(
      "invalid",
      `Send a line for each trace, as the export writes them, as application/x-ndjson (got "${content_type}").`,
    );
  const tooLarge = () =>
    new LakeError(
      "too_large",
      `An import may have at most ${max_bytes} bytes (pathwayd.max_import_bytes): send several.`,
      { max_bytes },
    );
  return readBytes(request, { max_bytes, tooLarge });
}
