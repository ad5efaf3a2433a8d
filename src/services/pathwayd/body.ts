/** The body of an import, counted while it arrives. */
import { LakeError } from "../../shared/errors.ts";

const NDJSON = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/** @throws LakeError invalid (another content type), too_large */
export async function readLines(
  body: ReadableStream<Uint8Array> | null,
  headers: Headers,
  max_bytes: number,
): Promise<Uint8Array> {
  const content_type = headers.get("content-type") ?? "";
  if (!NDJSON.includes((content_type.split(";")[0] as string).trim().toLowerCase()))
    throw new LakeError(
      "invalid",
      `Send a line for each trace, as the export writes them, as application/x-ndjson (got "${content_type}").`,
    );
  const chunks: Uint8Array[] = [];
  let bytes = Number(headers.get("content-length") ?? 0) > max_bytes ? max_bytes + 1 : 0;
  if (bytes === 0)
    for await (const chunk of body ?? []) {
      bytes += chunk.byteLength;
      if (bytes > max_bytes) break;
      chunks.push(chunk);
    }
  if (bytes > max_bytes)
    throw new LakeError(
      "too_large",
      `An import may have at most ${max_bytes} bytes (pathwayd.max_import_bytes): send several.`,
      { max_bytes },
    );
  return Buffer.concat(chunks);
}
