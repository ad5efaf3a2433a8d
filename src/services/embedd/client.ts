/** embedd in another process: the same interface over HTTP. */
import type { HttpClient } from "../../shared/client.ts";
import type { Embedd, Embedded, Matched, ModelsAnswer } from "./schema.ts";
import { fromBase64 } from "./wire.ts";

export function createEmbeddClient(http: HttpClient): Embedd {
  return {
    embed: async ({ signal, ...body }) => {
      const json = { ...body, encoding_format: "base64" };
      const answer = await http.json<Omit<Embedded, "vectors"> & { vectors: string[] }>("/embed", {
        method: "POST",
        json,
        signal,
      });
      return { ...answer, vectors: answer.vectors.map(fromBase64) };
    },
    match: ({ signal, ...json }) => http.json<Matched>("/embed/match", { method: "POST", json, signal }),
    models: () => http.json<ModelsAnswer>("/embed/models"),
  };
}
