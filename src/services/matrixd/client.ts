/** matrixd in another process, by the same interface. */
import type { HttpClient } from "../../shared/client.ts";
import type { CorpusInfo, CorpusPage, Matrixd, MatrixFound } from "./schema.ts";

export function createMatrixdClient(http: HttpClient): Matrixd {
  const path = (name: string) => `/matrix/corpora/${encodeURIComponent(name)}`;
  return {
    register: (corpus) => http.json<CorpusInfo>("/matrix/corpora", { method: "POST", json: corpus }),
    corpora: (query) => http.json<CorpusPage>("/matrix/corpora", { query }),
    corpus: (name) => http.json<CorpusInfo>(path(name)),
    unregister: async (name) => {
      await http.call(path(name), { method: "DELETE" });
    },
    search: (query) => http.json<MatrixFound>("/matrix/search", { method: "POST", json: query }),
  };
}
