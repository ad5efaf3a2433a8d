/** storaged in another process: the same interface over HTTP, bodies streamed both ways. */
import type { HttpClient } from "../../shared/client.ts";
import { LakeError } from "../../shared/errors.ts";
import { checkKey, encodeKey } from "./keys.ts";
import type { ByteRange, ObjectInfo, ObjectList, Storaged, StoredObject } from "./schema.ts";

export function createStoragedClient(http: HttpClient): Storaged {
  /** Checked first: a URL would resolve dot segments into another key. */
  const path = (verb: "put" | "get" | "delete", key: string) => {
    checkKey(key);
    return `/storage/${verb}/${encodeKey(key)}`;
  };
  return {
    async put(key, body, { create_only, if_match, size, signal } = {}) {
      const headers: Record<string, string> = { "content-type": "application/octet-stream" };
      if (create_only) headers["if-none-match"] = "*";
      if (if_match !== undefined) headers["if-match"] = if_match;
      if (size !== undefined && body instanceof ReadableStream) headers["content-length"] = String(size);
      const response = await http.call(path("put", key), {
        method: "PUT",
        body: body as BodyInit,
        headers,
        signal,
      });
      return {
        ...((await response.json()) as Omit<StoredObject, "created">),
        created: response.status === 201,
      };
    },
    async get(key, range) {
      const headers: Record<string, string> = range ? { range: rangeHeader(range) } : {};
      const response = await http.call(path("get", key), { headers });
      const body = response.body ?? new Blob();
      const found = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
      if (!found)
        return { info: infoOf(key, response, Number(response.headers.get("content-length"))), body };
      const [start, end, size] = found.slice(1).map(Number) as [number, number, number];
      return { info: infoOf(key, response, size), body, range: { start, end } };
    },
    async head(key) {
      try {
        const response = await http.call(path("get", key), { method: "HEAD" });
        return infoOf(key, response, Number(response.headers.get("content-length")));
      } catch (error) {
        // An answer to HEAD has no body to say it.
        if (error instanceof LakeError && error.code === "not_found")
          throw new LakeError("not_found", `There is no object "${key}".`);
        throw error;
      }
    },
    async delete(key, { if_match } = {}) {
      const headers: Record<string, string> = if_match === undefined ? {} : { "if-match": if_match };
      await http.call(path("delete", key), { method: "DELETE", headers });
    },
    list: ({ prefix, delimiter, limit, cursor }) =>
      http.json<ObjectList>("/storage/list", { query: { prefix, delimiter, limit, cursor } }),
  };
}

function rangeHeader(range: ByteRange): string {
  return "suffix" in range ? `bytes=-${range.suffix}` : `bytes=${range.start}-${range.end ?? ""}`;
}

function infoOf(key: string, response: Response, size: number): ObjectInfo {
  return {
    key,
    size,
    etag: response.headers.get("etag") ?? "",
    modified: response.headers.get("x-object-modified") ?? "",
  };
}
